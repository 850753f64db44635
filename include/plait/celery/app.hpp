// plait/celery/app.hpp: background tasks that outlive the program that asked for them.
//
//   plait::celery::app app{{.broker = "sqlite:jobs.db"}};
//   const auto add = app.task("reports.add", [](int a, int b) { return a + b; });
//   add.delay(2, 3).get();                   // here
//   return app.worker({}).run();             // in another process, or on another machine
//
// Promise:  at least once, unless the task says acks_early. See docs/celery.md.
// Threads:  any thread; tasks are registered before workers and calls begin.
// Blocks:   the destructor, until what was sent is in the queue, at most ten seconds.
// Throws:   the constructor: std::invalid_argument for a URL that nobody knows. The store is first
//           visited with the first call: what is wrong with it arrives in the futures.
// Cost:     one thread for all calls of a program, started with the first.
// Example:  examples/celery/background_tasks.cpp
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "plait/celery/call_state.hpp"
#include "plait/celery/errors.hpp"
#include "plait/celery/registered_task.hpp"
#include "plait/celery/task_entry.hpp"
#include "plait/celery/worker.hpp"

namespace plait::celery {

class app {
 public:
  explicit app(app_options options);
  app(const app&) = delete;
  app& operator=(const app&) = delete;
  ~app();

  // Makes f known to this application's workers under a name that is the same everywhere. f is a
  // function, a lambda, or a coroutine function. Throws std::invalid_argument for a name twice.
  template <class F>
  auto task(std::string name, F f, task_options options = {}) {
    using call = detail::registered_task_of<std::decay_t<F>>;
    add(std::make_unique<detail::typed_entry<std::decay_t<F>>>(name, std::move(f), options));
    return call(*this, std::move(name), std::move(options));
  }

  // Sorted, without those that are built in.
  std::vector<std::string> task_names() const;

  // Calls a task that another program has, by its name.
  template <class R = value, class... Args>
  future<R> send_task(std::string name, const Args&... args) {
    return detail::send_for<R>(*this, {std::move(name), list{to_value(args)...}, {}, {}});
  }
  // A signature: of one call, with keyword arguments and options, or of a whole workflow: chain(),
  // group(), chord(), map(), starmap(), chunks(), one in the other as wanted. The result of a chain is
  // that of its last call, of a chord that of its body, of a group the list of its members'. To
  // cancel the future revokes all calls in it that have not begun.
  template <class R = value>
  future<R> send_signature(signature call, send_options options = {}) {
    return detail::send_signature_for<R>(*this, std::move(call), std::move(options));
  }
  // The calls one after the other, each with the result of the one before as its first argument
  // (unless it is immutable). The future is that of the last.
  template <class R = value>
  future<R> send_chain(std::vector<signature> calls, send_options options = {}) {
    return send_signature<R>(celery::chain(std::move(calls)), std::move(options));
  }
  // Calls `body` with the list of the header's results, when all of them are there. If one fails,
  // the body has failed with ChordError.
  template <class R = value>
  future<R> send_chord(std::vector<signature> header, signature body, send_options options = {}) {
    return send_signature<R>(celery::chord(std::move(header), std::move(body)), std::move(options));
  }
  // All at once, with a future for each. Throws std::invalid_argument for a group among them.
  template <class R = value>
  group_result<R> send_group(std::vector<signature> calls, send_options options = {});

  // What is known now of a call, whoever sent it. From rpc:// only of calls of this application.
  future<call_state> state_of(std::string id);
  // The result of a call, whoever sent it, when it is there. It waits as long as the application lives,
  // also for what nobody has sent: who gives up cancels the future, which ends the waiting and not the call.
  template <class R = value>
  future<R> result_of(std::string id) {
    return detail::result_for<R>(*this, std::move(id));
  }
  // A call that has not begun never does, whoever sent it.
  void revoke(std::string id);

  // Waits until nothing that was sent is on its way any more: the broker has it (or the outbox), or its
  // future says why not. False if `within` was too short for that; then it goes on all the same.
  // Blocks the thread: a coroutine lets a thread do this.
  bool flush(duration within = std::chrono::seconds(10));

  // What is needed to run calls here, as often as wanted. The application must outlive it.
  celery::worker worker(worker_options options = {}) {
    return celery::worker(*this, std::move(options));
  }

  const app_options& options() const noexcept;

 private:
  friend std::function<void()> detail::send(app&, detail::outgoing_call,
                                            std::unique_ptr<detail::result_sink>);
  friend std::function<void()> detail::wait_for(app&, std::string,
                                                std::unique_ptr<detail::result_sink>);
  friend detail::sent_workflow detail::send_all(app&, signature, send_options, detail::sinks,
                                                detail::hears);
  friend celery::worker;
  void add(std::unique_ptr<detail::task_entry> entry);
  struct core;
  std::unique_ptr<core> core_;
};

template <class R>
group_result<R> app::send_group(std::vector<signature> calls, send_options options) {
  group_result<R> made;
  detail::sinks all;
  for (std::size_t i = 0; i != calls.size(); ++i) {
    auto sink = std::make_unique<detail::typed_sink<R>>();
    made.results.push_back(sink->promise.get_future());
    all.push_back(std::move(sink));
  }
  auto sent = detail::send_all(*this, celery::group(std::move(calls)), std::move(options),
                               std::move(all), detail::hears::each_member);
  made.id = std::move(sent.id);
  for (std::size_t i = 0; i != sent.revokes.size(); ++i)
    detail::when_cancelled(made.results[i], std::move(sent.revokes[i]));
  return made;
}

}  // namespace plait::celery
