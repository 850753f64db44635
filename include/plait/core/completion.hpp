// plait/core/completion.hpp: many futures at once: as_completed() and wait(), over any engines.
//
// Threads:  any thread; the futures may belong to different engines.
// Blocks:   like future::get, and with its rules on loops and pool workers. A task awaits when()
//           and when_each() instead (coroutines/when.hpp).
// Stops:    neither cancels anything: leaving early leaves the rest running.
// Throws:   as_completed: timeout_error when `timeout` passes before the last one. Empty futures:
//           invalid_state.
// Memory:   as_completed lets go of each future when the next one is asked for.
// Cost:     one allocation for all; an observer a future.
// Example:  examples/threads/download.cpp
#pragma once

#include <cstddef>
#include <iterator>
#include <vector>

#include "plait/core/future.hpp"

namespace plait {
namespace detail {

// Hears of the completion of a set of futures, each by its position.
class completions {
 public:
  explicit completions(std::vector<any_future> futures);
  // One more; returns its position, which may be that of one that was taken.
  std::size_t add(any_future future);
  // Gives back a future that next() has named; its position is free again.
  any_future take(std::size_t position) noexcept;
  completions(completions&& other) noexcept : hub_(std::exchange(other.hub_, nullptr)) {}
  completions& operator=(completions other) noexcept {
    std::swap(hub_, other.hub_);
    return *this;
  }
  ~completions();

  // Asks every future that has not been taken to stop.
  void cancel() const noexcept;

  static constexpr std::size_t none = -1;
  // Blocks for the next one to finish and returns its position; none when all have been returned or
  // the deadline has passed.
  std::size_t next(time_point deadline);
  // How many have not been returned yet.
  std::size_t remaining() const noexcept;

 private:
  struct hub;
  hub* hub_;
};

[[noreturn]] void throw_unfinished(std::size_t remaining);

}  // namespace detail

// An input range of finished futures, in the order in which they finish.
template <class T>
class [[nodiscard]] completion_range {
 public:
  completion_range(std::vector<future<T>> futures, time_point deadline)
      : futures_(std::move(futures)),
        completions_({futures_.begin(), futures_.end()}),
        deadline_(deadline) {}

  struct sentinel {};
  class iterator {
   public:
    using value_type = future<T>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;
    iterator() = default;
    const future<T>& operator*() const noexcept { return range_->futures_[range_->current_]; }
    const future<T>* operator->() const noexcept { return &**this; }
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(sentinel) const noexcept {
      return range_->current_ == detail::completions::none;
    }

   private:
    friend completion_range;
    explicit iterator(completion_range& r) noexcept : range_(&r) {}
    completion_range* range_ = nullptr;
  };
  iterator begin() {
    advance();
    return iterator(*this);
  }
  sentinel end() const noexcept { return {}; }

 private:
  void advance() {
    if (current_ != detail::completions::none) {
      futures_[current_] = future<T>();
      static_cast<void>(completions_.take(current_));
    }
    current_ = completions_.next(deadline_);
    if (current_ == detail::completions::none && completions_.remaining() != 0)
      detail::throw_unfinished(completions_.remaining());
  }
  std::vector<future<T>> futures_;
  detail::completions completions_;
  time_point deadline_;
  std::size_t current_ = detail::completions::none;
};

// The futures of `futures`, each as soon as it is done, as often as it was given. `timeout` counts
// from this call. A vector that is moved in is taken over, so that no result outlives its turn.
template <class Range>
auto as_completed(Range&& futures, duration timeout = duration::max()) {
  using handle = std::decay_t<decltype(*std::begin(futures))>;
  std::vector<handle> all;
  if constexpr (std::is_same_v<Range, std::vector<handle>>) {
    all = std::move(futures);
  } else {
    for (auto&& f : futures) all.push_back(f);
  }
  return completion_range<typename handle::value_type>(
      std::move(all), detail::add_saturated(std::chrono::steady_clock::now(), timeout));
}

enum class return_when { first_completed, first_exception, all_completed };
struct wait_options {
  duration timeout = duration::max();
  plait::return_when return_when = plait::return_when::all_completed;
};
// Both in the order in which the futures were given.
template <class Future>
struct wait_result {
  std::vector<Future> done, not_done;
};

namespace detail {
void wait_for_some(const std::vector<any_future>& futures, wait_options options);
}

// Blocks until enough of `futures` are done or the timeout has passed; never throws for either.
// first_exception returns at the first failure, and if there is none when all are done; to be
// cancelled is not to fail. Futures of different value types go in as any_future.
template <class Range>
auto wait(Range&& futures, wait_options options = {}) {
  using handle = std::decay_t<decltype(*std::begin(futures))>;
  std::vector<handle> all;
  for (auto&& f : futures) all.push_back(f);
  detail::wait_for_some({all.begin(), all.end()}, options);
  wait_result<handle> result;
  for (auto& f : all) {
    const bool done = f.done();
    (done ? result.done : result.not_done).push_back(std::move(f));
  }
  return result;
}

}  // namespace plait
