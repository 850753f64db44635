#include "plait/coroutines/event_loop.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "coroutines/loop_view.hpp"
#include "coroutines/poller.hpp"
#include "coroutines/ready_pool.hpp"
#include "coroutines/timer_wheel.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait {
namespace detail {

// The inbox: how other threads reach a loop
// -----------------------------------------
// One atomic pointer: a stack of posted jobs, newest first, or one of
//   null     empty, the loop is awake and will look
//   asleep   empty, the loop sleeps or is about to: the first to post must wake it
//   closed   the loop takes nothing more
// A poster exchanges the head for its job. Only the one that displaces `asleep` writes to the
// eventfd, whose number it read before it posted: after that write it touches nothing of the loop.
// The loop, waking for another reason while its `asleep` has been displaced, waits for that write:
// so a loop can be destroyed as soon as it has run the last job, with no poster still on its way.
class inbox {
 public:
  enum class sent { delivered, must_wake, refused };

  sent push(job& j) noexcept {
    job* head = head_.load(std::memory_order_relaxed);
    for (;;) {
      if (head == closed()) return sent::refused;
      j.next = head == asleep() ? nullptr : head;
      if (head_.compare_exchange_weak(head, &j, std::memory_order_seq_cst,
                                      std::memory_order_relaxed))
        return head == asleep() ? sent::must_wake : sent::delivered;
    }
  }
  bool might_have_jobs() const noexcept { return head_.load(std::memory_order_relaxed) != nullptr; }
  // Moves everything to the end of `to`, oldest first.
  void take(job_list<job>& to) noexcept { append(head_.exchange(nullptr), to); }
  // False if there is something in the inbox.
  bool fall_asleep() noexcept {
    job* expected = nullptr;
    return head_.compare_exchange_strong(expected, asleep());
  }
  // Ends sleep; returns whether somebody displaced `asleep` and so sends a wake-up.
  bool wake_up() noexcept {
    job* expected = asleep();
    return !head_.compare_exchange_strong(expected, nullptr);
  }
  void close(job_list<job>& to) noexcept { append(head_.exchange(closed()), to); }
  // Closed only if empty.
  bool close_if_empty() noexcept {
    job* expected = nullptr;
    return head_.compare_exchange_strong(expected, closed());
  }

 private:
  struct marker final : job {
    void run() noexcept override {}
    void drop() noexcept override {}
  };
  static job* asleep() noexcept {
    static marker m;
    return &m;
  }
  static job* closed() noexcept {
    static marker m;
    return &m;
  }
  static void append(job* newest, job_list<job>& to) noexcept {
    if (newest == closed()) return;
    job* oldest = nullptr;
    while (newest != nullptr) {
      job* next = std::exchange(newest->next, oldest);
      oldest = std::exchange(newest, next);
    }
    while (oldest != nullptr) to.push(*std::exchange(oldest, oldest->next));
  }
  std::atomic<job*> head_{nullptr};
};

struct loop_core {
  loop_core(loop_queue& q, const event_loop_options& options)
      : queue(q),
        clock(*options.clock),
        time_is_virtual(clock.jump_to(clock.now())),
        time_waits(clock.waits_for_other_engines()),
        order(options.schedule),
        poll(poller::open(options.poller)),
        timers(clock.now()),
        view(q, q.live, timers, options.stall_after) {}

