// plait/coroutines/spawned_call.hpp: a coroutine that was started, its arguments, its flow and the
// shared state of its future, in one block.
//
// Beside the types it has a node: what the task is among the tasks that somebody keeps a list of.
// A spawned_task is in its loop's list, a group_child (task_group.hpp) in its group's.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "plait/core/call.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/task.hpp"

namespace plait {

// What can be said of a task beside its function and arguments.
struct task_options {
  // For people: in `plait ps`, in error messages, by current_task(). Copied.
  std::string_view name = {};
};

namespace detail {

// Where a started task comes from.
struct task_origin {
  const void* where;
  const context* creator;  // what task locals are inherited from, or null
  std::string_view name;
};

enum class task_end { value, failed, cancelled };

class task_node : public job, public completion {
 public:
  context& flow() noexcept { return flow_; }
  const context& flow() const noexcept { return flow_; }
  // "task NAME submitted in ...": what describe() of its future says.
  virtual std::string describe_task() const = 0;
  virtual const state_base* result() const noexcept = 0;  // what its future shares

 protected:
  task_node(loop_queue& queue, const context* parent, const task_origin& origin)
      : flow_(queue, parent, origin.where) {
    flow_.inherit_locals(origin.creator);
    if (!origin.name.empty()) flow_.set_name(origin.name);
  }
  ~task_node() = default;
  void begin(std::coroutine_handle<> frame, task_promise_base& promise) noexcept {
    promise.flow = &flow_;
    promise.continue_with(static_cast<completion&>(*this));
    waiter::run_frames(flow_, frame);
  }

  // A stop from any thread travels as a job, at most one a task. Whoever wins begin_stop() posts it,
  // and until it has arrived the loop stays, even if the task has ended meanwhile.
  enum class stop_request : std::uint8_t { nobody, somebody, too_late };
  stop_request begin_stop() noexcept {  // returns what was there before
    auto before = stop_request::nobody;
    asked_.compare_exchange_strong(before, stop_request::somebody);
    return before;
  }
  bool stop_asked() const noexcept {
    return asked_.load(std::memory_order_relaxed) != stop_request::nobody;
  }
  void stop_arrived() noexcept;
  // On the loop, before the task is done.
  void refuse_stops() noexcept {
    if (asked_.exchange(stop_request::too_late) == stop_request::somebody && !stop_arrived_)
      expect_stop();
  }

 private:
  void expect_stop() noexcept;
  context flow_;
  std::atomic<stop_request> asked_{stop_request::nobody};
  bool stop_arrived_ = false;
};

// A task that was started by submit or spawn: one node of the loop's list of live tasks.
class spawned_task : public task_node {
 public:
  // The next in the loop's list of live tasks.
  spawned_task* next_live() const noexcept { return next_; }

 protected:
  using home_type = loop_queue;
  spawned_task(loop_queue& queue, const task_origin& origin) : task_node(queue, nullptr, origin) {}
  ~spawned_task() = default;
  // On the loop: runs the frame up to its first suspension.
  void start(std::coroutine_handle<> frame, task_promise_base& promise) noexcept;
  void unlink() noexcept;
  // What becomes of the end of the task: here its future tells it, and nobody else.
  static constexpr bool failures_are_heard = false;
  struct end_listener {
    void ended(task_end, std::exception_ptr) const noexcept {}
  };
  end_listener listener_of_the_end() const noexcept { return {}; }
  void leave_unstarted() noexcept {}

 private:
  spawned_task *previous_ = nullptr, *next_ = nullptr;
};

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
  spawned_call(typename Node::home_type& home, const task_origin& origin, G&& f, As&&... args)
      : state<value>(1, origin.where),
        Node(home, origin),
        f_(std::forward<G>(f)),
        args_(std::forward<As>(args)...) {}

  void run() noexcept override {
    if (!this->try_claim_at_home()) return forget();
    std::exception_ptr error;  // given on behind the handler, whose hold on it ends there
    try {
      if constexpr (takes_stop_token<F, Args...>) {
        frame_ =
            std::apply(f_, std::tuple_cat(std::tuple(this->flow().stop_token()), std::move(args_)))
                .release();
      } else {
        frame_ = std::apply(f_, std::move(args_)).release();
      }
    } catch (...) {  // no memory for the frame, or an argument that cannot be moved
      error = std::current_exception();
    }
    if (error != nullptr) {
      this->leave_unstarted();
      this->flow().drop_locals();
      this->refuse_stops();
      return give(std::move(error));
    }
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
  void completed() noexcept override {
    this->flow().queue().running = nullptr;  // who hears of the end is no part of the flow
    this->unlink();
    this->flow().drop_locals();
    if (!this->is_private() || this->stop_asked()) this->refuse_stops();  // R7: who else could ask?
    auto& promise = frame_.promise();
    if (promise.error() != nullptr) return fail(std::move(promise.error()));
    const auto listener = this->listener_of_the_end();
    if constexpr (std::is_void_v<value>) {
      frame_.destroy();
      this->finish_value();
    } else {
      std::exception_ptr error;
      try {
        value result = promise.take();
        frame_.destroy();
        this->finish_value(std::move(result));
      } catch (...) {
        error = std::current_exception();
      }
      if (error != nullptr) return fail(std::move(error));
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
