// plait queue: what waits, runs and has died at a Celery broker, and who works on it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "celery/operations.hpp"
#include "celery/wire/envelope.hpp"
#include "celery/wire/task_message.hpp"
#include "cli/commands.hpp"
#include "cli/standard_output.hpp"
#include "plait/celery/errors.hpp"
#include "plait/celery/json.hpp"
#include "plait/coroutines.hpp"

namespace plait::cli {
namespace {

using celery::value;
using namespace celery::detail;
using nlohmann::json;

struct queue_settings {
  std::string action = "list", broker;
  std::vector<std::string> ids, queues;
  bool all = false, as_json = false;
  double patience = 1;
  std::size_t most = 1'000'000;  // dead calls of a queue
};

std::string text_of(const value& v, const char* key) {
  const value* found = v.find(key);
  const auto* text = found != nullptr ? found->get_if<std::string>() : nullptr;
  return text != nullptr ? *text : std::string();
}

std::int64_t number_of(const value* v) {
  const auto* n = v != nullptr ? v->get_if<std::int64_t>() : nullptr;
  return n != nullptr ? *n : 0;
}

// Times are UTC, as in everything else that Celery prints.
std::string utc(std::int64_t milliseconds) {
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

// What can be read of a dead call: many died because they could not be.
struct dead_call {
  dead_message message;
  std::string task, id;
};
dead_call read(dead_message m) {
  dead_call call{std::move(m), {}, {}};
  try {
    const auto read = decode_task(decode_envelope(call.message.envelope));
    call.task = read.task;
    call.id = read.id;
  } catch (const std::exception&) {
  }
  return call;
}

// The tables that are printed. One line a row; columns as wide as their widest cell.
class table {
 public:
  explicit table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::size_t size() const { return rows_.size() - 1; }
  std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i)
        line += fmt::format("{:<{}}  ", row[i], widths[i]);
      line.erase(line.find_last_not_of(' ') + 1);
      all += line + "\n";
    }
    return all;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

class inquiry {
 public:
  inquiry(const queue_settings& s, transport& through) : s_(s), through_(through) {}

  task<exit_status> list() {
    auto workers = co_await ask("active");
    auto queues = co_await names();
    auto lengths = co_await through_.broker().lengths(std::move(queues));
    if (s_.as_json) {
      json all = {{"queues", json::array()}, {"workers", json::array()}};
      for (const auto& q : lengths)
        all["queues"].push_back(
            {{"queue", q.queue}, {"waiting", q.waiting}, {"running", q.leased}, {"dead", q.dead}});
      for (const auto& w : workers)
        all["workers"].push_back({{"worker", w.node}, {"running", running_of(w).size()}});
      write_out(all.dump(2) + "\n");
      co_return exit_status::ok;
    }
    table queue_table({"QUEUE", "WAITING", "RUNNING", "DEAD"});
    for (const auto& q : lengths)
      queue_table.add(
          {q.queue, fmt::to_string(q.waiting), fmt::to_string(q.leased), fmt::to_string(q.dead)});
    table worker_table({"WORKER", "RUNNING"});
    for (const auto& w : workers) worker_table.add({w.node, fmt::to_string(running_of(w).size())});
    std::string text = queue_table.text() + "\n";
    text += worker_table.size() != 0 ? worker_table.text()
                                     : fmt::format("no worker answered within {} s\n", s_.patience);
    write_out(text);
    co_return exit_status::ok;
  }

  task<exit_status> running() {
    auto workers = co_await ask("active");
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    json all = json::array();
    table calls({"ID", "TASK", "SECONDS", "WORKER"});
    for (const auto& w : workers)
      for (const auto& call : running_of(w)) {
        const value* start = call.find("time_start");
        const auto* began = start != nullptr ? start->get_if<double>() : nullptr;
        const double seconds = began != nullptr && *began > 0 ? std::max(0.0, now - *began) : 0;
        calls.add(
            {text_of(call, "id"), text_of(call, "name"), fmt::format("{:.1f}", seconds), w.node});
        all.push_back({{"id", text_of(call, "id")},
                       {"task", text_of(call, "name")},
                       {"seconds", seconds},
                       {"worker", w.node}});
      }
    show(all, calls, "no worker runs anything");
    co_return exit_status::ok;
  }

