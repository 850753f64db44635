// src/http/live_connection.hpp: one connection of an HTTP server: its flow and its deadline.
#pragma once

#include "plait/coroutines/timer.hpp"
#include "plait/net/serve.hpp"

namespace plait::http {

class live_connection final : public net::detail::served_connection, private plait::detail::timer {
 public:
  enum class phase { waiting, receiving, answering, sending };

  live_connection(net::detail::serving& by, semaphore::permit place) noexcept
      : served_connection(by, std::move(place)) {}

  // What the connection does from now on, and for how long it may; duration::max(): as it likes.
  void enter(phase entered, duration longest) noexcept;
  phase now_in() const noexcept { return phase_; }
  bool timed_out() const noexcept { return timed_out_; }
  // True from the beginning of the server's end: answers then say Connection: close.
  bool draining() const noexcept { return server().draining(); }

 private:
  void begin_draining() noexcept override {
    if (phase_ == phase::waiting) request_stop();
  }
  void expired() noexcept override;

  time_point deadline_{};
  phase phase_ = phase::waiting;
  bool timed_out_ = false;
};

}  // namespace plait::http
