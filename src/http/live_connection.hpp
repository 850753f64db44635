// src/http/live_connection.hpp: one connection of an HTTP server: its flow and its deadline.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

#include "plait/coroutines/timer.hpp"
#include "plait/net/serve.hpp"

namespace plait::http {

class live_connection;

// The connections of a server, and which of them could be spared: those that were answered and have
// sent nothing since, the longest idle first.
class live_connections final : public net::detail::serving {
 public:
  using serving::serving;
  bool makes_room() const noexcept override { return true; }
  std::size_t make_room(std::size_t most) noexcept override;

 private:
  friend live_connection;
  live_connection *first_idle_ = nullptr, *last_idle_ = nullptr;
};

class live_connection final : public net::detail::served_connection, private plait::detail::timer {
 public:
  enum class phase { shaking_hands, waiting, receiving, answering, sending };

  live_connection(live_connections& by, semaphore::permit place) noexcept
      : served_connection(by, std::move(place)), all_(by) {}
  ~live_connection() override {
    if (idle_) no_longer_idle();
    if (peers_ != nullptr) leave_peers();
  }
  using peer_counts = std::unordered_map<std::string, std::size_t>;
  // Counts it among its address's, up to its end; false if there are `most` already.
  bool count_peer(peer_counts& peers, std::string address, std::size_t most) {
    const auto found = peers.try_emplace(std::move(address)).first;
    if (found->second >= most) return false;
    ++found->second;
    peers_ = &peers;
    address_ = &found->first;  // stays while its count is above zero
    return true;
  }

  // What the connection does from now on, and for how long it may; duration::max(): as it likes.
  void enter(phase entered, duration longest) noexcept;
  phase now_in() const noexcept { return phase_; }
  bool timed_out() const noexcept { return timed_out_; }
  // From the beginning of the server's end, and while another waits for a place that nobody can spare:
  // answers say Connection: close.
  bool should_end() const noexcept { return all_.draining() || all_.room_wanted(); }

 private:
  void begin_draining() noexcept override {
    if (phase_ == phase::waiting || phase_ == phase::shaking_hands) request_stop();
  }
  void expired() noexcept override;
  friend live_connections;
  void now_idle() noexcept;
  void no_longer_idle() noexcept;
  void leave_peers() noexcept {
    const auto found = peers_->find(*address_);
    if (--found->second == 0) peers_->erase(found);
  }

  live_connections& all_;
  live_connection *longer_idle_ = nullptr, *less_idle_ = nullptr;
  time_point deadline_{};
  phase phase_ = phase::shaking_hands;
  bool timed_out_ = false, idle_ = false;
  peer_counts* peers_ = nullptr;
  const std::string* address_ = nullptr;
};

}  // namespace plait::http
