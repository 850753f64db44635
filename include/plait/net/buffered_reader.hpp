// plait/net/buffered_reader.hpp: lines, delimiters and exact lengths out of any byte_source.
//
//   plait::net::buffered_reader reader(stream);
//   while (auto line = co_await reader.read_line()) co_await stream.write_all(*line + "\r\n");
//
// Threads:  belongs to its stream's loop; one flow reads at a time. The stream must outlive it.
// Stops:    a stopped read loses nothing: what has come stays in the buffer for the next read.
// Throws:   incomplete_read: the source ended too early; it has what came until then.
//           limit_exceeded: what was asked for has not come within `limit` bytes, which stay here.
// Cost:     reads from the source in pieces of `piece` bytes or more; grows to what is asked for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plait/net/byte_stream.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

namespace detail {

// Bytes in the order in which they came, with room behind them.
class read_buffer {
 public:
  std::string_view bytes() const noexcept {
    return std::string_view(storage_).substr(begin_, size_);
  }
  std::size_t size() const noexcept { return size_; }
  // Room for at least `wanted` bytes; commit() says how many came.
  std::span<char> room(std::size_t wanted);
  void commit(std::size_t came) noexcept { size_ += came; }
  std::string take(std::size_t n);
  std::size_t take(std::span<char> into) noexcept;
  void drop(std::size_t n) noexcept;

 private:
  std::string storage_;  // all of it is room; the bytes are [begin_, begin_ + size_)
  std::size_t begin_ = 0, size_ = 0;
};

[[noreturn]] void throw_incomplete(std::string partial, std::string_view wanted);
[[noreturn]] void throw_incomplete(std::string partial, std::size_t wanted);
[[noreturn]] void throw_limit(std::string_view wanted, std::size_t limit);

}  // namespace detail

template <byte_source Source>
class buffered_reader {
 public:
  explicit buffered_reader(Source& from, std::size_t piece = 8192) noexcept
      : from_(from), piece_(piece) {}
  buffered_reader(const buffered_reader&) = delete;
  buffered_reader& operator=(const buffered_reader&) = delete;

  // As the source's, but what is in the buffer first.
  task<std::size_t> read_some(std::span<char> into) {
    if (buffer_.size() == 0) co_return co_await from_.read_some(into);
    co_return buffer_.take(into);
  }

  // Exactly `n` bytes.
  task<std::string> read_exactly(std::size_t n) {
    while (buffer_.size() < n) {
      const bool came = co_await more(n - buffer_.size());
      if (!came) detail::throw_incomplete(buffer_.take(buffer_.size()), n);
    }
    co_return buffer_.take(n);
  }

  // Up to and with the first `delimiter`, which is not empty. `limit` bounds the whole.
  task<std::string> read_until(std::string delimiter, std::size_t limit = 65536) {
    const std::size_t found = co_await find(delimiter, limit);
    if (found == npos) detail::throw_incomplete(buffer_.take(buffer_.size()), delimiter);
    co_return buffer_.take(found + delimiter.size());
  }

  // The next line without its "\n" or "\r\n"; nothing at the end. The last may have no end.
  task<std::optional<std::string>> read_line(std::size_t limit = 65536) {
    const std::size_t found = co_await find("\n", limit);
    if (found == npos && buffer_.size() == 0) co_return std::nullopt;
    std::string line = buffer_.take(found == npos ? buffer_.size() : found);
    if (found != npos) {
      buffer_.drop(1);
      if (line.ends_with('\r')) line.pop_back();
    }
    co_return line;
  }

  // Everything up to the end.
  task<std::string> read_all(std::size_t limit) {
    for (bool ended = false; !ended;) {
      const bool came = co_await more(piece_);
      if (buffer_.size() > limit) detail::throw_limit("the end", limit);
      ended = !came;
    }
    co_return buffer_.take(buffer_.size());
  }

  // What has come and has not been read; valid until the next read.
  std::string_view buffered() const noexcept { return buffer_.bytes(); }

 private:
  static constexpr std::size_t npos = std::string_view::npos;

  // False at the end.
  task<bool> more(std::size_t wanted) {
    const std::size_t got = co_await from_.read_some(buffer_.room(std::max(wanted, piece_)));
    buffer_.commit(got);
    co_return got != 0;
  }
  // Where the delimiter begins; npos if the source ended without one.
  task<std::size_t> find(std::string_view delimiter, std::size_t limit) {
    std::size_t searched = 0;
    for (;;) {
      const std::size_t found = buffer_.bytes().find(delimiter, searched);
      const std::size_t whole = found == npos ? buffer_.size() : found + delimiter.size();
      if (whole > limit || (whole == limit && found == npos)) detail::throw_limit(delimiter, limit);
      if (found != npos) co_return found;
      searched = buffer_.size() - std::min(buffer_.size(), delimiter.size() - 1);
      const bool came = co_await more(piece_);
      if (!came) co_return npos;
    }
  }

  Source& from_;
  std::size_t piece_;
  detail::read_buffer buffer_;
};

// Everything that comes from a source up to its end; throws limit_exceeded.
template <byte_source From>
task<std::string> read_all(From& from, std::size_t limit) {
  buffered_reader<From> reader(from);
  co_return co_await reader.read_all(limit);
}

}  // namespace plait::net
