// plait/core/executor.hpp: what every local engine offers: submit, map, and how they end.
//
// An engine derives from local_executor and says how a job is posted. Remote engines (processes)
// offer the same members over calls instead of closures.
//
// Threads:  submit and map may be called from any thread.
// Stops:    a call that was cancelled before it began never runs.
// Throws:   submit: executor_shutdown after shutdown, std::bad_alloc. The call's own exceptions
//           arrive in its future.
// Cost:     one allocation a call, recycled.
#pragma once

#include <concepts>

#include "plait/core/call.hpp"
#include "plait/core/call_options.hpp"
#include "plait/core/map.hpp"

namespace plait {

// How an executor ends. Whatever is chosen, no future is left without a result.
struct shutdown_options {
  // What becomes of calls that have not begun.
  enum class pending_calls { run, cancel } pending = pending_calls::run;
  // How long to be patient. After that the calls that have not begun are cancelled, and those that
  // are running are asked to stop through their std::stop_token; a process pool kills their workers.
  // Event loops do not look at it.
  duration grace = duration::max();
};

// A queue of calls with a limit is full, and the executor was told not to wait.
class executor_full : public error {
 public:
  executor_full() : error("cannot submit: the executor's queue is full (max_pending)") {}
};

class local_executor : public detail::call_home {
 public:
  local_executor(const local_executor&) = delete;
  local_executor& operator=(const local_executor&) = delete;

  // Runs f(args...) on the engine. f and args are decay-copied, and destroyed before the result can
  // be seen. If f can be called with a std::stop_token first, it is given one, which future::cancel
  // stops. Any copyable or movable callable and arguments will do.
  template <class F, class... Args>
  [[gnu::always_inline]] future<detail::call_result_t<F, Args...>> submit(F&& f, Args&&... args) {
    return submit_from(detail::here(), call_options(), std::forward<F>(f),
                       std::forward<Args>(args)...);
  }

  // f over every element of `items`, results in order, lazily: a window of calls is under way, the
  // rest of `items` is read as results are taken. An lvalue range must outlive the result. The
  // first exception ends the iteration; what is then under way is cancelled.
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return map_from(detail::here(), call_options(), std::move(f), std::forward<Range>(items),
                    options);
  }

  // f over two ranges side by side, f(item, other), up to the end of the shorter.
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return map_from(
        detail::here(), call_options(), detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }

  // submit and map, with more to say of the calls. The result is for immediate use.
  //   pool.with({.name = "thumbnail"}).submit(shrink, image);
  class configured;
  configured with(call_options options) noexcept;

 protected:
  local_executor() = default;
  // For an engine whose calls may outlive its handle: they are at home there instead of here.
  explicit local_executor(detail::call_home& home) noexcept : home_(&home) {}
  virtual ~local_executor() = default;
  enum class admission { accepted, closed, full };
  // Takes the job over, or says why not. If it throws, it has taken the job over and dropped it.
  virtual admission admit(detail::job& job, const call_options& options) = 0;
  // How many calls map keeps under way when it is not told.
  virtual std::size_t default_window() const noexcept = 0;

  template <class F, class... Args>
  auto submit_from(const void* where, const call_options& options, F&& f, Args&&... args) {
    using result = detail::call_result_t<F, Args...>;
    auto* call = new detail::call<result, std::decay_t<F>, std::decay_t<Args>...>(
        *home_, where, std::forward<F>(f), std::forward<Args>(args)...);
    call->set_name(options.name);
    auto handle = detail::access::adopt<result>(call);
    hand_over(*call, options);
    return handle;
  }
  // Throws, after dropping the job, when it is not accepted.
  void hand_over(detail::job& job, const call_options& options) {
    const admission answer = admit(job, options);
    if (answer != admission::accepted) [[unlikely]]
      refuse(job, answer);
  }

 private:
  detail::call_home* home_ = this;
  [[noreturn]] static void refuse(detail::job& job, admission why);

  template <class F>
  struct closure_submitter {
    local_executor& engine;
    F f;
    const void* where;
    call_options options;
    template <class Item>
    auto one(Item&& item) {
      return engine.submit_from(where, options, f, std::forward<Item>(item));
    }
    template <class Item>
    auto many(std::vector<Item> items) {
      return engine.submit_from(where, options, detail::chunk_call<F>{f}, std::move(items));
    }
  };
  template <class F, class Range>
  auto map_from(const void* where, const call_options& calls, F f, Range&& items,
                map_options options) {
    return detail::make_map(closure_submitter<F>{*this, std::move(f), where, calls},
                            std::forward<Range>(items), options, default_window());
  }
};

class local_executor::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    return engine_.submit_from(detail::here(), options_, std::forward<F>(f),
                               std::forward<Args>(args)...);
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return engine_.map_from(detail::here(), options_, std::move(f), std::forward<Range>(items),
                            options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return engine_.map_from(
        detail::here(), options_, detail::spread_call<F>{std::move(f)},
        detail::zipped<Range, Other>(std::forward<Range>(items), std::forward<Other>(others)),
        options);
  }

 private:
  friend local_executor;
  configured(local_executor& e, call_options o) noexcept : engine_(e), options_(o) {}
  local_executor& engine_;
  call_options options_;
};
inline local_executor::configured local_executor::with(call_options options) noexcept {
  return {*this, options};
}

// Anything that runs calls and answers with futures: thread pools, event loops, process pools.
template <class E>
concept executor = requires(E& engine, int (*f)(int)) {
  { engine.submit(f, 1) } -> std::same_as<future<int>>;
  engine.shutdown();
};

}  // namespace plait
