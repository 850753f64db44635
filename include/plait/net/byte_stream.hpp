// plait/net/byte_stream.hpp: what every stream of bytes offers, and what can be done with any.
//
// A byte_source can be read, a byte_sink written, a byte_stream both: tcp_stream, unix_stream,
// tls_stream, testing::memory_stream, or a class of yours.
//
//   read_some(into)     at least one byte, or 0 when no more will come; `into` is not empty
//   write_some(bytes)   takes at least one byte, and says how many; `bytes` is not empty
//   write_all(bytes)    takes all of them, which must stay where they are meanwhile
//   shutdown_write()    tells the other end that no more will come; reading goes on
//   close(), is_open()  whoever waits in the stream then gets cancelled_error
//
// One flow may read while another writes. The shape is a concept, not a base class: code that knows
// its stream calls it directly, and any_stream is there for code that should not know.
//
// Stops:    a stopped read_some has read nothing, a stopped write_some has written nothing (or it
//           succeeded all the same and says so); a stopped write_all may have written a part. The
//           stream stays open.
// Throws:   connection_closed, and what else the stream says.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "plait/coroutines/task.hpp"

namespace plait::net {

template <class S>
concept byte_source = requires(S& stream, std::span<char> into) {
  { stream.read_some(into) } -> std::same_as<task<std::size_t>>;
};

template <class S>
concept byte_sink = requires(S& stream, std::string_view bytes) {
  { stream.write_all(bytes) } -> std::same_as<task<>>;
};

template <class S>
concept byte_stream = byte_source<S> && byte_sink<S> &&
    requires(S& stream, const S& seen, std::string_view bytes) {
  { stream.write_some(bytes) } -> std::same_as<task<std::size_t>>;
  { stream.shutdown_write() } -> std::same_as<task<>>;
  stream.close();
  { seen.is_open() } -> std::convertible_to<bool>;
};

// Any byte_stream behind one type.
// Cost: one allocation to make it, one virtual call an operation.
class any_stream {
 public:
  any_stream() = default;  // closed
  template <byte_stream S>
  requires(!std::same_as<S, any_stream>) any_stream(S stream)
      : stream_(std::make_unique<holder<S>>(std::move(stream))) {}

  task<std::size_t> read_some(std::span<char> into) { return held().read_some(into); }
  task<std::size_t> write_some(std::string_view bytes) { return held().write_some(bytes); }
  task<> write_all(std::string_view bytes) { return held().write_all(bytes); }
  task<> shutdown_write() { return held().shutdown_write(); }
  void close() noexcept {
    if (stream_ != nullptr) stream_->close();
  }
  bool is_open() const noexcept { return stream_ != nullptr && stream_->is_open(); }
  // tcp_stream's calls for who holds no buffer while waiting, where `tries()`. Elsewhere nothing is known
  // to have come without waiting.
  bool tries() const noexcept { return stream_ != nullptr && stream_->tries(); }
  bool silent() const noexcept { return stream_ == nullptr || stream_->silent(); }
  std::optional<std::size_t> try_read(std::span<char> into) { return held().try_read(into); }
  task<> readable() { return held().readable(); }

 private:
  struct interface {
    virtual ~interface() = default;
    virtual task<std::size_t> read_some(std::span<char> into) = 0;
    virtual task<std::size_t> write_some(std::string_view bytes) = 0;
    virtual task<> write_all(std::string_view bytes) = 0;
    virtual task<> shutdown_write() = 0;
    virtual void close() noexcept = 0;
    virtual bool is_open() const noexcept = 0;
    virtual bool tries() const noexcept = 0;
    virtual bool silent() const noexcept = 0;
    virtual task<> readable() = 0;
    virtual std::optional<std::size_t> try_read(std::span<char> into) = 0;
  };
  template <class S>
  struct holder final : interface {
    explicit holder(S s) : stream(std::move(s)) {}
    task<std::size_t> read_some(std::span<char> into) override { return stream.read_some(into); }
    task<std::size_t> write_some(std::string_view bytes) override {
      return stream.write_some(bytes);
    }
    task<> write_all(std::string_view bytes) override { return stream.write_all(bytes); }
    task<> shutdown_write() override { return stream.shutdown_write(); }
    void close() noexcept override { stream.close(); }
    bool is_open() const noexcept override { return stream.is_open(); }
    static constexpr bool has_tries = requires(S & s, std::span<char> into) {
      { s.silent() } -> std::same_as<bool>;
      { s.try_read(into) } -> std::same_as<std::optional<std::size_t>>;
      s.readable();
    };
    bool tries() const noexcept override { return has_tries; }
    bool silent() const noexcept override {
      if constexpr (has_tries) return stream.silent();
      return true;
    }
    std::optional<std::size_t> try_read(std::span<char> into) override {
      if constexpr (has_tries) return stream.try_read(into);
      return std::nullopt;
    }
    task<> readable() override {
      if constexpr (has_tries) co_await stream.readable();
      co_return;
    }
    S stream;
  };
  interface& held() const;  // throws connection_closed if there is none
  std::unique_ptr<interface> stream_;
};

// Hands everything on until the source ends, and says how many bytes it was. A stop may lose what
// is between the two.
template <byte_source From, byte_sink To>
task<std::size_t> copy(From& from, To& to) {
  std::string buffer(16384, '\0');
  std::size_t copied = 0;
  while (const std::size_t got = co_await from.read_some(buffer)) {
    co_await to.write_all(std::string_view(buffer).substr(0, got));
    copied += got;
  }
  co_return copied;
}

}  // namespace plait::net
