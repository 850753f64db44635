// plait/testing/memory_stream.hpp: two connected streams without a network, as rude as you ask for.
//
//   auto [client, server] = plait::testing::memory_stream_pair({.largest_piece = 7});
//
// They are net::byte_streams, so whatever is written for any stream can be tested on them: with reads
// and writes split at random points, bytes that take their time, a full buffer, and a connection
// that is cut after n bytes. Under a virtual_clock delays cost nothing.
//
// Threads:  both ends belong to one loop.
// Order:    the same seed and the same calls give the same pieces and delays.
// Stops:    as byte_stream says.
// Throws:   connection_closed: the other end is closed (writing), or the connection was cut.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "plait/core/clock.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/net/errors.hpp"
#include "plait/testing/seed.hpp"

namespace plait::testing {

struct memory_stream_options {
  // A read or a write moves at most this many bytes: a random number of them, from 1 on.
  std::size_t largest_piece = SIZE_MAX;
  // What is written can be read after a random time up to this.
  duration longest_delay = duration::zero();
  // How many bytes may be under way in each direction before a writer waits.
  std::size_t capacity = 65536;
  // After this many bytes in either direction the connection is gone: both ends throw
  // connection_closed, or, if it `ends`, their readers see a plain end, as an attacker would make it.
  std::size_t cut_after = SIZE_MAX;
  enum class cut { breaks, ends } cut_how = cut::breaks;
  std::uint64_t seed = run_seed();
};

namespace in_memory {

// One flow waits here until it is woken; nobody loses anything by waking it for nothing.
class memory_wait {
 public:
  class awaiter final : public plait::detail::waiter {
   public:
    awaiter(memory_wait& w, const char* what) noexcept : wait_(w), what_(what) {}  // null: no wait
    bool await_ready() const noexcept { return false; }
    template <plait::detail::flow_promise P>
    bool await_suspend(std::coroutine_handle<P> frame) {
      if (wait_.waiting_ != nullptr)
        throw invalid_state("another task waits for this direction of the stream already");
      if (!suspend(frame)) return false;
      if (what_ == nullptr) {
        unsuspend();
        return false;
      }
      wait_.waiting_ = this;
      return true;
    }
    void await_resume() const { check(); }
    std::string waits_for() const override { return what_; }

   private:
    friend memory_wait;
    void wake() noexcept { resume_soon(); }
    void stop() noexcept override {
      wait_.waiting_ = nullptr;
      give_up();
    }
    memory_wait& wait_;
    const char* what_;
  };
  awaiter operator()(const char* what) noexcept { return {*this, what}; }
  // Throws if another flow waits here, or the flow is stopping.
  awaiter check() noexcept { return {*this, nullptr}; }
  void wake() noexcept {
    if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->wake();
  }
  void cancel() noexcept {
    if (waiting_ != nullptr) waiting_->stop();
  }

 private:
  awaiter* waiting_ = nullptr;
};

// Bytes on their way from one end to the other.
struct memory_direction {
  struct piece {
    std::string bytes;
    time_point due;
  };
  std::deque<piece> pieces;
  std::size_t under_way = 0, passed = 0;
  bool ended = false;    // the writer will send no more
  bool unheard = false;  // the reader is closed
  memory_wait reader, writer;
};

struct memory_connection {
  explicit memory_connection(const memory_stream_options& o) : options(o), random(o.seed) {}
  std::size_t piece(std::size_t longest) noexcept {
    const std::size_t most = std::min(longest, options.largest_piece);
    return options.largest_piece == SIZE_MAX ? most : 1 + random.below(most);
  }
  void cut() noexcept {
    is_cut = true;
    for (auto& d : directions) {
      d.reader.wake();
      d.writer.wake();
    }
  }
  bool broken() const noexcept {
    return is_cut && options.cut_how == memory_stream_options::cut::breaks;
  }
  memory_stream_options options;
  random_source random;
  memory_direction directions[2];
  bool is_cut = false;
};

[[noreturn]] inline void throw_memory_closed(std::errc code, const char* what) {
  throw net::connection_closed(what, std::make_error_code(code));
}

}  // namespace in_memory

class memory_stream {
 public:
  memory_stream() = default;  // closed
  memory_stream(memory_stream&& other) noexcept
      : connection_(std::move(other.connection_)), side_(other.side_) {}
  memory_stream& operator=(memory_stream&& other) noexcept {
    close();
    connection_ = std::move(other.connection_);
    side_ = other.side_;
    return *this;
  }
  ~memory_stream() { close(); }

