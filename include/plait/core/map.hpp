// plait/core/map.hpp: the lazy, ordered range of results that every executor's map() returns.
//
// Threads:  a map_range belongs to one thread.
// Blocks:   ++ and begin() wait for the next result, as future::get does.
// Stops:    destroying it, or the first exception, cancels the calls still under way.
// Cost:     one future an element, or a chunk of elements; memory for the window, not the input.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include "plait/core/completion.hpp"
#include "plait/core/future.hpp"
#include "plait/core/zip.hpp"

namespace plait {

struct map_options {
  // How many elements travel in one call. More than 1 pays for very short calls only.
  std::size_t chunksize = 1;
  // How many calls may be under way or waiting to be taken; 0 asks the engine.
  std::size_t buffersize = 0;
  // Results in the order of the elements, or each as soon as it is there.
  enum class result_order { input, completion } order = result_order::input;
  // From the call of map to the last result; when it has passed, ++ and begin() throw timeout_error
  // and what is under way is cancelled.
  duration timeout = duration::max();
};

namespace detail {

template <class R>
class map_source {
 public:
  virtual ~map_source() = default;
  // The next result, or nothing at the end. Throws what the call threw.
  virtual std::optional<R> next() = 0;
};

// f applied to a whole chunk: what travels when chunksize is above 1.
template <class F>
struct chunk_call {
  F f;
  template <class Item>
  auto operator()(std::vector<Item> items) {
    return each([&](auto&& item) { return f(std::move(item)); }, items);
  }
  template <class Item>
  requires std::is_invocable_v<F&, std::stop_token, Item>
  auto operator()(std::stop_token stop, std::vector<Item> items) {
    return each([&](auto&& item) { return f(stop, std::move(item)); }, items);
  }

 private:
  template <class G, class Items>
  static auto each(G g, Items& items) {
    std::vector<std::decay_t<decltype(g(items.front()))>> results;
    results.reserve(items.size());
    for (auto&& item : items) results.push_back(g(item));
    return results;
  }
};

// The calls of a map that are under way, up to its window.
class map_window {
 public:
  map_window(std::size_t capacity, const map_options& options);
  map_window(const map_window&) = delete;
  map_window& operator=(const map_window&) = delete;
  // Cancels what is under way.
  ~map_window();
  bool full() const noexcept { return count_ == slots_.size(); }
  bool empty() const noexcept { return count_ == 0; }
  void push(any_future f);
  // Blocks until the next in order is done, and gives it. Throws timeout_error.
  any_future pop();

 private:
  any_future pop_front() noexcept;
  std::vector<any_future>
      slots_;  // a ring, oldest first; with order completion only its size counts
  std::size_t head_ = 0, count_ = 0;
  time_point deadline_;
  std::optional<completions> by_completion_;
};

template <class R, class Submitter, class Range>
class map_by_one final : public map_source<R> {
 public:
  map_by_one(Submitter submitter, Range&& range, std::size_t window, const map_options& options)
      : submitter_(std::move(submitter)),
        items_(std::forward<Range>(range)),
        next_(std::begin(items_.range)),
        window_(window, options) {}
  std::optional<R> next() override {
    for (; !window_.full() && next_ != std::end(items_.range); ++next_)
      window_.push(submitter_.one(*next_));
    if (window_.empty()) return std::nullopt;
    return access::take<R>(window_.pop());
  }

 private:
  Submitter submitter_;
  range_holder<Range> items_;
  decltype(std::begin(std::declval<range_holder<Range>&>().range)) next_;
  map_window window_;
};

template <class R, class Submitter, class Range>
class map_by_chunk final : public map_source<R> {
 public:
  map_by_chunk(Submitter submitter, Range&& range, std::size_t window, const map_options& options)
      : submitter_(std::move(submitter)),
        items_(std::forward<Range>(range)),
        next_(std::begin(items_.range)),
        window_(window, options),
        chunksize_(options.chunksize) {}
  std::optional<R> next() override {
    while (!window_.full() && next_ != std::end(items_.range)) window_.push(submit_chunk());
    if (taken_ == results_.size()) {
      if (window_.empty()) return std::nullopt;
      results_ = access::take<std::vector<R>>(window_.pop());
      taken_ = 0;
    }
    return R(std::move(results_[taken_++]));
  }

 private:
  auto submit_chunk() {
    std::vector<std::decay_t<decltype(*next_)>> chunk;
    chunk.reserve(chunksize_);
    for (; chunk.size() < chunksize_ && next_ != std::end(items_.range); ++next_)
      chunk.push_back(*next_);
    return submitter_.many(std::move(chunk));
  }
  Submitter submitter_;
  range_holder<Range> items_;
  decltype(std::begin(std::declval<range_holder<Range>&>().range)) next_;
  map_window window_;
  std::size_t chunksize_;
  std::vector<R> results_;
  std::size_t taken_ = 0;
};

}  // namespace detail

// An input range, read once. R is what the mapped function returns.
template <class R>
class [[nodiscard]] map_range {
 public:
  explicit map_range(detail::map_source<R>* adopted) : source_(adopted) {}
  map_range(map_range&& other) noexcept
      : source_(std::exchange(other.source_, nullptr)), current_(std::move(other.current_)) {}
  map_range& operator=(map_range other) noexcept {
    std::swap(source_, other.source_);
    std::swap(current_, other.current_);
    return *this;
  }
  ~map_range() { delete source_; }

  struct sentinel {};
  class iterator {
   public:
    using value_type = R;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;
    iterator() = default;
    R& operator*() const noexcept { return *range_->current_; }
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(sentinel) const noexcept { return !range_->current_; }

   private:
    friend map_range;
    explicit iterator(map_range& r) noexcept : range_(&r) {}
    map_range* range_ = nullptr;
  };

  iterator begin() {
    advance();
    return iterator(*this);
  }
  sentinel end() const noexcept { return {}; }
  // All results, in order. Throws the first failure.
  std::vector<R> to_vector() && { return to_vector(); }
  std::vector<R> to_vector() & {
    std::vector<R> results;
    while (auto result = next()) results.push_back(*std::move(result));
    return results;
  }

 private:
  std::optional<R> next() {
    if (source_ == nullptr) return std::nullopt;
    try {
      return source_->next();
    } catch (...) {
      delete std::exchange(source_, nullptr);
      throw;
    }
  }
  void advance() {
    current_.reset();  // R need not be assignable
    if (auto result = next()) current_.emplace(*std::move(result));
  }
  detail::map_source<R>* source_;
  std::optional<R> current_;
};

namespace detail {

template <class Submitter, class Range>
auto make_map(Submitter submitter, Range&& range, map_options options, std::size_t window) {
  using item = std::decay_t<decltype(*std::begin(range))>;
  using result = typename decltype(submitter.one(std::declval<item>()))::value_type;
  static_assert(!std::is_void_v<result>,
                "map(f, range): f returns nothing, so there is nothing to map to; return a value, "
                "or submit the calls and wait() for them");
  if (options.buffersize != 0) window = options.buffersize;
  if (options.chunksize <= 1)
    return map_range<result>(new map_by_one<result, Submitter, Range>(
        std::move(submitter), std::forward<Range>(range), window, options));
  return map_range<result>(new map_by_chunk<result, Submitter, Range>(
      std::move(submitter), std::forward<Range>(range), window, options));
}

}  // namespace detail
}  // namespace plait
