// plait/coroutines/when.hpp: waiting for many without owning them: when() and when_each().
//
//   auto [done, not_done] = co_await plait::when(futures, {.timeout = 1s});
//
//   auto results = plait::when_each(std::move(downloads));
//   while (auto f = co_await results.next()) show(f->get());
//
// What wait() and as_completed() (core/completion.hpp) are to a thread, these are to a task: wait
// blocks, when suspends. (asyncio calls both of them wait and as_completed.)
//
// Threads:  the futures may belong to any engines; the waiting task stays on its loop. Tasks are
//           started on the loop of the caller, as by spawn().
// Stops:    neither cancels anything: who is left behind runs on, and its future says how it ended.
//           To stop the losers: race, gather, with_task_group. A stop of the waiting task ends the
//           wait with cancelled_error.
// Throws:   when_each: timeout_error when `timeout` passes before the last one. Empty futures:
//           invalid_state.
// Cost:     one allocation for all; an observer a future.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "plait/core/completion.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait {
namespace detail {

// Hears on a loop of the completion of futures, each by its position.
class completion_inbox {
 public:
  // On the loop, after futures have finished: next() has them.
  struct listener {
    virtual void finished_some() noexcept = 0;

   protected:
    ~listener() = default;
  };
  completion_inbox(event_loop& loop, const std::vector<any_future>& futures);
  completion_inbox(completion_inbox&& other) noexcept : hub_(std::exchange(other.hub_, nullptr)) {}
  completion_inbox& operator=(completion_inbox other) noexcept {
    std::swap(hub_, other.hub_);
    return *this;
  }
  ~completion_inbox();

  static constexpr std::size_t none = -1;
  // The position of a future that has finished and was not named before, in the order in which they
  // finished; none if there is none yet.
  std::size_t next() noexcept;
  // How many have not been named yet.
  std::size_t remaining() const noexcept;
  // Null for nobody.
  void tell(listener* l) noexcept;
  bool has_listener() const noexcept;
  // Whether other engines have some of it to complete.
  bool is_elsewhere() const noexcept;

 private:
  struct hub;
  hub* hub_;
};

// Waits for an inbox or a deadline.
class inbox_waiter : public waiter, private timer, private completion_inbox::listener {
 public:
  std::string waits_for() const final;

 protected:
  inbox_waiter() = default;
  ~inbox_waiter() { end(); }
  // suspend() has been called. False if there is nothing to wait for.
  bool begin(completion_inbox& inbox, time_point until) noexcept;
  // Looks at what has finished; true if the wait is over.
  virtual bool satisfied() noexcept = 0;

 private:
  void finished_some() noexcept final;
  void expired() noexcept final;
  void stop() noexcept final;
  void end() noexcept;
  void count() noexcept;
  bool elsewhere_ = false;  // counted as a wait that other engines will end
  completion_inbox* awaited_ = nullptr;
};

template <class T>
std::vector<future<T>> start_all(std::vector<task<T>> tasks) {
  auto& loop = event_loop::current();
  std::vector<future<T>> futures;
  futures.reserve(tasks.size());
  for (auto& t : tasks) futures.push_back(loop.spawn(std::move(t)));
  return futures;
}
void check_valid(const any_future& f);
[[noreturn]] void throw_two_nexts();

class when_base : public inbox_waiter {
 protected:
  explicit when_base(wait_options options) noexcept : options_(options) {}
  when_base(when_base&& other) noexcept : options_(other.options_) {}  // before awaiting
  ~when_base() = default;
  bool begin_wait(std::vector<any_future> futures);

 private:
  bool satisfied() noexcept final;
  wait_options options_;
  std::vector<any_future> watched_;
  std::optional<completion_inbox> inbox_;
};

template <class Future>
class when_awaiter final : public when_base {
 public:
  when_awaiter(std::vector<Future> futures, wait_options options)
      : when_base(options), futures_(std::move(futures)) {
    for (const auto& f : futures_) check_valid(f);
  }
  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    std::vector<any_future> watched(futures_.begin(), futures_.end());
    return suspend(frame) && begin_wait(std::move(watched));
  }
  wait_result<Future> await_resume() {
    check();
    wait_result<Future> result;
    for (auto& f : futures_) {
      const bool done = f.done();
      (done ? result.done : result.not_done).push_back(std::move(f));
    }
    return result;
  }

 private:
  std::vector<Future> futures_;
};

}  // namespace detail

// Until enough of `futures` are done, or the timeout has passed; throws for neither. The result and
// the options are those of wait(). Futures of different value types go in as any_future.
template <class Range>
[[nodiscard]] auto when(Range&& futures, wait_options options = {}) {
  using handle = std::decay_t<decltype(*std::begin(futures))>;
  return detail::when_awaiter<handle>(std::vector<handle>(std::begin(futures), std::end(futures)),
                                      options);
}
// Starts the tasks, here and now, and waits for their futures.
template <class T>
[[nodiscard]] auto when(std::vector<task<T>> tasks, wait_options options = {}) {
  return detail::when_awaiter<future<T>>(detail::start_all(std::move(tasks)), options);
}

// Finished futures, in the order in which they finish. One task at a time may await next().
template <class T>
class [[nodiscard]] completion_stream {
 public:
  completion_stream(std::vector<future<T>> futures, duration timeout)
      : futures_(std::move(futures)),
        inbox_(event_loop::current(), {futures_.begin(), futures_.end()}),
        deadline_(detail::add_saturated(event_loop::current().clock().now(), timeout)) {}

  class awaiter;
  // co_await gives the next one, done; nothing after the last.
  [[nodiscard]] awaiter next() noexcept { return awaiter(*this); }
  // How many have not been given yet.
  std::size_t remaining() const noexcept { return inbox_.remaining(); }

 private:
  std::vector<future<T>> futures_;
  detail::completion_inbox inbox_;
  time_point deadline_;
};

template <class T>
class completion_stream<T>::awaiter final : public detail::inbox_waiter {
 public:
  explicit awaiter(completion_stream& stream) noexcept : stream_(stream) {}
  awaiter(awaiter&& other) noexcept : stream_(other.stream_) {}  // before awaiting
  bool await_ready() const noexcept { return false; }
  template <detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (stream_.inbox_.has_listener()) detail::throw_two_nexts();
    return suspend(frame) && begin(stream_.inbox_, stream_.deadline_);
  }
  std::optional<future<T>> await_resume() {
    check();
    if (position_ != detail::completion_inbox::none) return std::move(stream_.futures_[position_]);
    if (stream_.remaining() != 0) detail::throw_unfinished(stream_.remaining());
    return {};
  }

 private:
  bool satisfied() noexcept override {
    position_ = stream_.inbox_.next();
    return position_ != detail::completion_inbox::none || stream_.remaining() == 0;
  }
  completion_stream& stream_;
  std::size_t position_ = detail::completion_inbox::none;
};

// The futures of `futures`, each as soon as it is done. `timeout` counts from this call.
template <class Range>
auto when_each(Range&& futures, duration timeout = duration::max()) {
  using handle = std::decay_t<decltype(*std::begin(futures))>;
  return completion_stream<typename handle::value_type>(
      std::vector<handle>(std::begin(futures), std::end(futures)), timeout);
}
// Starts the tasks, here and now.
template <class T>
auto when_each(std::vector<task<T>> tasks, duration timeout = duration::max()) {
  return completion_stream<T>(detail::start_all(std::move(tasks)), timeout);
}

}  // namespace plait
