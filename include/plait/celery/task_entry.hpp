// plait/celery/task_entry.hpp: a registered function without its type, and how a worker calls it:
// JSON goes in, JSON comes out, whatever engine is between. Part of app.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "plait/celery/binding.hpp"
#include "plait/celery/context.hpp"
#include "plait/celery/options.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/processes/process_pool_executor.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::celery::detail {

// What a call is made of, on its way to the engine that runs it.
struct invocation {
  list args;  // by position
  context::facts facts;
};
std::string encode_invocation(const invocation& i);
invocation decode_invocation(std::string_view text);

// What came of it.
std::string reply_value(const value& v);
std::string reply_exception() noexcept;  // of what is being handled

// Where a call's own states go: context::update_state.
using state_update = std::function<void(std::string, value)>;
// From within a worker process, and on the other side.
state_update states_by_report(std::string id);
std::function<void(std::string_view)> to_each_state(std::string id, state_update update);

// Where calls run.
struct engines {
  process_pool_executor* processes = nullptr;  // null: pool_kind::threads
  thread_pool_executor* threads = nullptr;
};

// One call's way out of the worker's loop.
struct call_order {
  std::string invocation;
  process_call_options limits;
  std::string id;
  state_update update;
};

class task_entry {
 public:
  task_entry(std::string name, task_options options)
      : name_(std::move(name)), options_(std::move(options)) {}
  task_entry(const task_entry&) = delete;
  task_entry& operator=(const task_entry&) = delete;
  virtual ~task_entry() = default;
  const std::string& name() const noexcept { return name_; }
  const task_options& options() const noexcept { return options_; }
  // The arguments by position. Throws type_error, in Python's words, for too many or too few.
  virtual list bind(list args, dict kwargs) const = 0;
  virtual bool runs_in_process(const engines& e) const noexcept = 0;
  // The reply's text. On the worker's loop.
  virtual future<std::string> start(const engines& e, call_order order) const = 0;

 private:
  std::string name_;
  task_options options_;
};

template <class F>
std::string run_here(F& f, std::string_view text, std::stop_token stop, state_update update = {}) {
  try {
    auto i = decode_invocation(text);
    if (!update) update = states_by_report(i.facts.id);  // from within a worker process
    context self(std::move(i.facts), std::move(stop), std::move(update));
    return reply_value(call_bound(f, self, std::move(i.args), {}));
  } catch (...) {
    return reply_exception();
  }
}

// What runs in a worker process: of a function pointer, and of what has no state.
template <class F>
std::string run_function(F f, std::string text) {
  return run_here(f, text, this_call::stop_token());
}
template <class F>
std::string run_stateless(std::string text) {
  F f{};
  return run_here(f, text, this_call::stop_token());
}

// A coroutine on the worker's loop. The function object outlives the call.
template <class F>
task<std::string> run_on_loop(F& f, call_order order) {
  try {
    auto i = decode_invocation(order.invocation);
    context self(std::move(i.facts), co_await current_stop_token(), std::move(order.update));
    co_return reply_value(co_await call_bound_coroutine(f, self, std::move(i.args), {}));
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    co_return reply_exception();
  }
}

template <class F>
class typed_entry final : public task_entry {
 public:
  typed_entry(std::string name, F f, task_options options)
      : task_entry(std::move(name), std::move(options)), f_(std::move(f)) {}

  static constexpr bool is_coroutine = returns_task<F>;
  static constexpr bool is_pointer = std::is_pointer_v<F>;
  static constexpr bool travels =
      !is_coroutine && (is_pointer || (std::is_empty_v<F> && std::is_default_constructible_v<F>));

  list bind(list args, dict kwargs) const override {
    return options().parameters.bind(name(), shape<F>::arity, std::move(args), std::move(kwargs));
  }
  bool runs_in_process(const engines& e) const noexcept override {
    return travels && e.processes != nullptr;
  }
  future<std::string> start(const engines& e, call_order order) const override {
    if constexpr (is_coroutine) {
      return event_loop::current().spawn(run_on_loop(f_, std::move(order)), {.name = name()});
    } else {
      if constexpr (travels) {
        if (e.processes != nullptr) {
          order.limits.on_report = to_each_state(std::move(order.id), std::move(order.update));
          auto pool = e.processes->with(std::move(order.limits));
          if constexpr (is_pointer) {
            return pool.submit(&run_function<F>, f_, std::move(order.invocation));
          } else {
            return pool.submit(&run_stateless<F>, std::move(order.invocation));
          }
        }
      }
      return e.threads->submit([this, o = std::move(order)](std::stop_token stop) mutable {
        return run_here(f_, o.invocation, std::move(stop), std::move(o.update));
      });
    }
  }

 private:
  mutable F f_;
};

}  // namespace plait::celery::detail
