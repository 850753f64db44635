// src/http/connection_pool.hpp: a session's connections: how many may be open, which are idle.
//
// A request takes a place (a permit, if there are limits), then an idle connection or opens a fresh
// one, and gives the connection back if the server keeps it alive. Idle connections are handed out
// newest first and closed after keep_alive; nothing ticks, they are looked at when something else
// happens. Connections that speak HTTP/2 are shared instead: see shared_connections.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/shared_connections.hpp"
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
    std::unique_ptr<shared_connections> shared;  // null: it is spoken to in HTTP/1.1
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

    shared_connections* shared() const noexcept { return host_.shared.get(); }
    // Whether acquire() would not wait.
    bool can_acquire() const noexcept {
      return (!host_.permits || host_.permits->available() != 0) &&
             (!pool_.permits_ || pool_.permits_->available() != 0);
    }
    // Uses a shared connection by the permits that its other users hold; false: there are none.
    bool join(const shared_connections::entry& on) noexcept {
      if (limited()) joined_ = on.permits.lock();
      return !limited() || joined_ != nullptr;
    }
    // Others may join what was acquired.
    void share(shared_connections::entry& on) {
      if (!limited()) return;
      joined_ = std::make_shared<connection_permits>(std::move(permits_));
      permits_ = {};
      on.permits = joined_;
    }

   private:
    connection_pool& pool_;
    host_connections& host_;
    connection_permits permits_;
    std::shared_ptr<connection_permits> joined_;
  };

  host_connections& host(const url& to);
  // Before a connection is opened: closes an idle one if there would be more than the limit.
  void make_room() noexcept;
  std::size_t idle() const noexcept;
  void close_idle() noexcept;
  // Closes what has been unused for keep_alive.
  void close_expired(time_point now) noexcept;

 private:
  bool may_share(const url& to) const noexcept;

  const client_options& options_;
  std::unordered_map<std::string, host_connections> hosts_;  // by scheme://authority
  std::optional<url> last_to_;  // what host() was asked for last, and said
  host_connections* last_ = nullptr;
  std::optional<semaphore> permits_;
  std::size_t idle_ = 0;  // without shared ones
  std::size_t sharing_hosts_ = 0;
  time_point next_sweep_{};
};

}  // namespace plait::http
