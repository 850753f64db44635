// plait/coroutines/task_group.hpp: a scope that ends only when the tasks started in it have ended.
//
//   co_await plait::with_task_group([&](plait::task_group& group) -> plait::task<> {
//     group.start(serve, port);
//     while (auto url = co_await urls.get()) group.start(fetch, *url);
//   });                                    // here every child has ended
//
// trio's nursery, asyncio's TaskGroup. The scope is a function that is awaited, not an object, since
// a C++ destructor cannot wait: so nothing that was started can be forgotten. Children may start
// further children, as long as one of them or the body runs.
//
// Failures: the first one stops the other children and the body; when all have ended, all failures
//           are thrown as one exception_group, a single one too. A cancelled_error that nobody asked
//           for counts as asyncio counts it: a child that ends so just ends; a body that ends so
//           stops the children, and the error goes through.
// Stops:    a stop from outside stops the body and the children, waits for them, and is thrown as
//           cancelled_error (or as the exception_group if something failed), unless all of them
//           finished despite it. group.cancel() does the same, but is no error. A child that is
//           started in a stopping group begins, and is stopped at its first await.
// Threads:  the group and its children belong to the awaiting task's loop.
// Throws:   see Failures. start(): invalid_state once the last child and the body have ended.
// Cost:     start() allocates the child and its frame, together about 350 bytes, which are given
//           back when the child ends, not when the group does.
// Example:  examples/coroutines/task_group.cpp
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "plait/core/exception_group.hpp"
#include "plait/coroutines/child.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/spawned_call.hpp"

namespace plait {

namespace detail {

class group_core;

// A task in a group: one node of its list.
class group_child : public task_node {
 public:
  group_child *previous_in_group = nullptr, *next_in_group = nullptr;

 protected:
  using home_type = group_core;
  group_child(group_core& group, const void* where) noexcept;
  ~group_child() = default;
  void start(std::coroutine_handle<> frame, task_promise_base& promise) noexcept {
    begin(frame, promise);
  }
  void unlink() noexcept;
  void leave_unstarted() noexcept { unlink(); }
  // The group throws what its children threw: their futures need not be asked as well.
  static constexpr bool failures_are_heard = true;
  struct end_listener {
    group_core& group;
    void ended(task_end how, std::exception_ptr error) const noexcept;
  };
  end_listener listener_of_the_end() const noexcept { return {group_}; }

 private:
  group_core& group_;
};

// The part of a group that does not depend on types: what the flow that opened it waits in.
class group_core : public child_owner {
 public:
  context& parent() const noexcept { return flow(); }
  std::size_t size() const noexcept { return running_ - (body_ended_ ? 0 : 1); }
  void check_open() const;
  void add(group_child& child) noexcept;
  void remove(group_child& child) noexcept;
  void ended(task_end how, std::exception_ptr error) noexcept;
  void cancel() noexcept;

  void begin_body(child_base& body) noexcept;
  // In await_resume: throws what the scope ends with, if it ends badly; returns false if the body
  // was stopped by cancel().
  bool finish();

  std::string waits_for() const final;
  bool ends_from_within() const noexcept final { return true; }
  void visit_children(flow_visitor& visitor) const final;

 protected:
  group_core() = default;
  ~group_core() = default;
  virtual std::exception_ptr body_error() const noexcept = 0;

 private:
  void note_failure(std::exception_ptr error) noexcept;
  void stop_all() noexcept;
  void stop() noexcept final;
  void child_ended(child_base& body) noexcept final;

  child_base* body_ = nullptr;
  group_child *oldest_ = nullptr, *newest_ = nullptr;
  std::size_t running_ = 0;  // with the body
  std::vector<std::exception_ptr> failures_;
  bool body_ended_ = false;
  bool stopping_ = false;
  bool cancelled_ = false;  // by cancel()
  bool cut_short_ = false;  // a stop from outside has cost somebody its result
};

}  // namespace detail

class task_group : private detail::group_core {
 public:
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;

