// The tables of `plait ps`, and the short names that they and the tree use.
#include <fmt/format.h>

#include <algorithm>

#include "cli/task_tree.hpp"

namespace plait::cli {
namespace {

using nlohmann::json;

// Removes balanced groups that begin with `open`, from the left.
std::string without_groups(const std::string& text, char open, char close) {
  std::string kept;
  int depth = 0;
  for (const char c : text) {
    if (c == open) ++depth;
    if (depth == 0) kept += c;
    if (c == close && depth > 0) --depth;
  }
  return depth == 0 ? kept : text;
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

class table {
 public:
  explicit table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const noexcept { return rows_.size() == 1; }
  std::string str(const std::string& indent, const painter& paint) const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = std::max(widths[i], width_of(row[i]));
    std::string text;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      std::string line = indent;
      for (std::size_t i = 0; i < widths.size(); ++i)
        line += i + 1 < widths.size() ? left(rows_[r][i], widths[i] + 2) : rows_[r][i];
      while (line.ends_with(' ')) line.pop_back();
      text += paint(r == 0 ? tone::dim : tone::plain, line) + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string counted(std::int64_t n, const std::string& noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string seconds_of(const json& run) {
  return run.contains("seconds") ? fmt::format("{:.3g} s", run.value("seconds", 0.0)) : "";
}
std::string place_of(const json& object, const char* key) {
  return object.contains(key) ? describe_place(object.at(key)) : "";
}
// A thread that runs a call may be asleep in it.
std::string state_of(const json& thread) {
  const std::string kernel = thread.value("kernel", "");
  return kernel.starts_with("asleep") ? kernel : thread.value("state", "");
}
std::string call_of(const json& run) { return short_name(run.value("call", "")); }

// What is awaited beside others without being a task has one around it.
std::string name_of(const json& task) {
  const std::string name = short_name(task.value("name", ""));
  return name == "plait::detail::to_task" ? "(awaitable)" : name;
}

std::string loop_text(const json& loop, const painter& paint) {
  const int thread = loop.value("thread", 0);
  std::string head = thread != 0 ? fmt::format("Loop on thread {}: ", thread) : "Loop: ";
  if (loop.value("state", "") == "blocked") {
    head += "blocked, does not turn";
    if (loop.contains("call"))
      head += fmt::format("; has been running {} for {}", call_of(loop), seconds_of(loop));
    if (loop.contains("kernel")) head += ", " + loop.value("kernel", "");
  } else {
    head += fmt::format(
        "{}, {}", loop.value("state", ""),
        counted(static_cast<std::int64_t>(loop.at("tasks").size()) + loop.value("more_tasks", 0),
                "task"));
  }
  std::string text = paint(tone::bold, head) + "\n";
  table rows({"ID", "NAME", "STATE", "WAITS FOR", "SPAWNED"});
  for (const auto& task : loop.at("tasks"))
    rows.add({std::to_string(task.value("id", 0)), name_of(task), task.value("state", ""),
              wait_of(task), place_of(task, "spawned")});
  if (!rows.empty()) text += rows.str("  ", paint);
  if (loop.contains("stuck"))
    text +=
        "  These wait for each other: no timer, descriptor or call elsewhere will wake one, only "
        "another\n  thread that submits something to the loop or stops one of them.\n";
  if (const auto more = loop.value("more_tasks", 0); more != 0)
    text += fmt::format("  ... and {}\n", counted(more, "more task"));
  return text;
}

std::string pool_text(const json& pool, const painter& paint) {
  std::string text =
      paint(tone::bold,
            fmt::format("Thread pool {}: {} of at most {}, {} idle, {} blocked, {} queued, {} done",
                        pool.value("name", ""),
                        counted(static_cast<std::int64_t>(pool.at("threads").size()), "thread"),
                        pool.value("max_workers", 0), pool.value("idle", 0),
                        pool.value("blocked", 0), pool.value("queued", 0), pool.value("done", 0))) +
      "\n";
  table rows({"THREAD", "STATE", "CALL", "FOR", "SUBMITTED"});
  for (const auto& thread : pool.at("threads"))
    rows.add({std::to_string(thread.value("thread", 0)), state_of(thread), call_of(thread),
              seconds_of(thread), place_of(thread, "submitted")});
  if (!rows.empty()) text += rows.str("  ", paint);
  return text;
}

std::string process_pool_text(const json& pool, const painter& paint) {
  std::string text =
      paint(tone::bold,
            fmt::format("Process pool: {} of at most {} by {}, {} queued, {} crashed so far",
                        counted(static_cast<std::int64_t>(pool.at("workers").size()), "worker"),
                        pool.value("max_workers", 0), pool.value("start", "forkserver"),
                        pool.value("queued", 0), pool.value("crashed", 0))) +
      "\n";
  table rows({"PID", "STATE", "CALL", "FOR", "SUBMITTED"});
  for (const auto& worker : pool.at("workers"))
    rows.add({std::to_string(worker.value("pid", 0)), worker.value("state", ""), call_of(worker),
              seconds_of(worker), place_of(worker, "submitted")});
  if (!rows.empty()) text += rows.str("  ", paint);
  return text;
}

std::size_t total(const json& list, const char* what) {
  std::size_t n = 0;
  for (const auto& one : list) n += one.at(what).size();
  return n;
}

}  // namespace

std::string short_name(const std::string& function) {
  std::string name = function;
  replace_all(name, "(anonymous namespace)::", "");
  replace_all(name, "{lambda(", "{lambda#(");
  replace_all(name, ")#", ")");
  name = without_groups(name, '(', ')');
  if (name.find("operator<") == std::string::npos && name.find("operator-") == std::string::npos)
    name = without_groups(name, '<', '>');
  replace_all(name, "{lambda#}", "{lambda#1}");
  for (const char* tail : {" const", "::operator", " "})
    if (name.ends_with(tail) && name.size() > std::string(tail).size())
      name.resize(name.size() - std::string(tail).size());
  return name;
}

std::string describe_place(const json& place) {
  const std::string function = short_name(place.value("function", ""));
  const std::string source = file_name(place.value("source", ""));
  if (!source.empty()) return function.empty() ? source : function + " " + source;
  if (!function.empty()) return function;
  return fmt::format("{}+{:#x}", file_name(place.value("file", "")),
                     place.value("address", std::uint64_t{0}));
}

std::string wait_of(const json& task) {
  const std::string wait = task.value("waits_for", "");
  return wait.starts_with("call of ") ? short_name(wait) : wait;
}

std::string process_tables(const json& report, const terminal& out) {
  const painter paint(out);
  std::string text =
      paint(tone::bold, fmt::format("{} ({})", file_name(report.value("program", "")),
                                    report.value("pid", 0))) +
      "\n";
  for (const auto& loop : report.at("loops")) text += "\n" + loop_text(loop, paint);
  for (const auto& pool : report.at("thread_pools")) text += "\n" + pool_text(pool, paint);
  for (const auto& pool : report.at("process_pools")) text += "\n" + process_pool_text(pool, paint);
  return text;
}

std::string program_table(const std::vector<json>& reports, const terminal& out) {
  table rows({"PID", "PROGRAM", "LOOPS", "TASKS", "THREADS", "WORKERS"});
  for (const auto& r : reports) {
    std::size_t tasks = total(r.at("loops"), "tasks");
    for (const auto& loop : r.at("loops")) tasks += loop.value("more_tasks", std::size_t{0});
    rows.add({std::to_string(r.value("pid", 0)), file_name(r.value("program", "")),
              std::to_string(r.at("loops").size()), std::to_string(tasks),
              std::to_string(total(r.at("thread_pools"), "threads")),
              std::to_string(total(r.at("process_pools"), "workers"))});
  }
  return rows.str("", painter(out));
}

}  // namespace plait::cli
