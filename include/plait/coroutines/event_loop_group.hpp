// plait/coroutines/event_loop_group.hpp: an event loop for each core, each on a thread of its own.
//
//   plait::event_loop_group group;                        // as many loops as there are CPUs for us
//   auto page = group.submit(fetch, url);                 // on the loop whose turn it is
//   auto servers = group.spawn_on_each(listen_and_serve); // one on each
//
// For programs that one core is not enough for. A task stays on the loop that it was started on, and
// what it spawns stays there too; to put work elsewhere, submit it to the group or to group.loop(i),
// and co_await the future: the awaiting task goes on at home.
//
// Threads:  every member may be called from any thread, those of the group included.
// Blocks:   shutdown and the destructor, until the threads have ended; not when called from a task
//           of the group, which they would wait for.
// Stops:    as for event_loop; a stop that comes from another loop's task only posts.
// Throws:   executor_shutdown after shutdown(); the constructor std::system_error when there are no
//           threads or descriptors left.
// Cost:     submit: two atomic increments more than event_loop's, and a wake-up if the loop sleeps.
//           Idle: 0 % CPU.
// Example:  examples/coroutines/many_loops.cpp
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plait/coroutines/event_loop.hpp"

namespace plait {

struct event_loop_group_options {
  // How many; 0: usable_cpu_count().
  std::size_t loops = 0;
  // Threads are named "<prefix>-<number>" (the kernel shows 15 characters).
  std::string thread_name_prefix = "plait-loop";
  poller_kind poller = poller_kind::automatic;
};

namespace detail {
class loop_group_engine;
}

class event_loop_group final : public local_executor {
 public:
  explicit event_loop_group(event_loop_group_options options = {});
  // shutdown(cancel), as event_loop's destructor, unless shutdown() was called.
  ~event_loop_group() override;

  std::size_t size() const noexcept;
  // In [0, size()).
  event_loop& loop(std::size_t index) noexcept;
  // The loop whose turn it is. Turns go round, whatever the loops have to do.
  event_loop& next_loop() noexcept;

  // As event_loop's, on the loop whose turn it is. Once shutdown() has been called, what tasks of
  // the group still submit stays on their own loop.
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    const intake open(*engine_, intake::of::one_loop);
    return open.loop().submit(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class T>
  [[gnu::always_inline]] future<T> spawn(task<T> t, task_options options = {}) {
    const intake open(*engine_, intake::of::one_loop);
    return open.loop().spawn(std::move(t), options);
  }
  // submit and map, with more to say of the calls.
  class configured;
  configured with(call_options options) noexcept;
  // A copy of f on each loop, called as f(index) or as f(); the futures in the order of the loops.
  template <class F>
  auto spawn_on_each(F f) {
    const auto start = [&](std::size_t i) {
      if constexpr (std::is_invocable_v<F, std::size_t> ||
                    detail::takes_stop_token<F, std::size_t>) {
        return loop(i).submit(f, i);
      } else {
        return loop(i).submit(f);
      }
    };
    const intake open(*engine_, intake::of::every_loop);
    std::vector<decltype(start(0))> tasks;
    tasks.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) tasks.push_back(start(i));
    return tasks;
  }

  // Takes no further submissions from outside, and waits until every loop has run out of tasks, or,
  // with pending_calls::cancel, has asked them to stop and seen them end.
  void shutdown(shutdown_options options = {});

 protected:
  admission admit(detail::job& job, const call_options& options) override;
  std::size_t default_window() const noexcept override;

 private:
  // While one exists, the loop that it chose is not shut down, or none is.
  class intake {
   public:
    enum class of { one_loop, every_loop };
    intake(detail::loop_group_engine& group, of what);  // throws executor_shutdown
    ~intake();
    intake(const intake&) = delete;
    intake& operator=(const intake&) = delete;
    event_loop& loop() const noexcept { return *loop_; }

   private:
    detail::loop_group_engine& group_;
    event_loop* loop_;
    bool entered_ = true;
  };
  explicit event_loop_group(detail::loop_group_engine* engine) noexcept;
  detail::loop_group_engine* engine_;
};

class event_loop_group::configured {
 public:
  template <class F, class... Args>
  [[gnu::always_inline]] auto submit(F&& f, Args&&... args) {
    const intake open(*group_.engine_, intake::of::one_loop);
    return open.loop().with(options_).submit(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <class F, class Range>
  [[gnu::always_inline]] auto map(F f, Range&& items, map_options options = {}) {
    return group_.local_executor::with(options_).map(std::move(f), std::forward<Range>(items),
                                                     options);
  }
  template <class F, class Range, detail::iterable Other>
  [[gnu::always_inline]] auto map(F f, Range&& items, Other&& others, map_options options = {}) {
    return group_.local_executor::with(options_).map(std::move(f), std::forward<Range>(items),
                                                     std::forward<Other>(others), options);
  }

 private:
  friend event_loop_group;
  configured(event_loop_group& group, call_options o) noexcept : group_(group), options_(o) {}
  event_loop_group& group_;
  call_options options_;
};
inline event_loop_group::configured event_loop_group::with(call_options options) noexcept {
  return {*this, options};
}

}  // namespace plait