  // A turn of the loop is run_ready(), then, unless that was all, find_more().
  void run_ready() noexcept {
    queue.now = loop_queue::unknown;
    queue.is_plain = order == nullptr && !stopping && !view.is_watched();
    if (!queue.is_plain) [[unlikely]]
      return order != nullptr ? run_as_drawn() : run_ready_watched();
    for (int budget = 256; budget != 0 && !queue.ready.empty(); --budget) queue.ready.pop()->run();
  }
  void run_ready_watched() noexcept {
    for (int budget = 256; budget != 0 && !queue.ready.empty(); --budget)
      view.run_watched(*queue.ready.pop());
  }
  // With a schedule: timers that are due stand beside the ready jobs until they are drawn.
  void run_as_drawn() noexcept {
    constexpr std::size_t timers_at_a_time = 64;
    for (int budget = 256;; --budget) {
      drawn_from.take(queue.ready);
      const std::size_t jobs = drawn_from.size();
      const std::size_t choices = jobs + timers.due_together(timers_at_a_time);
      if (choices == 0 || (budget <= 0 && jobs != 0)) break;
      const std::size_t chosen = choices == 1 ? 0 : std::min(order->choose(choices), choices - 1);
      if (chosen < jobs) {
        view.run_watched(drawn_from.draw(chosen));
      } else {
        timers.fire(chosen - jobs);
      }
    }
    drawn_from.put_back(queue.ready);
  }
  void fire_timers() noexcept {
    if (timers.empty()) return;
    const auto now = clock.now();
    if (!time_is_virtual) queue.now = now;
    if (order == nullptr) {
      timers.expire(now);
    } else {
      timers.collect(now);
    }
  }
  // Looks at the inbox, the kernel and the timers; sleeps if that leaves nothing ready.
  void find_more() noexcept {
    if (posted.might_have_jobs()) {
      posted.take(queue.ready);
      if (cancelling.load(std::memory_order_relaxed)) begin_shutdown(cancel_pending);
    }
    if (!queue.ready.empty()) return look();
    if (timers.empty()) return sleep(duration::max());
    const auto next = timers.next_expiry();
    const auto now = clock.now();
    if (next <= now) return look();
    if (time_is_virtual) return jump(next);
    sleep(next - now);
  }
  // Virtual time passes only when nobody has anything to do, here or for us elsewhere.
  void jump(time_point next) noexcept {
    if (queue.elsewhere != 0 && time_waits) return sleep(duration::max());
    poll->wait(duration::zero());
    if (!queue.ready.empty() || posted.might_have_jobs()) return;
    clock.jump_to(next);
    fire_timers();
  }
  void look() noexcept {
    poll->wait(duration::zero());
    fire_timers();
  }
  void sleep(duration longest) noexcept {
    if (!queue.ready.empty() || !posted.fall_asleep()) return;
    const bool woken = poll->wait(longest);
    if (posted.wake_up() && !woken) poll->await_wake();
    fire_timers();
  }

  // Shutdown, as a job, so that it happens on the loop; what was posted before it and has not begun
  // is cancelled all the same, since `cancelling` overtakes the job.
  static constexpr shutdown_options cancel_pending{.pending =
                                                       shutdown_options::pending_calls::cancel};
  void begin_shutdown(shutdown_options how) noexcept {
    closing = true;
    if (stopping || how.pending == shutdown_options::pending_calls::run) return;
    stopping = true;
    queue.is_plain = false;
    for (spawned_task* t = queue.live; t != nullptr; t = t->next_live()) t->flow().request_stop();
    drawn_from.put_back(queue.ready);
    posted.take(queue.ready);
    // What the callbacks of a dropped call submit comes after this list, and is not dropped.
    auto all = std::exchange(queue.ready, {});
    while (job* j = all.pop()) {
      if (j->is_call()) {
        j->drop();
      } else {
        queue.ready.push(*j);
      }
    }
  }
  // With nothing live and nothing ready: takes no more, for good.
  bool try_close() noexcept {
    return closing && queue.live == nullptr && stops_on_their_way == 0 && queue.ready.empty() &&
           posted.close_if_empty();
  }

  loop_queue& queue;
  plait::clock& clock;
  const bool time_is_virtual;
  const bool time_waits;  // see clock::waits_for_other_engines
  schedule* const order;  // null: first in, first out
  ready_pool drawn_from;  // of run_as_drawn
  const std::unique_ptr<poller> poll;
  timer_wheel timers;
  inbox posted;
  // These four: the loop's thread only.
  std::size_t stops_on_their_way = 0;  // asked of tasks that have ended before they arrived
  bool closing = false;
  bool stopping = false;
  bool closed = false;
  std::atomic<bool> refusing{false};    // set by shutdown(), read by submitters
  std::atomic<bool> cancelling{false};  // set by shutdown(), read by the loop

