// The Celery rows: `celery_bench MODE [n [batch [IP:PORT or URL]]]` with the Redis at IP:PORT
// (127.0.0.1:6379), in whose database 15 it works, or another broker.
//   send             calls made into messages, each waited for before the next
//   send_all         calls through the client, none of them waited for
//   fill, fill_notes messages for a worker, proj.add or proj.note
//   worker_loop, worker_threads, worker_processes   until SIGTERM; `batch` calls at once
//   call             delay().get(), one after the other; the median is `p50_us`
// and below the tasks:
//   enqueue          messages, each waited for before the next
//   enqueue_batch    messages, `batch` in one publish
//   work             messages that are there: reserved up to `batch` at once, each with its result
//   round_trip       publish, reserve, finish with a result, wait for it; the median is `p50_us`
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <plait/coroutines.hpp>
#include <string>
#include <vector>

#include "celery/client.hpp"
#include "celery/transport.hpp"
#include "celery/wire/envelope.hpp"
#include "celery_calls.hpp"
#include "measurement.hpp"

namespace {

using namespace plait::celery::detail;
using plait::task;

const std::vector<std::string> celery = {"celery"};

std::string task_id(long i) {
  return "00000000-0000-4000-8000-" + std::to_string(100'000'000'000 + i);
}

// What kombu would send for add(2, 3).
std::string envelope_of(long i) {
  const std::string id = task_id(i);
  return R"json({"body": "W1syLCAzXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNo)json"
         R"json(YWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d", "content-encoding": "utf-8", "content-type": )json"
         R"json("application/json", "headers": {"lang": "py", "task": "proj.add", "id": ")json" +
         id +
         R"json(", "shadow": null, "eta": null, "expires": null, "group": null, "retries": 0, )json"
         R"json("timelimit": [null, null], "root_id": ")json" +
         id +
         R"json(", "parent_id": null, "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": )json"
         R"json("gen1@host"}, "properties": {"correlation_id": ")json" +
         id +
         R"json(", "reply_to": "", "delivery_mode": 2, "delivery_info": {"exchange": "", )json"
         R"json("routing_key": "celery"}, "priority": 0, "body_encoding": "base64", )json"
         R"json("delivery_tag": ")json" +
         id + R"json("}})json";
}
stored_result result(long i) {
  const std::string id = task_id(i);
  return {id, "SUCCESS",
          R"({"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "date_done": )"
          R"("2026-11-22T12:28:01.236565+00:00", "task_id": ")" +
              id + R"("})"};
}

task<std::unique_ptr<transport>> opened(const measurement::arguments& given) {
  co_return co_await open_transport(celery_calls::at(given).broker);
}
task<> publish(transport& t, long from, long n, long batch) {
  for (long i = from; i < from + n; i += batch) {
    std::vector<parcel> parcels;
    for (long j = i; j < std::min(i + batch, from + n); ++j)
      parcels.emplace_back(envelope_of(j), "celery");
    co_await t.broker().publish(std::move(parcels));
  }
}
task<> work(transport& t, long n, std::size_t batch) {
  for (long done = 0; done < n;) {
    const auto got = co_await t.broker().reserve(celery, batch, std::chrono::seconds(60));
    std::vector<ending> over;
    for (const auto& each : got) {
      over.push_back({.tag = each.tag});
      over.back().result = result(done++);
    }
    co_await t.broker().finish(std::move(over));
  }
}