  task<exit_status> workers() {
    auto stats = co_await ask("stats");
    auto queues = co_await ask("active_queues");
    json all = json::array();
    table rows({"WORKER", "PID", "CONCURRENCY", "DONE", "QUEUES"});
    for (const auto& w : stats) {
      const value* pool = w.answer.find("pool");
      const auto concurrency =
          pool != nullptr ? number_of(pool->find("max-concurrency")) : std::int64_t{0};
      std::int64_t done = 0;
      if (const value* total = w.answer.find("total"))
        if (const auto* by_task = total->get_if<celery::dict>())
          for (const auto& [name, count] : *by_task) done += number_of(&count);
      std::string names;
      for (const auto& q : queues)
        if (q.node == w.node)
          for (const auto& name : queues_of(q)) names += (names.empty() ? "" : ",") + name;
      const auto pid = number_of(w.answer.find("pid"));
      rows.add(
          {w.node, fmt::to_string(pid), fmt::to_string(concurrency), fmt::to_string(done), names});
      all.push_back({{"worker", w.node},
                     {"pid", pid},
                     {"concurrency", concurrency},
                     {"done", done},
                     {"queues", names}});
    }
    show(all, rows, fmt::format("no worker answered within {} s", s_.patience));
    co_return exit_status::ok;
  }

  task<exit_status> dead() {
    json all = json::array();
    table rows({"DEAD", "QUEUE", "DIED (UTC)", "TASK", "REASON"});
    for (const auto& call : co_await dead_calls()) {
      const auto& m = call.message;
      rows.add({m.id, m.queue, utc(m.died_at), call.task.empty() ? "?" : call.task, m.reason});
      all.push_back({{"dead", m.id},
                     {"queue", m.queue},
                     {"died_at", static_cast<double>(m.died_at) / 1000},
                     {"task", call.task},
                     {"id", call.id},
                     {"reason", m.reason},
                     {"message", m.envelope}});
    }
    show(all, rows, "no call has died");
    co_return exit_status::ok;
  }

  // By the number that `dead` shows, or by the id of the call.
  task<exit_status> settle(bool again) {
    std::set<std::string> wanted(s_.ids.begin(), s_.ids.end());
    std::size_t done = 0;
    for (const auto& call : co_await dead_calls()) {
      const bool named = wanted.contains(call.message.id) || wanted.contains(call.id);
      if (!named && !s_.all) continue;
      const std::string queue = call.message.queue, id = call.message.id;
      const bool there = again ? co_await through_.broker().retry_dead(queue, id)
                               : co_await through_.broker().drop_dead(queue, id);
      if (!there) continue;  // somebody was faster
      ++done;
      wanted.erase(call.message.id);
      wanted.erase(call.id);
    }
    if (s_.as_json) {
      json result = {{again ? "retried" : "dropped", done}, {"unknown", json::array()}};
      for (const auto& id : wanted) result["unknown"].push_back(id);
      write_out(result.dump(2) + "\n");
    } else {
      write_out(fmt::format("{} {}\n", done, again ? "retried" : "dropped"));
    }
    if (wanted.empty() || s_.all) co_return exit_status::ok;
    throw complaint(
        exit_status::failed,
        fmt::format("no dead call is named {}; plait queue dead shows them", *wanted.begin()));
  }

