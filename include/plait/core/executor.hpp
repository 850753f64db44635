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
#include "plait/core/map.hpp"

namespace plait {

// How an executor ends. Whatever is chosen, no future is left without a result.
struct shutdown_options {
  // What becomes of calls that have not begun.
  enum class pending_calls { run, cancel } pending = pending_calls::run;
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
    return submit_from(detail::here(), std::forward<F>(f), std::forward<Args>(args)...);
  }

  // f over every element of `items`, results in order, lazily: a window of calls is under way, the
  // rest of `items` is read as results are taken. An lvalue range must outlive the result. The
  // first exception ends the iteration; what is then under way is cancelled.
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return detail::make_map(closure_submitter<F>{*this, std::move(f), detail::here()},
                            std::forward<Range>(items), options, default_window());
  }

 protected:
  local_executor() = default;
  virtual ~local_executor() = default;
  // Takes the job over and returns true, or returns false: the engine has been shut down.
  virtual bool post(detail::job& job) noexcept = 0;
  // How many calls map keeps under way when it is not told.
  virtual std::size_t default_window() const noexcept = 0;

 private:
  template <class F, class... Args>
  auto submit_from(const void* where, F&& f, Args&&... args) {
    using result = detail::call_result_t<F, Args...>;
    auto* call = new detail::call<result, std::decay_t<F>, std::decay_t<Args>...>(
        *this, where, std::forward<F>(f), std::forward<Args>(args)...);
    auto handle = detail::access::adopt<result>(call);
    if (!post(*call)) [[unlikely]] {
      call->drop();
      throw executor_shutdown();
    }
    return handle;
  }

  template <class F>
  struct closure_submitter {
    local_executor& engine;
    F f;
    const void* where;
    template <class Item>
    auto one(Item&& item) {
      return engine.submit_from(where, f, std::forward<Item>(item));
    }
    template <class Item>
    auto many(std::vector<Item> items) {
      return engine.submit_from(where, detail::chunk_call<F>{f}, std::move(items));
    }
  };
};

// Anything that runs calls and answers with futures: thread pools, event loops, process pools.
template <class E>
concept executor = requires(E& engine, int (*f)(int)) {
  { engine.submit(f, 1) } -> std::same_as<future<int>>;
  engine.shutdown();
};

}  // namespace plait
