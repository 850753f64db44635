// plait/celery/registered_task.hpp: a task as its application calls it.
//
//   const auto add = app.task("reports.add", add_numbers);
//   plait::future<int> sum = add.delay(2, 3);
//   plait::future<int> later = add.apply_async({2, 3}, {.countdown = 10s, .queue = "slow"});
//
// Threads:  any thread, as long as the application lives.
// Blocks:   never: the message is on its way when delay() returns, and in the queue when the future
//           is done or the application is gone.
// Stops:    cancel() of the future revokes the call: one that has not begun never does.
// Throws:   futures: remote_error (what the task threw), cancelled_error (it was revoked),
//           timeout_error (its time limits), transport_error; with ignore_result no_result, as soon
//           as the message is in the queue.
// Cost:     one message; the result is waited for on one connection for all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "plait/celery/binding.hpp"
#include "plait/celery/options.hpp"
#include "plait/celery/signature.hpp"
#include "plait/core/future.hpp"

namespace plait::celery {

class app;

namespace detail {

// What hears of a call's end. One of the three, once.
struct result_sink {
  virtual ~result_sink() = default;
  virtual void value(const celery::value& v) = 0;  // may throw type_error
  virtual void failed(std::exception_ptr error) noexcept = 0;
  // Nobody waits any more.
  virtual bool unwanted() const noexcept = 0;
};

template <class R>
struct typed_sink final : result_sink {
  void value(const celery::value& v) override {
    if constexpr (std::is_void_v<R>) {
      promise.set_value();
    } else {
      promise.set_value(from_value<R>(v));
    }
  }
  void failed(std::exception_ptr error) noexcept override {
    promise.set_exception(std::move(error));
  }
  bool unwanted() const noexcept override { return promise.cancelled(); }
  plait::promise<R> promise;
};

struct outgoing_call {
  std::string task;
  list args;
  dict kwargs;
  send_options options;
};
// Returns what revokes the call, at any time, also when the application is gone.
std::function<void()> send(app& from, outgoing_call call, std::unique_ptr<result_sink> sink);
// Returns what ends the waiting.
std::function<void()> wait_for(app& from, std::string id, std::unique_ptr<result_sink> sink);
// The same of a workflow. One sink hears of the whole, or each of its own member of a group.
enum class hears : unsigned char { whole, each_member };
struct sent_workflow {
  std::string id;                              // of the group
  std::vector<std::function<void()>> revokes;  // one for each sink
};
using sinks = std::vector<std::unique_ptr<result_sink>>;
sent_workflow send_all(app& from, signature call, send_options options, sinks to, hears h);

template <class R>
void when_cancelled(const future<R>& result, std::function<void()> then) {
  result.add_done_callback([t = std::move(then)](const future<R>& f) {
    if (f.cancelled()) t();
  });
}

template <class R>
future<R> send_signature_for(app& from, signature call, send_options options) {
  auto sink = std::make_unique<typed_sink<R>>();
  auto result = sink->promise.get_future();
  sinks one;
  one.push_back(std::move(sink));
  auto sent = send_all(from, std::move(call), std::move(options), std::move(one), hears::whole);
  when_cancelled(result, std::move(sent.revokes.front()));
  return result;
}

template <class R>
future<R> send_for(app& from, outgoing_call call) {
  auto sink = std::make_unique<typed_sink<R>>();
  auto result = sink->promise.get_future();
  when_cancelled(result, send(from, std::move(call), std::move(sink)));
  return result;
}

template <class R>
future<R> result_for(app& from, std::string id) {
  auto sink = std::make_unique<typed_sink<R>>();
  auto result = sink->promise.get_future();
  when_cancelled(result, wait_for(from, std::move(id), std::move(sink)));
  return result;
}

}  // namespace detail

// What came of app::send_group(): each member's future, in order.
template <class R>
struct group_result {
  std::string id;  // for Python's GroupResult.restore(id)
  std::vector<future<R>> results;
  // Blocks: all of them, in order. Throws what the first that failed threw.
  auto get() const {
    if constexpr (std::is_void_v<R>) {
      for (const auto& each : results) each.get();
    } else {
      std::vector<R> all;
      all.reserve(results.size());
      for (const auto& each : results) all.push_back(each.get());
      return all;
    }
  }
};

// R(P...): the parameters as the caller sees them.
template <class Signature>
class registered_task;

template <class R, class... P>
class registered_task<R(P...)> {
 public:
  const std::string& name() const noexcept { return name_; }

  template <class... Args>
  requires std::is_constructible_v<std::tuple<P...>, Args...> future<R> delay(Args&&... args)
  const { return apply_async(std::tuple<P...>(std::forward<Args>(args)...)); }
  future<R> apply_async(std::tuple<P...> args, send_options options = {}) const {
    return detail::send_for<R>(*app_,
                               {name_, to_list(args), {}, with_defaults(std::move(options))});
  }
  // The call as a value: for chains, groups, chords and links.
  template <class... Args>
  requires std::is_constructible_v<std::tuple<P...>, Args...> celery::signature signature(
      Args&&... args)
  const { return signed_with(to_list(std::tuple<P...>(std::forward<Args>(args)...))); }
  // The last arguments of a call whose first ones come from the call before it: Celery's add.s(10).
  template <class... Args>
  requires(sizeof...(Args) <= sizeof...(P)) celery::signature partial(Args&&... args)
  const {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      constexpr std::size_t missing = sizeof...(P) - sizeof...(Args);
      using last = std::tuple<std::tuple_element_t<missing + I, std::tuple<P...>>...>;
      return signed_with(to_list(last(std::forward<Args>(args)...)));
    }
    (std::index_sequence_for<Args...>());
  }
  // The whole call: a result before it is not among its arguments. Celery's add.si(2, 3).
  template <class... Args>
  requires std::is_constructible_v<std::tuple<P...>, Args...> celery::signature immutable(
      Args&&... args)
  const {
    auto made = signature(std::forward<Args>(args)...);
    made.immutable = true;
    return made;
  }

 private:
  friend app;
  registered_task(celery::app& a, std::string name, task_options options)
      : app_(&a), name_(std::move(name)), options_(std::move(options)) {}
  template <class... A>
  static list to_list(const std::tuple<A...>& args) {
    return std::apply([](const auto&... each) { return list{to_value(each)...}; }, args);
  }
  // Where it goes travels with it, to programs that do not know the task.
  celery::signature signed_with(list args) const {
    celery::signature made{.task = name_, .args = std::move(args)};
    if (!options_.queue.empty()) made.options.set("queue", options_.queue);
    if (options_.priority != 0) made.options.set("priority", options_.priority);
    return made;
  }
  send_options with_defaults(send_options o) const {
    if (o.queue.empty()) o.queue = options_.queue;
    if (o.priority < 0) o.priority = options_.priority;
    o.ignore_result |= options_.ignore_result;
    return o;
  }
  celery::app* app_;
  std::string name_;
  task_options options_;
};

}  // namespace plait::celery