 private:
  task<std::vector<worker_answer>> ask(std::string method) {
    return ask_workers(through_, std::move(method), {},
                       duration(static_cast<std::int64_t>(1e9 * s_.patience)));
  }
  static std::vector<value> running_of(const worker_answer& w) {
    const auto* calls = w.answer.get_if<celery::list>();
    return calls != nullptr ? std::vector<value>(calls->begin(), calls->end())
                            : std::vector<value>();
  }
  static std::vector<std::string> queues_of(const worker_answer& w) {
    std::vector<std::string> names;
    if (const auto* all = w.answer.get_if<celery::list>())
      for (const auto& q : *all) names.push_back(text_of(q, "name"));
    return names;
  }
  // Those asked for, or those that the broker knows, that somebody works on, and Celery's usual one.
  task<std::vector<std::string>> names() {
    if (!s_.queues.empty()) co_return s_.queues;
    std::set<std::string> known{"celery"};
    for (const auto& w : co_await ask("active_queues"))
      for (const auto& name : queues_of(w)) known.insert(name);
    std::vector<std::string> all;
    for (auto& each : co_await through_.broker().lengths(std::move(all)))
      known.insert(std::move(each.queue));
    co_return std::vector<std::string>(known.begin(), known.end());
  }
  task<std::vector<dead_call>> dead_calls() {
    std::vector<dead_call> all;
    for (const auto& queue : co_await names()) {
      auto those = co_await through_.broker().dead(queue, s_.most);
      for (auto& m : those) all.push_back(read(std::move(m)));
    }
    co_return all;
  }
  void show(const json& all, const table& rows, const std::string& nothing) const {
    if (s_.as_json) {
      write_out(all.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
    } else {
      write_out(rows.size() != 0 ? rows.text() : nothing + "\n");
    }
  }

  const queue_settings& s_;
  transport& through_;
};

task<exit_status> inquire(const queue_settings& s) {
  auto through = co_await open_transport(s.broker);
  exit_status ended = exit_status::ok;
  std::exception_ptr failed;
  try {
    inquiry asked(s, *through);
    if (s.action == "list") ended = co_await asked.list();
    if (s.action == "running") ended = co_await asked.running();
    if (s.action == "workers") ended = co_await asked.workers();
    if (s.action == "dead") ended = co_await asked.dead();
    if (s.action == "retry") ended = co_await asked.settle(true);
    if (s.action == "drop") ended = co_await asked.settle(false);
  } catch (...) {
    failed = std::current_exception();
  }
  co_await through->close();
  if (failed != nullptr) std::rethrow_exception(failed);
  co_return ended;
}

exit_status run_inquiry(const queue_settings& s) {
  const bool settles = s.action == "retry" || s.action == "drop";
  if (settles && s.ids.empty() == !s.all)
    throw complaint(
        exit_status::usage,
        fmt::format("plait queue {0} needs the ids of dead calls, or --all; plait queue "
                    "dead shows them",
                    s.action));
  if (!settles && (!s.ids.empty() || s.all))
    throw complaint(exit_status::usage,
                    fmt::format("ids and --all are for retry and drop, not for {}", s.action));
  try {
    return plait::run(inquire(s));
  } catch (const std::invalid_argument& e) {
    throw complaint(exit_status::usage, e.what());
  } catch (const celery::transport_error& e) {
    throw complaint(exit_status::failed, e.what());
  }
}

}  // namespace

void add_queue_command(CLI::App& tool, command_run& chosen) {
  auto s = std::make_shared<queue_settings>();
  auto* command = tool.add_subcommand(
      "queue", "Show a Celery broker's queues, workers and dead calls; retry or drop those");
  command
      ->add_option("action", s->action,
                   "list: lengths and workers; running: calls under way; workers; dead: calls that "
                   "were given up, and why; retry and drop: those again, or for good")
      ->check(CLI::IsMember({"list", "running", "workers", "dead", "retry", "drop"}))
      ->capture_default_str();
  command->add_option("ids", s->ids, "Of retry and drop: which dead calls");
  command
      ->add_option("--broker", s->broker,
                   "sqlite:FILE, redis://HOST:PORT/DB, amqp://HOST:PORT/VHOST")
      ->required()
      ->envname("CELERY_BROKER_URL");
  command
      ->add_option(
          "-Q,--queues", s->queues,
          "Queues, comma-separated; without it: celery, and those that running workers take from")
      ->delimiter(',');
  command->add_flag("--all", s->all, "Of retry and drop: all dead calls");
  command->add_flag("--json", s->as_json, "One JSON text on standard output");
  command->add_option("--patience", s->patience, "Seconds to wait for workers' answers")
      ->check(CLI::Range(0.05, 60.0))
      ->capture_default_str();
  command->callback([s, &chosen] { chosen = [s] { return run_inquiry(*s); }; });
}

}  // namespace plait::cli
