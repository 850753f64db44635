#include "plait/celery/worker.hpp"

#include <csignal>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "celery/application.hpp"
#include "celery/operations.hpp"
#include "celery/worker_engine.hpp"
#include "plait/net/signal_set.hpp"
#include "plait/threads/cpu_count.hpp"

namespace plait::celery {

struct worker::core {
  core(app& a, worker_options o) : application(a), options(std::move(o)) {}

  task<> run_there();
  task<> watch_signals(detail::worker_engine& engine);
  // With what only becomes known here, and what the application says.
  worker_options complete() const;

  app& application;
  const worker_options options;
  std::mutex mutex;
  event_loop* loop = nullptr;  // while it runs
  detail::worker_engine* engine = nullptr;
  unsigned stops_before = 0;  // shutdown() before run() had begun
  bool cold = false;
};

worker::worker(app& a, worker_options o) : core_(std::make_shared<core>(a, std::move(o))) {}
worker::worker(worker&&) noexcept = default;
worker& worker::operator=(worker&&) noexcept = default;
worker::~worker() = default;

worker_options worker::core::complete() const {
  auto o = options;
  if (o.concurrency == 0) o.concurrency = usable_cpu_count();
  if (o.queues.empty()) o.queues = {application.options().queue};
  if (o.hostname.empty()) o.hostname = "celery@" + detail::host_name();
  if (o.lease < std::chrono::milliseconds(30))
    throw std::invalid_argument("a worker's lease is 30 ms or more");
  if (o.max_deliveries == 0) throw std::invalid_argument("max_deliveries is 1 or more");
  return o;
}

namespace {

// The settings that Celery has a name for.
dict told_of(const app_options& a, const worker_options& w) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(a.result_expires).count();
  return {{"broker_url", detail::without_password(a.broker)},
          {"result_backend", detail::without_password(a.backend.empty() ? a.broker : a.backend)},
          {"result_expires", static_cast<std::int64_t>(seconds)},
          {"task_default_queue", a.queue},
          {"worker_concurrency", w.concurrency},
          {"worker_pool", w.pool == pool_kind::processes ? "prefork" : "threads"},
          {"worker_max_tasks_per_child", w.max_tasks_per_child},
          {"worker_send_task_events", w.events},
          {"task_acks_late", true},
          {"task_serializer", "json"},
          {"result_serializer", "json"},
          {"accept_content", list{"json"}},
          {"timezone", "UTC"},
          {"enable_utc", true}};
}

}  // namespace

task<> worker::core::watch_signals(detail::worker_engine& running) {
  net::signal_set signals(SIGINT, SIGTERM, SIGQUIT);
  for (;;) {
    const int which = co_await signals.next();
    running.shutdown();
    if (which == SIGQUIT && !running.was_cold()) running.shutdown();
    std::cerr << (running.was_cold()
                      ? "plait worker: stopping at once\n"
                      : "plait worker: stopping when what runs has ended; once more: "
                        "at once\n");
  }
}

task<> worker::core::run_there() {
  const auto chosen = complete();
  const auto& of_app = application.options();
  const auto new_pool = [&chosen] {
    return std::make_shared<process_pool_executor>(process_pool_options{
        .max_workers = chosen.concurrency, .max_tasks_per_child = chosen.max_tasks_per_child});
  };
  std::shared_ptr<process_pool_executor> processes;
  if (chosen.pool == pool_kind::processes) processes = new_pool();
  thread_pool_options thread_options;
  thread_options.max_workers = chosen.concurrency;
  thread_options.thread_name_prefix = "task";
  thread_pool_executor threads(std::move(thread_options));

  auto broker = co_await detail::open_transport(of_app.broker);
  std::unique_ptr<detail::transport> apart;
  if (!of_app.backend.empty() && of_app.backend != of_app.broker &&
      !of_app.backend.starts_with("rpc://"))
    apart = co_await detail::open_transport(of_app.backend);
  detail::worker_engine here(
      application.core_->tasks, *broker, apart != nullptr ? apart->backend() : broker->backend(),
      {processes.get(), &threads},
      {.options = chosen,
       .result_expires = of_app.result_expires,
       .default_queue = of_app.queue,
       .new_processes =
           [&] {
             auto broken = std::exchange(processes, new_pool());
             // It may still have calls to end, for which the loop must not wait.
             static_cast<void>(
                 threads.submit([old = std::move(broken)]() mutable { old.reset(); }));
             return processes.get();
           },
       .facts = told_of(of_app, chosen)});
  {
    const std::lock_guard lock(mutex);
    loop = &event_loop::current();
    engine = &here;
    for (; stops_before != 0; --stops_before) here.shutdown();
  }
  std::cerr << "plait worker " << chosen.hostname << ": " << chosen.concurrency
            << (processes ? " processes" : " threads") << ", " << application.core_->tasks.size()
            << " tasks\n";
  const auto watching = spawn(watch_signals(here));
  std::exception_ptr failed;
  try {
    co_await here.run();
  } catch (...) {
    failed = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex);
    loop = nullptr;
    engine = nullptr;
  }
  cold = here.was_cold();
  watching.cancel();
  try {
    co_await watching;
  } catch (const cancelled_error&) {
  }
  co_await broker->close();
  if (apart != nullptr) co_await apart->close();
  if (failed != nullptr) std::rethrow_exception(failed);
}

int worker::run() {
  const auto kept = core_;
  plait::run(kept->run_there());
  return kept->cold ? 1 : 0;
}

void worker::shutdown() {
  const std::lock_guard lock(core_->mutex);
  if (core_->loop == nullptr) {
    ++core_->stops_before;
    return;
  }
  // The loop is there as long as the mutex keeps it; whether the engine is, it looks when it comes.
  core_->loop->submit([kept = core_] {
    const std::lock_guard inner(kept->mutex);
    if (kept->engine != nullptr) kept->engine->shutdown();
  });
}

}  // namespace plait::celery