  // Starts a child: a coroutine function and its arguments, which are decay-copied and live as long
  // as the child; or a task or any other awaitable. The future gives its result and can cancel it,
  // which is no failure; it need not be kept.
  template <class F, class... Args>
  [[gnu::always_inline]] auto start(F&& f, Args&&... args) {
    return start_from(detail::here(), {}, std::forward<F>(f), std::forward<Args>(args)...);
  }
  // start, with more to say of the child:
  //   group.with({.name = url}).start(fetch, url);
  class configured;
  configured with(task_options options) noexcept;

  // Asks the body and every child to stop; with_task_group then returns without an error. If the
  // body was to give a value and could not, cancelled_error is thrown all the same.
  void cancel() noexcept { group_core::cancel(); }
  // How many children have not ended, without the body.
  std::size_t size() const noexcept { return group_core::size(); }

 protected:
  task_group() = default;
  ~task_group() = default;
  // For the scope that is awaited.
  using group_core::begin_body;
  using group_core::finish;
  using group_core::parent;
  using group_core::suspend;
  using group_core::unsuspend;
  detail::child_owner& owner() noexcept { return *this; }

 private:
  template <class F, class... Args>
  auto start_from(const void* where, std::string_view name, F&& f, Args&&... args);
};

class task_group::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto start(F&& f, Args&&... args) {
    return group_.start_from(detail::here(), options_.name, std::forward<F>(f),
                             std::forward<Args>(args)...);
  }

 private:
  friend task_group;
  configured(task_group& group, task_options o) noexcept : group_(group), options_(o) {}
  task_group& group_;
  task_options options_;
};
inline task_group::configured task_group::with(task_options options) noexcept {
  return {*this, options};
}

template <class F, class... Args>
auto task_group::start_from(const void* where, std::string_view name, F&& f, Args&&... args) {
  if constexpr (sizeof...(Args) == 0 && requires { typename detail::await_result<F>; }) {
    auto operand = detail::to_task(std::forward<F>(f));
    using value = typename decltype(operand)::value_type;
    return start_from(where, name, detail::hand_over<value>(), std::move(operand));
  } else {
    using result = detail::call_result_t<F, Args...>;
    static_assert(detail::is_task<result>,
                  "task_group::start(f, args...): f must be a coroutine function (return a "
                  "plait::task); start(to_thread(f, args...)) runs a blocking call beside");
    using call = detail::spawned_call<detail::group_child, std::decay_t<F>, std::decay_t<Args>...>;
    check_open();
    auto* child = new call(static_cast<group_core&>(*this), where, std::forward<F>(f),
                           std::forward<Args>(args)...);
    child->inherit(detail::context::running(), name);
    add(*child);
    return detail::access::adopt<typename detail::task_value<result>::type>(child);
  }
}

namespace detail {

template <class Body, class T>
class group_scope final : public task_group {
 public:
  explicit group_scope(Body body) : body_(std::move(body)) {}
  group_scope(group_scope&& other) noexcept : body_(std::move(other.body_)) {}  // before awaiting

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    try {
      task_group& group = *this;
      task_.emplace(owner(), parent(), body_(group));
    } catch (...) {
      unsuspend();
      throw;
    }
    begin_body(*task_);
    return true;
  }
  T await_resume() {
    const bool whole = finish();
    if constexpr (std::is_void_v<T>) {
      if (whole) task_->take();
    } else {
      return task_->take();
    }
  }

 private:
  std::exception_ptr body_error() const noexcept override { return task_->error(); }
  Body body_;
  std::optional<child<T>> task_;
};

}  // namespace detail

// co_await gives what the body gives. The body, a callable that takes a task_group& and returns a
// task, is kept until the scope has ended, so it may capture.
template <class Body>
[[nodiscard]] auto with_task_group(Body body) {
  using task_type = std::invoke_result_t<Body&, task_group&>;
  static_assert(detail::is_task<task_type>,
                "with_task_group(body): body must be a coroutine function that takes a "
                "plait::task_group& and returns a plait::task");
  return detail::group_scope<Body, typename detail::task_value<task_type>::type>(std::move(body));
}

}  // namespace plait
