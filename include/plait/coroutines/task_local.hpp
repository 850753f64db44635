// plait/coroutines/task_local.hpp: a variable of which each task sees its own value.
//
//   const plait::task_local<std::string> request_id{"none"};
//   const auto scope = request_id.bind("7f3a");      // until the end of the scope
//   log(request_id.get());                           // here, and in all that starts here
//
// Python's contextvars: a task begins with the values of the task that started it, and what it
// binds afterwards is seen by itself and by what it starts, by nobody else. What runs in a gather, a
// timeout, a group or a shield is started by the task that awaits it. A task that is submitted from
// another thread, or from another loop, begins with none.
//
// Threads:  the values belong to their loop's thread; elsewhere get() gives the initial value.
// Throws:   bind() outside tasks: invalid_state.
// Cost:     nothing for tasks without values; else one count a task that is started. get() looks
//           through the values that the task has, one by one; bind() copies their list.
#pragma once

#include <cstddef>
#include <utility>

#include "plait/coroutines/context.hpp"

namespace plait {
namespace detail {

// A value and who holds it: sets of values, and scopes that will bring it back.
class task_local_value {
 public:
  void add_ref() const noexcept { ++refs_; }
  void release() const noexcept {
    if (--refs_ == 0) delete this;
  }

 protected:
  task_local_value() = default;
  virtual ~task_local_value() = default;

 private:
  mutable std::size_t refs_ = 1;
};

class task_local_base {
 public:
  task_local_base(const task_local_base&) = delete;
  task_local_base& operator=(const task_local_base&) = delete;

 protected:
  task_local_base() = default;
  ~task_local_base() = default;
  // What the running flow sees; null: nothing but the initial value.
  const task_local_value* find() const noexcept;
  friend class task_local_scope;
};

// Brings back at its end what the flow saw at its begin.
class [[nodiscard]] task_local_scope {
 public:
  // Takes a reference of `value` over.
  task_local_scope(const task_local_base& variable, const task_local_value* value);
  task_local_scope(const task_local_scope&) = delete;
  task_local_scope& operator=(const task_local_scope&) = delete;
  ~task_local_scope();

 private:
  context& flow_;
  const task_locals* before_;  // one reference, or null
};

}  // namespace detail

template <class T>
class task_local : private detail::task_local_base {
 public:
  explicit task_local(T initial = T()) : initial_(std::move(initial)) {}

  // Good until the value is bound anew, or its scope or task ends.
  const T& get() const noexcept {
    const auto* found = find();
    return found != nullptr ? static_cast<const holder*>(found)->value : initial_;
  }
  // The running task sees `value` until the scope ends. Scopes nest as blocks do.
  detail::task_local_scope bind(T value) const {
    return detail::task_local_scope(*this, new holder(std::move(value)));
  }

 private:
  struct holder final : detail::task_local_value {
    explicit holder(T v) : value(std::move(v)) {}
    T value;
  };
  T initial_;
};

}  // namespace plait