  task<std::size_t> read_some(std::span<char> into) {
    const auto held = open();  // the stream may go while this waits
    auto& from = held->directions[1 - side_];
    co_await from.reader.check();
    for (;;) {
      if (from.unheard) throw cancelled_error();  // this end was closed meanwhile
      if (held->broken()) in_memory::throw_memory_closed(std::errc::connection_reset, "it was cut");
      if (!from.pieces.empty()) {
        const duration early = from.pieces.front().due - event_loop::current().now();
        if (early <= duration::zero()) break;
        co_await sleep(early);
      } else if (from.ended || held->is_cut) {
        co_return 0;
      } else {
        co_await from.reader("bytes in a memory stream");
      }
    }
    auto& front = from.pieces.front();
    const std::size_t n = held->piece(std::min(into.size(), front.bytes.size()));
    std::copy_n(front.bytes.data(), n, into.data());
    front.bytes.erase(0, n);
    if (front.bytes.empty()) from.pieces.pop_front();
    from.under_way -= n;
    from.writer.wake();
    co_return n;
  }

  task<std::size_t> write_some(std::string_view bytes) {
    const auto held = open();
    auto& to = held->directions[side_];
    const auto& options = held->options;
    if (bytes.empty()) co_return 0;
    co_await to.writer.check();
    for (;;) {
      if (to.ended)
        in_memory::throw_memory_closed(std::errc::broken_pipe, "writing was ended at this end");
      if (to.unheard || held->is_cut)
        in_memory::throw_memory_closed(std::errc::connection_reset, "the other end is gone");
      if (to.under_way < options.capacity) break;
      co_await to.writer("room in a memory stream");
    }
    const std::size_t room =
        std::min(options.capacity - to.under_way, options.cut_after - to.passed);
    const std::size_t n = room == 0 ? 0 : held->piece(std::min(bytes.size(), room));
    if (n != 0) {
      time_point due = event_loop::current().now();
      if (options.longest_delay > duration::zero())
        due += duration(static_cast<duration::rep>(
            held->random.below(static_cast<std::uint64_t>(options.longest_delay.count()) + 1)));
      if (!to.pieces.empty()) due = std::max(due, to.pieces.back().due);
      to.pieces.push_back({std::string(bytes.substr(0, n)), due});
    }
    to.under_way += n;
    to.passed += n;
    to.reader.wake();
    if (to.passed >= options.cut_after) held->cut();
    co_return n;
  }

  task<> write_all(std::string_view bytes) {
    while (!bytes.empty()) bytes.remove_prefix(co_await write_some(bytes));
  }

  task<> shutdown_write() {
    auto& to = open()->directions[side_];
    to.ended = true;
    to.reader.wake();
    co_return;
  }

  void close() noexcept {
    if (connection_ == nullptr) return;
    auto& out = connection_->directions[side_];
    auto& in = connection_->directions[1 - side_];
    out.ended = true;
    in.unheard = true;
    out.writer.cancel();  // this end's own flows
    in.reader.cancel();
    out.reader.wake();  // the other end's
    in.writer.wake();
    connection_.reset();
  }
  bool is_open() const noexcept { return connection_ != nullptr; }

 private:
  friend std::pair<memory_stream, memory_stream> memory_stream_pair(
      const memory_stream_options& options);
  memory_stream(std::shared_ptr<in_memory::memory_connection> c, int side) noexcept
      : connection_(std::move(c)), side_(side) {}
  const std::shared_ptr<in_memory::memory_connection>& open() const {
    if (connection_ == nullptr)
      in_memory::throw_memory_closed(std::errc::bad_file_descriptor, "this end is closed");
    return connection_;
  }
  std::shared_ptr<in_memory::memory_connection> connection_;
  int side_ = 0;
};

// Two ends of one connection.
inline std::pair<memory_stream, memory_stream> memory_stream_pair(
    const memory_stream_options& options = {}) {
  auto connection = std::make_shared<in_memory::memory_connection>(options);
  return {memory_stream(connection, 0), memory_stream(connection, 1)};
}

}  // namespace plait::testing
