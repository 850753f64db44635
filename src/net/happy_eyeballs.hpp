// src/net/happy_eyeballs.hpp: connecting to a host that has several addresses (RFC 8305).
//
// The addresses are tried in turn, alternating between IPv6 and IPv4. The next attempt begins when
// the one before has failed, or has had no answer for `delay`, and runs beside it. The first that
// connects wins; the others are stopped and have let go of their sockets before this returns.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plait/coroutines/event.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

// The first one's family begins, and each family keeps its order (section 4).
inline std::vector<endpoint> interleaved(std::vector<endpoint> addresses) {
  if (addresses.empty()) return addresses;
  const auto rest = std::stable_partition(
      addresses.begin(), addresses.end(),
      [first = addresses.front().is_v6()](const endpoint& e) { return e.is_v6() == first; });
  std::vector<endpoint> mixed;
  mixed.reserve(addresses.size());
  for (auto a = addresses.begin(), b = rest; a != rest || b != addresses.end();) {
    if (a != rest) mixed.push_back(*a++);
    if (b != addresses.end()) mixed.push_back(*b++);
  }
  return mixed;
}

// `attempt(endpoint)` is a coroutine function that gives a Stream or throws connect_error.
template <class Stream, class Attempt>
class eyeballs {
 public:
  eyeballs(std::string whom, duration delay, Attempt attempt)
      : whom_(std::move(whom)), delay_(delay), attempt_(std::move(attempt)) {}

  // Once.
  task<Stream> connect(std::vector<endpoint> addresses) {
    if (addresses.size() == 1) co_return co_await attempt_(addresses.front());
    addresses = interleaved(std::move(addresses));
    co_await with_task_group(
        [&](task_group& attempts) { return begin_in_turn(attempts, addresses); });
    if (winner_) co_return std::move(*winner_);
    if (fatal_ != nullptr) std::rethrow_exception(fatal_);
    throw connect_error("cannot connect to " + whom_ + ": " + complaints_, last_code_);
  }

 private:
  task<> begin_in_turn(task_group& attempts, const std::vector<endpoint>& addresses) {
    for (const endpoint& address : addresses) {
      event& failed = failures_.emplace_back();
      attempts.with({.name = "connection attempt"}).start([this, &attempts, &failed, address] {
        return try_one(attempts, failed, address);
      });
      co_await move_on_after(delay_, failed.wait());
    }
  }

  task<> try_one(task_group& attempts, event& failed, endpoint address) {
    try {
      auto stream = co_await attempt_(address);
      if (!winner_) winner_ = std::move(stream);
      attempts.cancel();
    } catch (const connect_error& error) {
      complaints_ += (complaints_.empty() ? "" : "; ") + std::string(error.what());
      last_code_ = error.code();
      failed.set();
    } catch (const error&) {  // no descriptors left: the next address has none either
      fatal_ = std::current_exception();
      attempts.cancel();
    }
  }

  std::string whom_;
  duration delay_;
  Attempt attempt_;
  std::deque<event> failures_;
  std::optional<Stream> winner_;
  std::exception_ptr fatal_;
  std::string complaints_;
  std::error_code last_code_;
};

}  // namespace plait::net
