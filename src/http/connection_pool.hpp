// src/http/connection_pool.hpp: a session's connections: how many may be open, which are idle.
//
// A request takes a place (a permit, if there are limits), then an idle connection or opens a fresh
// one, and gives the connection back if the server keeps it alive. Idle connections are handed out
// newest first and closed after keep_alive; nothing ticks, they are looked at when something else
// happens.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plait/coroutines/semaphore.hpp"
#include "plait/http/client_session.hpp"
#include "plait/http/transport.hpp"

namespace plait::http {

class connection_pool {
  struct idle_connection {
    std::unique_ptr<byte_stream> stream;
    time_point since;
  };

 public:
  explicit connection_pool(const client_options& options);

  // Everything about one scheme, host and port. Stays where it is while `users` is not 0.
  struct host_connections {
    std::vector<idle_connection> idle;  // oldest first
    std::optional<semaphore> permits;
    std::size_t users = 0;
  };

  // Held for as long as a request is under way.
  class place {
   public:
    place(connection_pool& pool, host_connections& host) noexcept : pool_(pool), host_(host) {
      ++host_.users;
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { --host_.users; }
    // Waits for permission to use a connection, if there are limits.
    task<> acquire();
    bool limited() const noexcept { return host_.permits || pool_.permits_; }
    // The newest idle connection that is not known to have ended, or null.
    std::unique_ptr<byte_stream> take_idle(time_point now);
    void give_back(std::unique_ptr<byte_stream> stream, time_point now);

   private:
    connection_pool& pool_;
    host_connections& host_;
    std::optional<semaphore::permit> any_, this_host_;
  };

  host_connections& host(const url& to);
  // Before a connection is opened: closes an idle one if there would be more than the limit.
  void make_room() noexcept;
  std::size_t idle() const noexcept { return idle_; }
  void close_idle() noexcept;

 private:
  void close_expired(time_point now) noexcept;

  const client_options& options_;
  std::unordered_map<std::string, host_connections> hosts_;
  std::optional<semaphore> permits_;
  std::size_t idle_ = 0;
  time_point next_sweep_{};
};

}  // namespace plait::http
