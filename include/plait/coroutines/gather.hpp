// plait/coroutines/gather.hpp: run tasks side by side and wait for all of them.
//
//   std::vector<page> pages = co_await gather(std::move(tasks));
//   auto [user, orders] = co_await gather(load_user(id), load_orders(id));
//
// Fail-fast: the first failure stops the others, waits until they have ended, and is rethrown; what
// else failed goes to the unhandled-exception handler. Nothing outlives the co_await. To have all
// results, failures too: gather_settled (settled.hpp). To have all failures: with_task_group.
//
// Threads:  the children run on the awaiting task's loop, interleaved, never in parallel.
// Stops:    a stop of the awaiting task stops every child, then waits for them.
// Throws:   the first failure; cancelled_error when stopped.
// Cost:     about 100 bytes a child beside its frame; results in the order of the operands.
// Example:  examples/coroutines/fetch_all.cpp
#pragma once

#include <coroutine>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "plait/coroutines/child.hpp"

namespace plait {
namespace detail {

// The part of gather that does not depend on types.
class gather_base : public child_owner {
 public:
  std::string waits_for() const final;
  bool ends_from_within() const noexcept final { return true; }

 protected:
  gather_base() = default;
  ~gather_base() = default;
  void expect(std::size_t children) noexcept { remaining_ = children; }
  void failed(std::exception_ptr error) noexcept;
  void rethrow_first();
  std::size_t remaining_ = 0;

 private:
  void stop() noexcept override { stop_children(); }
  virtual void stop_children() noexcept = 0;
  std::exception_ptr first_error_;
};

template <class T>
class gather_many final : public gather_base {
 public:
  explicit gather_many(std::vector<task<T>> tasks) : tasks_(std::move(tasks)) {}
  gather_many(gather_many&& other) noexcept : tasks_(std::move(other.tasks_)) {}  // before awaiting

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    const std::size_t n = tasks_.size();
    children_.reserve(n);
    if (!suspend(frame)) return false;
    expect(n);
    children_.adopt(*this, flow(), tasks_);
    if (n == 0) unsuspend();
    return n != 0;
  }
  std::conditional_t<std::is_void_v<T>, void, std::vector<stored<T>>> await_resume() {
    rethrow_first();
    if constexpr (!std::is_void_v<T>) {
      std::vector<T> results;
      results.reserve(static_cast<std::size_t>(children_.end() - children_.begin()));
      for (auto& c : children_) results.push_back(c.take());
      return results;
    }
  }

  void visit_children(flow_visitor& visitor) const override { children_.visit(visitor); }

 private:
  void child_ended(child_base& ended) noexcept override {
    auto error = static_cast<child<T>&>(ended).error();
    if (error != nullptr) failed(std::move(error));
    if (--remaining_ == 0) resume_next();
  }
  void stop_children() noexcept override { children_.stop(); }
  std::vector<task<T>> tasks_;
  child_array<T> children_;
};

template <class... Ts>
class gather_few final : public gather_base {
 public:
  explicit gather_few(task<Ts>... tasks) : tasks_(std::move(tasks)...) {}
  gather_few(gather_few&& other) noexcept : tasks_(std::move(other.tasks_)) {}  // before awaiting

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (!suspend(frame)) return false;
    expect(sizeof...(Ts));
    adopt(std::index_sequence_for<Ts...>());
    if constexpr (sizeof...(Ts) == 0) unsuspend();
    return sizeof...(Ts) != 0;
  }
  std::tuple<stored<Ts>...> await_resume() {
    rethrow_first();
    return std::apply([](auto&... c) { return std::tuple<stored<Ts>...>{take(*c)...}; }, children_);
  }

  void visit_children(flow_visitor& visitor) const override {
    std::apply([&](auto&... c) { ((c->ended() ? void() : visitor.visit(c->flow())), ...); },
               children_);
  }

 private:
  template <std::size_t... I>
  void adopt(std::index_sequence<I...>) {
    (std::get<I>(children_).emplace(*this, flow(), std::move(std::get<I>(tasks_))), ...);
    (std::get<I>(children_)->start(), ...);
  }
  template <class T>
  static stored<T> take(child<T>& c) {
    if constexpr (std::is_void_v<T>) {
      c.take();
      return {};
    } else {
      return c.take();
    }
  }
  void child_ended(child_base& ended) noexcept override {
    std::apply([&](auto&... c) { (note(*c, ended), ...); }, children_);
    if (--remaining_ == 0) resume_next();
  }
  template <class T>
  void note(child<T>& c, const child_base& ended) noexcept {
    if (static_cast<const child_base*>(&c) == &ended && c.error() != nullptr) failed(c.error());
  }
  void stop_children() noexcept override {
    std::apply([](auto&... c) { ((c->ended() ? void() : c->request_stop()), ...); }, children_);
  }
  std::tuple<task<Ts>...> tasks_;
  std::tuple<std::optional<child<Ts>>...> children_;
};

}  // namespace detail

// All of `tasks`; the results are a vector, or nothing for task<void>.
template <class T>
[[nodiscard]] auto gather(std::vector<task<T>> tasks) {
  return detail::gather_many<T>(std::move(tasks));
}

// All operands, each a task or any other awaitable; the results are a tuple, with an empty struct
// in the place of a void.
template <class... Awaitables>
[[nodiscard]] auto gather(Awaitables... awaitables) {
  return detail::gather_few<detail::awaited_value<Awaitables>...>(
      detail::to_task(std::move(awaitables))...);
}

}  // namespace plait
