// plait/coroutines/spawned_call.hpp: a coroutine that was started, its arguments, its flow and the
// shared state of its future, in one block.
//
// Beside the types it has a node (task_node.hpp): what the task is among the tasks that somebody
// keeps a list of.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "plait/core/call.hpp"
#include "plait/coroutines/await_future.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/coroutines/task_node.hpp"

namespace plait {

// What can be said of a task beside its function and arguments.
struct task_options {
  // For people: in `plait ps`, in error messages, by current_task(). Copied.
  std::string_view name = {};
};

namespace detail {

template <class T>
struct hand_over {
  task<T> operator()(task<T> t) const noexcept { return t; }
};

template <class Node, class F, class... Args>
class spawned_call final : public state<typename task_value<call_result_t<F, Args...>>::type>,
                           public Node {
  using task_type = call_result_t<F, Args...>;
  using value = typename task_value<task_type>::type;

 public:
  template <class G, class... As>
  spawned_call(typename Node::home_type& home, const void* where, G&& f, As&&... args)
      : state<value>(1, where),
        Node(home, where),
        f_(std::forward<G>(f)),
        args_(std::forward<As>(args)...) {}

  // Between its making and its start: its name, and what it has of its creator, who may be null. If
  // there is no memory for that, it is gone.
  void inherit(const context* creator, std::string_view name) {
    if (!name.empty()) [[unlikely]]
      take_name(name);
    this->flow().inherit_locals(creator);
  }

  void run() noexcept override {
    if (!this->try_claim_at_home()) [[unlikely]]
      return forget();
    if (make_frame()) [[likely]]
      this->start(frame_, frame_.promise());
  }
  void drop() noexcept override {
    if (!this->try_claim()) return forget();
    this->leave_unstarted();
    this->flow().drop_locals();
    this->refuse_stops();
    const auto listener = this->listener_of_the_end();
    this->finish(state_base::outcome::cancelled);
    listener.ended(task_end::cancelled, nullptr);
  }
  bool is_call() const noexcept override { return !Node::failures_are_heard; }
  bool completes_here() const noexcept override { return this->flow().loop().is_current(); }
  const void* home_queue() const noexcept override { return &this->flow().queue(); }
  void completed() noexcept override {
    this->flow().queue().running = nullptr;  // who hears of the end is no part of the flow
    this->unlink();
    this->flow().drop_locals();
    const bool at_home = this->is_private();
    if (!at_home || this->stop_asked()) [[unlikely]]  // R7: who else could ask?
      this->refuse_stops();
    auto& promise = frame_.promise();
    if (promise.error() != nullptr) [[unlikely]]
      return fail(std::move(promise.error()));
    if constexpr (std::is_void_v<value>) {
      this->put_value();
    } else if constexpr (std::is_nothrow_move_constructible_v<value>) {
      this->put_value(std::move(promise.value()));
    } else {
      std::exception_ptr error;
      try {
        this->put_value(std::move(promise.value()));
      } catch (...) {
        error = std::current_exception();
      }
      if (error != nullptr) return fail(std::move(error));
    }
    frame_.destroy();
    const auto listener = this->listener_of_the_end();
    if (at_home) {
      future_awaiter_base::resume_at_end(this->finish_at_home(state_base::outcome::value));
    } else {
      this->finish(state_base::outcome::value);
    }
    listener.ended(task_end::value, nullptr);
  }
  std::string describe_task() const override { return describe(); }
  const state_base* result() const noexcept override { return this; }
  job_origin origin() const noexcept override {
    const void* frame = frame_.address();
    if constexpr (std::is_same_v<F, hand_over<typename task_value<task_type>::type>>)
      if (frame == nullptr) frame = std::get<0>(args_).frame().address();
    return {this->flow().own_name().data(), typeid(F).name(), code_of_frame(frame), this->where()};
  }
  std::string describe() const override {
    // While the task runs, its name may change on its loop's thread.
    const bool readable = this->is_done() || completes_here();
    const auto name = readable ? this->flow().own_name() : std::string_view();
    return "task " + (name.empty() ? demangled(typeid(F).name()) : std::string(name)) +
           " submitted " + describe_address(this->where());
  }

 protected:
  bool request_stop() noexcept override {
    auto* request = new (std::nothrow) stop_job(*this);
    if (request == nullptr) return false;
    const auto before = this->begin_stop();
    if (before != Node::stop_request::nobody) {
      delete request;
      return before == Node::stop_request::somebody;
    }
    this->add_ref();
    return this->flow().loop().deliver(*request);
  }

 private:
  void take_name(std::string_view name) {
    try {
      this->flow().set_name(name);
    } catch (...) {
      delete this;
      throw;
    }
  }
  // False if that failed: then the future has the exception.
  bool make_frame() noexcept {
    std::exception_ptr error;  // given on behind the handler, whose hold on it ends there
    try {
      if constexpr (takes_stop_token<F, Args...>) {
        frame_ =
            std::apply(f_, std::tuple_cat(std::tuple(this->flow().stop_token()), std::move(args_)))
                .release();
      } else {
        frame_ = std::apply(f_, std::move(args_)).release();
      }
      return true;
    } catch (...) {  // no memory for the frame, or an argument that cannot be moved
      error = std::current_exception();
    }
    this->leave_unstarted();
    this->flow().drop_locals();
    this->refuse_stops();
    give(std::move(error));
    return false;
  }
  struct stop_job final : job {
    explicit stop_job(spawned_call& c) noexcept : call(c) {}
    void run() noexcept override {
      call.stop_arrived();
      call.release();
      delete this;
    }
    void drop() noexcept override { run(); }
    spawned_call& call;
  };
  // The future was cancelled before the task began.
  void forget() noexcept {
    this->leave_unstarted();
    this->flow().drop_locals();
    const auto listener = this->listener_of_the_end();
    this->release();
    listener.ended(task_end::cancelled, nullptr);
  }
  void fail(std::exception_ptr error) noexcept {
    frame_.destroy();
    give(std::move(error));
  }
  void give(std::exception_ptr error) noexcept {
    bool cancelled = false;
    try {
      std::rethrow_exception(error);
    } catch (const cancelled_error&) {
      cancelled = true;
    } catch (...) {
    }
    const auto listener = this->listener_of_the_end();
    if (cancelled && this->flow().stopping()) {
      this->finish(state_base::outcome::cancelled);
    } else if constexpr (Node::failures_are_heard) {
      this->add_ref();
      this->finish_exception(error);
      this->retrieve();
      this->release();
    } else {
      this->finish_exception(std::move(error));
    }
    listener.ended(cancelled ? task_end::cancelled : task_end::failed, std::move(error));
  }

  [[no_unique_address]] F f_;
  [[no_unique_address]] std::tuple<Args...> args_;
  typename task_type::handle frame_;
};

}  // namespace detail
}  // namespace plait
