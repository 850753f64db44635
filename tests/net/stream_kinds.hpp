// tests/net/stream_kinds.hpp: each kind of stream that the conformance suite runs on, and helpers.
#pragma once

#include <unistd.h>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plait/coroutines.hpp"
#include "plait/net.hpp"
#include "plait/testing/memory_stream.hpp"
#include "virtual_run.hpp"

// Two ends that are connected.
template <class Stream>
using ends = std::pair<Stream, Stream>;

struct tcp_kind {
  using stream = plait::net::tcp_stream;
  static plait::task<ends<stream>> connect() {
    auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
    auto client = co_await stream::connect("127.0.0.1", listener.port());
    auto server = co_await listener.accept();
    co_return ends<stream>(std::move(client), std::move(server));
  }
};

struct unix_kind {
  using stream = plait::net::unix_stream;
  static plait::task<ends<stream>> connect() {
    const std::string name = "@plait-test-" + std::to_string(getpid());
    auto listener = plait::net::unix_listener::bind(name);
    auto client = co_await stream::connect(name);
    auto server = co_await listener.accept();
    co_return ends<stream>(std::move(client), std::move(server));
  }
};

struct unix_pair_kind {
  using stream = plait::net::unix_stream;
  static plait::task<ends<stream>> connect() { co_return stream::pair(); }
};

struct memory_kind {
  using stream = plait::testing::memory_stream;
  static plait::task<ends<stream>> connect() { co_return plait::testing::memory_stream_pair(); }
};

// Odd pieces and a buffer that is never large enough.
struct rude_memory_kind {
  using stream = plait::testing::memory_stream;
  static plait::task<ends<stream>> connect() {
    co_return plait::testing::memory_stream_pair({.largest_piece = 1500, .capacity = 4096});
  }
};

struct any_kind {
  using stream = plait::net::any_stream;
  static plait::task<ends<stream>> connect() {
    auto both = plait::net::unix_stream::pair();
    co_return ends<stream>(std::move(both.first), std::move(both.second));
  }
};

// Runs the coroutine function `program`, which lives as long as its task does.
template <class F>
auto run_program(F program) {
  return plait::run(program());
}

// The value, or nothing if it was cancelled.
template <class T>
plait::task<std::optional<T>> unless_cancelled(plait::future<T> f) {
  try {
    co_return co_await std::move(f);
  } catch (const plait::cancelled_error&) {
    co_return std::nullopt;
  }
}

template <class Stream>
plait::task<std::string> read_to_end(Stream& from) {
  std::string all, buffer(65536, '\0');
  while (const std::size_t got = co_await from.read_some(buffer)) all.append(buffer, 0, got);
  co_return all;
}

template <class Stream>
plait::task<> write_and_end(Stream& to, std::string_view bytes) {
  co_await to.write_all(bytes);
  co_await to.shutdown_write();
}

// Bytes that tell their place.
inline std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7919 >> 8);
  return bytes;
}