  loop_view view;  // the last: it goes first

  static context* running_flow() noexcept {
    return current != nullptr ? current->queue_.running : nullptr;
  }
  static thread_local event_loop* current;
};
thread_local event_loop* loop_core::current = nullptr;

context* context::running() noexcept { return loop_core::running_flow(); }

void spawned_task::begins_unplainly() noexcept {
  if (watched_by(watcher::trace)) trace_life(trace_record::kind::task_begins, *this);
  if (flow().loop().core_->stopping) flow().request_stop();
}

void spawned_task::ends_unplainly() noexcept {
  if (watched_by(watcher::trace)) trace_life(trace_record::kind::task_ends, *this);
}

void waiter::post_to(event_loop& loop) noexcept { loop.deliver(*this); }

void task_node::expect_stop() noexcept { ++flow_.loop().core_->stops_on_their_way; }

void task_node::stop_arrived() noexcept {
  if (asked_.load() == stop_request::too_late) {
    --flow_.loop().core_->stops_on_their_way;
  } else {
    stop_arrived_ = true;
    flow_.request_stop();
  }
}

void timer::arm(event_loop& loop, time_point when) noexcept { loop.core_->timers.arm(*this, when); }

void sleeper::begin() noexcept {
  auto& loop = flow().loop();
  arm(loop, add_saturated(loop.clock().now(), span_));
}

std::string sleeper::waits_for() const {
  if (!armed()) return "its turn";
  return "the rest of a sleep of " + to_text(span_) + ": " +
         to_text(deadline - flow().loop().clock().now());
}

std::string readiness::awaiter::waits_for() const {
  const bool reads = &direction_ == &readiness_.in_;
  return "descriptor " + std::to_string(readiness_.fd_) + " to be " +
         (reads ? "readable" : "writable");
}

readiness::readiness(int fd) : loop_(event_loop::current()), fd_(fd) {
  loop_.core_->poll->add(*this);
}
readiness::~readiness() {
  for (direction_waiter* w : {in_.waiting, out_.waiting})
    if (w != nullptr) w->abandoned();
  loop_.core_->poll->remove(*this);
}
void readiness::watch() noexcept { loop_.core_->poll->watch(*this); }
void direction_waiter::throw_busy() {
  throw invalid_state("two tasks wait for the same direction of one descriptor");
}

void io_operation::begin() noexcept { flow().loop().core_->poll->begin(*this); }
void io_operation::stop() noexcept {
  if (std::exchange(stopped_, true)) return;
  flow().loop().core_->poll->cancel(*this);
}
void io_operation::abandoned() noexcept {
  direction_ = nullptr;
  stop();
}
void io_operation::ended(int result, bool more_there) noexcept {
  const bool cut_short = result == -ECANCELED || result == -EINTR;
  // The kernel also ends the calls of a thread that ends, though its loop goes on elsewhere.
  if (cut_short && !stopped_) return begin();
  if (direction_ != nullptr) {
    direction_->waiting = nullptr;
    direction_->ready = more_there;
  }
  result_ = result;
  if (cut_short) {
    give_up();
  } else {
    resume_soon();
  }
}
std::string io_operation::waits_for() const {
  static constexpr const char* what[] = {"bytes to come in on", "bytes to go out on", "a read from",
                                         "a write to", "the disk behind"};
  return what[static_cast<unsigned>(call_)] + (" descriptor " + std::to_string(fd_));
}

}  // namespace detail

event_loop::event_loop(event_loop_options options)
    : core_(new detail::loop_core(queue_, options)) {}

namespace {

// Makes the loop the thread's own for a scope; then its former loop, if any, is that again.
class running {
 public:
  running(event_loop*& current, event_loop& loop, detail::blocking_policy& policy,
          detail::loop_view& view) noexcept
      : current_(current), outer_(std::exchange(current, &loop)), view_(view) {
    view.set_thread(static_cast<int>(syscall(SYS_gettid)));
    previous_ = detail::blocking_policy::exchange(&policy);
    outer_home_ = detail::call_home::exchange_current(&loop);
    slack_ = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);  // 1 us instead of 50 us of lateness
  }
  ~running() {
    prctl(PR_SET_TIMERSLACK, slack_, 0, 0, 0);
    detail::call_home::exchange_current(outer_home_);
    detail::blocking_policy::exchange(previous_);
    current_ = outer_;
    view_.set_thread(0);
  }

