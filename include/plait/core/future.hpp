// plait/core/future.hpp: one result that will exist once: a value, an exception, or cancelled.
//
// A future is a handle: copies share the result, compare equal, and order and hash by identity. A
// promise is the other end for code that produces a result by hand; executors make their own.
//
// Threads:  different handles may be used from different threads at once; one handle like an int.
// Blocks:   get, wait, wait_for, wait_until. On an event loop's thread they throw would_deadlock
//           instead; on a pool's own worker they run the awaited call if it has not begun.
// Throws:   get(): what the call threw, or cancelled_error. Any member of an empty future:
//           invalid_state.
// Cost:     a copy is one atomic increment; get() of a finished future one atomic load.
// Example:  examples/threads/fetch.cpp
#pragma once

#include <compare>
#include <cstddef>
#include <typeinfo>

#include "plait/core/state.hpp"

namespace plait {

template <class T = void>
class future;
template <class T = void>
class promise;

namespace detail {
struct access;  // the engines' door to a handle's state
[[noreturn]] void throw_no_state();
}  // namespace detail

// What a future can say and do whatever its type is. wait() and as_completed() speak to this.
class any_future {
 public:
  any_future() = default;
  any_future(const any_future& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_ref();
  }
  any_future(any_future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  any_future& operator=(any_future other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~any_future() {
    if (state_ != nullptr) state_->release();
  }

  // False for a default-constructed or moved-from handle.
  bool valid() const noexcept { return state_ != nullptr; }
  // True once a value, an exception or a cancellation is there.
  bool done() const { return checked().is_done(); }
  // True from the moment the call has begun until it is done.
  bool running() const { return checked().has_begun() && !done(); }
  bool cancelled() const { return done() && state_->is_cancelled(); }
  // Asks for the work to stop. A call that has not begun is cancelled at once; one that is running
  // hears it through its std::stop_token, if it takes one, or at its next co_await. Returns whether
  // the request reached anybody: false if the work is done or cannot hear.
  bool cancel() const { return checked().cancel(); }
  void wait() const { checked().wait(); }
  // Return done().
  template <class Rep, class Period>
  bool wait_for(const std::chrono::duration<Rep, Period>& span) const {
    return wait_until(
        detail::add_saturated(std::chrono::steady_clock::now(), detail::to_duration(span)));
  }
  bool wait_until(time_point deadline) const { return checked().wait_until(deadline); }
  // Blocks, then: null for a value, else the exception (cancelled_error for a cancellation).
  std::exception_ptr exception() const {
    wait();
    return state_->retrieve();
  }

  friend bool operator==(const any_future&, const any_future&) = default;
  friend auto operator<=>(const any_future& a, const any_future& b) noexcept {
    return std::compare_three_way{}(static_cast<const void*>(a.state_),
                                    static_cast<const void*>(b.state_));
  }

 protected:
  friend detail::access;
  explicit any_future(detail::state_base* adopted) noexcept : state_(adopted) {}
  detail::state_base& checked() const {
    if (state_ == nullptr) [[unlikely]]
      detail::throw_no_state();
    return *state_;
  }
  detail::state_base* state_ = nullptr;
};

template <class T>
class future : public any_future {
 public:
  using value_type = T;
  future() = default;

  // Blocks until done, then gives the value or throws. The reference lives as long as any handle.
  std::conditional_t<std::is_void_v<T>, void, const detail::stored<T>&> get() const& {
    wait();
    if constexpr (std::is_void_v<T>) {
      shared().value();
    } else {
      return shared().value();
    }
  }
  // As above, giving the value itself: moved out by the last handle, or if it cannot be copied
  // (other handles then see a moved-from value); copied otherwise.
  T get() && {
    wait();
    if constexpr (std::is_void_v<T>) {
      shared().value();
    } else if constexpr (std::is_copy_constructible_v<T>) {
      T& value = shared().value();
      if (state_->is_last_ref()) return std::move(value);
      return value;
    } else {
      return std::move(shared().value());
    }
  }
  // Calls f(future) once, when done: on the thread that finishes it, or here and now if it is done
  // already. Callbacks run in the order in which they were added. What f throws goes to the
  // unhandled-exception handler. f must not block.
  template <class F>
  void add_done_callback(F f) const;

 private:
  friend detail::access;
  explicit future(detail::state<T>* adopted) noexcept : any_future(adopted) {}
  detail::state<T>& shared() const { return static_cast<detail::state<T>&>(*state_); }
};

// The producing end. Movable; destroying it without a result leaves broken_promise in the future.
template <class T>
class promise {
 public:
  promise() : promise(nullptr) {}
  promise(promise&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), open_(std::exchange(other.open_, false)) {}
  promise& operator=(promise other) noexcept {
    std::swap(state_, other.state_);
    std::swap(open_, other.open_);
    return *this;
  }
  ~promise() {
    if (open_ && close()) {
      state_->finish_exception(std::make_exception_ptr(broken_promise()));
      state_->retrieve();  // nobody threw it, so nobody need hear of it unasked
    }
    if (state_ != nullptr) state_->release();
  }

  // Any number of handles to the one result.
  future<T> get_future() const;
  // Give the result and return true; false if the future was cancelled first: the result is then
  // dropped. Throw invalid_state the second time, and for a null exception.
  template <class... Args>
  requires std::is_constructible_v<detail::stored<T>, Args...>
  bool set_value(Args&&... args) {
    if (!close_checked()) return false;
    state_->finish_value(std::forward<Args>(args)...);
    return true;
  }
  bool set_exception(std::exception_ptr error) {
    if (error == nullptr) throw invalid_state("set_exception() was given no exception");
    if (!close_checked()) return false;
    state_->finish_exception(std::move(error));
    return true;
  }
  // True once a consumer has cancelled the future: the result is no longer wanted.
  bool cancelled() const {
    return state_ != nullptr && state_->is_done() && state_->is_cancelled();
  }

 private:
  friend detail::access;
  explicit promise(const void* where) : state_(new detail::state<T>(1, where)) {}
  // Wins the right to finish, or returns the completer's reference.
  bool close() noexcept {
    open_ = false;
    if (state_->try_claim()) return true;
    state_->release();
    return false;
  }
  bool close_checked() {
    if (state_ == nullptr) detail::throw_no_state();
    if (!open_) throw invalid_state("the promise has its result already");
    return close();
  }
  detail::state<T>* state_;
  bool open_ = true;
};

namespace detail {

struct access {
  // A promise for what follows from `f`: kept by another engine if that is a call of one, or follows
  // from one itself. (A task's loop may be the one that will await it.)
  template <class T, class Before>
  static promise<T> promise_after(const future<Before>& f) {
    const state_base* before = f.state_;
    if (before == nullptr) return promise<T>();
    const bool follows = typeid(*before) == typeid(state<Before>);
    return promise<T>(follows ? before->where() : before->identity().where);
  }
  // Takes over one reference.
  template <class T>
  static future<T> adopt(state<T>* s) noexcept {
    return future<T>(s);
  }
  static state_base* get(const any_future& f) noexcept { return f.state_; }
  static state_base& checked(const any_future& f) { return f.checked(); }
  // Gives the reference up; throws invalid_state for an empty future.
  static state_base* release(any_future& f) {
    auto& s = f.checked();
    f.state_ = nullptr;
    return &s;
  }
  template <class T>
  static state<T>& get(const future<T>& f) noexcept {
    return f.shared();
  }
  // The value of a finished call to which no other handle was ever given: moved out, copyable or
  // not. The state behind `f` is a state<T>.
  template <class T>
  static T take(any_future f) {
    return std::move(static_cast<state<T>&>(*f.state_).value());
  }
};

template <class T, class F>
class callback final : public observer {
 public:
  callback(F f, future<T> subject)
      : observer(&callback::call), f_(std::move(f)), subject_(std::move(subject)) {}
  static void call(observer* self) noexcept {
    auto* me = static_cast<callback*>(self);
    try {
      me->f_(std::move(me->subject_));
    } catch (...) {
      report_unhandled(std::current_exception(), "thrown by a done callback");
    }
    delete me;
  }

 private:
  F f_;
  future<T> subject_;
};

}  // namespace detail

template <class T>
template <class F>
void future<T>::add_done_callback(F f) const {
  auto* node = new detail::callback<T, F>(std::move(f), future((checked(), *this)));
  if (!state_->add_observer(*node)) detail::callback<T, F>::call(node);
}

template <class T>
future<T> promise<T>::get_future() const {
  if (state_ == nullptr) detail::throw_no_state();
  state_->add_ref();
  return detail::access::adopt(state_);
}

}  // namespace plait

template <class T>
struct std::hash<plait::future<T>> {
  std::size_t operator()(const plait::future<T>& f) const noexcept {
    return reinterpret_cast<std::size_t>(
               plait::detail::access::get(static_cast<const plait::any_future&>(f))) /
           alignof(std::max_align_t);
  }
};
