// src/http/shared_connections.hpp: the HTTP/2 connections to one host, and who waits for room on them.
//
// One request at a time opens a connection (arranges), the others wait: most find room on what it opened.
// If it turns out that the host speaks HTTP/1.1, all go their own ways. If it cannot be reached, all that
// waited for the attempt hear why. Whoever got room calls the next, so that nobody is woken for nothing.
//
// Limits:   a connection in use holds the permits of the pool's limits, whoever uses it.
// Threads:  the session's loop.
#pragma once

#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "http/http2_connection.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/semaphore.hpp"

namespace plait::http {

// What a connection in use costs of client_options::limit and limit_per_host.
struct connection_permits {
  std::optional<semaphore::permit> any, this_host;
};

class shared_connections {
 public:
  // As in client_options.
  shared_connections(duration keep_alive, std::size_t most_header_bytes) noexcept
      : keep_alive_(keep_alive), most_header_bytes_(most_header_bytes) {}
  shared_connections(const shared_connections&) = delete;
  ~shared_connections();

  struct entry {
    std::shared_ptr<http2_connection> connection;
    std::weak_ptr<connection_permits> permits;  // gone while nobody uses it
  };
  // One with room for a request, or null. What has ended is forgotten.
  entry* find() noexcept;
  entry& add(std::unique_ptr<byte_stream> fresh, std::string whom);
  bool in_use() const noexcept;

  // True once the host has chosen HTTP/1.1.
  bool speaks_http1() const noexcept { return speaks_http1_; }
  void set_speaks_http1() noexcept;

  // Held by whoever opens a connection.
  class arrangement {
   public:
    explicit arrangement(shared_connections& all) noexcept : all_(all) { all.arranging_ = true; }
    arrangement(const arrangement&) = delete;
    ~arrangement() {
      all_.arranging_ = false;
      all_.call_next();
    }
    // Within a handler: tells those who wait for this what they would hear themselves.
    void failed() noexcept;

   private:
    shared_connections& all_;
  };
  bool arranging() const noexcept { return arranging_; }
  // Waits until it may be worth looking again; throws what an arrangement failed with.
  task<> wait_turn();
  void call_next() noexcept;

  // For the pool.
  std::size_t idle() const noexcept;
  bool empty() const noexcept { return entries_.empty(); }
  // Closes those that have been unused for the time, or all that are unused; says how many.
  std::size_t close_idle(time_point now = time_point::max(),
                         duration at_least = duration::zero()) noexcept;

 private:
  struct turn {
    event called;
    std::exception_ptr failure;
  };
  const duration keep_alive_;
  const std::size_t most_header_bytes_;
  std::vector<entry> entries_;
  std::list<turn*> waiting_;
  bool arranging_ = false;
  bool speaks_http1_ = false;
};

}  // namespace plait::http