 private:
  event_loop*& current_;
  event_loop* outer_;
  detail::blocking_policy* previous_;
  const detail::call_home* outer_home_;
  int slack_;
  detail::loop_view& view_;
};

}  // namespace

// Only here may a loop run inside another: there is nobody who could be told to co_await instead.
event_loop::~event_loop() {
  core_->refusing.store(true, std::memory_order_relaxed);
  if (!core_->closed) {
    core_->begin_shutdown(detail::loop_core::cancel_pending);
    run_to_the_end();
  }
  delete core_;
}

void event_loop::check_may_run() {
  if (detail::loop_core::current != nullptr)
    throw would_deadlock("an event loop is running on this thread: co_await instead of run()");
}

void event_loop::run() {
  check_may_run();
  if (!core_->closed) run_to_the_end();
}

void event_loop::run_to_the_end() noexcept {
  const running scope(detail::loop_core::current, *this, *this, core_->view);
  queue_.may_nest_from_here();
  for (core_->run_ready(); !core_->try_close(); core_->run_ready()) core_->find_more();
  queue_.now = detail::loop_queue::unknown;
  core_->closed = true;
}

void event_loop::run_until(const detail::state_base& awaited) {
  const running scope(detail::loop_core::current, *this, *this, core_->view);
  queue_.may_nest_from_here();
  for (core_->run_ready(); !awaited.is_done(); core_->run_ready()) core_->find_more();
  queue_.now = detail::loop_queue::unknown;
}

void event_loop::shutdown(shutdown_options options) {
  core_->refusing.store(true, std::memory_order_relaxed);
  if (options.pending == shutdown_options::pending_calls::cancel)
    core_->cancelling.store(true, std::memory_order_relaxed);
  struct request final : detail::job {
    void run() noexcept override {
      core.begin_shutdown(how);
      delete this;
    }
    void drop() noexcept override { delete this; }
    request(detail::loop_core& c, shutdown_options h) noexcept : core(c), how(h) {}
    detail::loop_core& core;
    shutdown_options how;
  };
  auto* r = new request(*core_, options);
  if (!deliver(*r)) r->drop();
}

event_loop::admission event_loop::admit(detail::job& j, const call_options&) noexcept {
  if (core_->refusing.load(std::memory_order_relaxed) && !is_current()) return admission::closed;
  return deliver(j) ? admission::accepted : admission::closed;
}

bool event_loop::deliver(detail::job& j) noexcept {
  if (is_current()) {
    queue_.ready.push(j);
    return true;
  }
  const int wake_fd = core_->poll->wake_fd();
  const auto sent = core_->posted.push(j);
  if (sent == detail::inbox::sent::must_wake) detail::poller::wake(wake_fd);
  return sent != detail::inbox::sent::refused;
}

event_loop* event_loop::current_or_null() noexcept { return detail::loop_core::current; }
event_loop& event_loop::current() {
  if (detail::loop_core::current == nullptr)
    throw invalid_state("no event loop is running on this thread: use plait::run()");
  return *detail::loop_core::current;
}
clock& event_loop::clock() const noexcept { return core_->clock; }
poller_kind event_loop::poller() const noexcept { return core_->poll->kind(); }
time_point event_loop::read_clock() const noexcept {
  const auto now = core_->clock.now();
  if (!core_->time_is_virtual && is_current()) core_->queue.now = now;
  return now;
}
std::size_t event_loop::default_window() const noexcept { return 1024; }

void event_loop::before_block(const detail::state_base* awaited) {
  throw would_deadlock(
      "a blocking wait on the event loop's own thread would stop the loop: "
      "co_await the future instead (waiting for: " +
      (awaited != nullptr ? awaited->describe() : "one of several futures") + ")");
}

}  // namespace plait