parcel call_of(const char* name, long i) {
  outgoing_call call;
  call.task = name;
  call.args.emplace_back(static_cast<int>(i));
  if (name == std::string_view("proj.add")) call.args.emplace_back(3);
  return parcel_of(message_of(call), "celery", 0);
}
task<> send(const measurement::arguments& given) {
  const auto t = co_await opened(given);
  const long n = given.n_or(20'000);
  const measurement::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    std::vector<parcel> one;
    one.push_back(call_of("proj.add", i));
    co_await t->broker().publish(std::move(one));
  }
  measurement::report(given.mode, "plait", static_cast<double>(n), watch.read());
  co_await t->close();
}
// Answers go to PLAIT_REPLY_TO, if it is set: to a queue of RabbitMQ in which they are counted.
void ask_for_answer(parcel& p) {
  const char* const to = std::getenv("PLAIT_REPLY_TO");
  if (to == nullptr) return;
  envelope e = decode_envelope(p.envelope);
  e.properties.reply_to = to;
  p.envelope = encode_envelope(e);
}
task<> fill(const measurement::arguments& given, const char* name) {
  const auto t = co_await opened(given);
  const long n = given.n_or(20'000);
  const measurement::stopwatch watch;
  for (long i = 0; i < n;) {
    std::vector<parcel> some;
    for (const long end = std::min(n, i + 500); i < end; ++i) {
      some.push_back(call_of(name, i));
      ask_for_answer(some.back());
    }
    co_await t->broker().publish(std::move(some));
  }
  measurement::report(given.mode, "plait", static_cast<double>(n), watch.read());
  co_await t->close();
}

task<> enqueue(const measurement::arguments& given, long batch) {
  const auto t = co_await opened(given);
  const long n = given.n_or(50'000);
  const measurement::stopwatch watch;
  co_await publish(*t, 0, n, batch);
  const auto lap = watch.read();
  measurement::report(given.mode, "plait", static_cast<double>(n), lap);
  co_await work(*t, n, 256);
  co_await t->close();
}
task<> drain(const measurement::arguments& given) {
  const auto t = co_await opened(given);
  const long n = given.n_or(50'000);
  co_await publish(*t, 0, n, 256);
  const measurement::stopwatch watch;
  co_await work(*t, n, static_cast<std::size_t>(given.workers));
  measurement::report(given.mode, "plait", static_cast<double>(n), watch.read(),
                      {{"batch", static_cast<double>(given.workers)}});
  co_await t->close();
}
task<> serve_one_by_one(transport& t, long from, long n) {
  for (long i = from; i < from + n; ++i) {
    const auto got = co_await t.broker().reserve(celery, 1, std::chrono::seconds(60));
    std::vector<ending> over;
    over.push_back({.tag = got.at(0).tag});
    over.back().result = result(i);
    co_await t.broker().finish(std::move(over));
  }
}
task<> round_trips(const measurement::arguments& given) {
  const auto client = co_await opened(given), worker = co_await opened(given);
  const long n = given.n_or(5'000);
  auto serving = plait::spawn(serve_one_by_one(*worker, 0, n));
  std::vector<double> microseconds;
  const measurement::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    co_await client->backend().forget(result(i).id);
    const double begun = measurement::wall_now();
    auto answer = plait::spawn(client->backend().wait(result(i).id));
    co_await publish(*client, i, 1, 1);
    co_await answer;
    microseconds.push_back((measurement::wall_now() - begun) * 1e6);
  }
  const auto lap = watch.read();
  co_await serving;
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double part) {
    return microseconds[static_cast<std::size_t>(part * static_cast<double>(n - 1))];
  };
  measurement::report(given.mode, "plait", static_cast<double>(n), lap,
                      {{"p50_us", at(0.5)}, {"p95_us", at(0.95)}, {"p99_us", at(0.99)}});
  co_await client->close();
  co_await worker->close();
}

}  // namespace

int main(int argc, char** argv) {
  using given = const measurement::arguments&;
  using plait::celery::pool_kind;
  constexpr auto threads = pool_kind::threads, processes = pool_kind::processes;
  return measurement::run_mode(
      argc, argv,
      {{"send", [](given a) { plait::run(send(a)); }},
       {"send_all", [](given a) { celery_calls::send(a); }},
       {"fill", [](given a) { plait::run(fill(a, "proj.add")); }},
       {"fill_notes", [](given a) { plait::run(fill(a, "proj.note")); }},
       {"worker_loop", [](given a) { celery_calls::work(a, threads, true); }},
       {"worker_threads", [](given a) { celery_calls::work(a, threads, false); }},
       {"worker_processes", [](given a) { celery_calls::work(a, processes, false); }},
       {"call", [](given a) { celery_calls::call(a); }},
       {"enqueue", [](given a) { plait::run(enqueue(a, 1)); }},
       {"enqueue_batch", [](given a) { plait::run(enqueue(a, a.workers)); }},
       {"work", [](given a) { plait::run(drain(a)); }},
       {"round_trip", [](given a) { plait::run(round_trips(a)); }}});
}
