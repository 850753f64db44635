// src/http/open_exchange.hpp: a request under way: what was asked, its place in the pool, its connection,
// the conversation.
//
// All of it that does not wait: what does is in request_flow.cpp. Both halves share one block of memory, so
// that ten thousand requests that wait for their answers take little of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/connection_pool.hpp"
#include "http/exchange.hpp"
#include "http/network.hpp"
#include "http/retries.hpp"
#include "plait/http/cookie_jar.hpp"

namespace plait::http {

// What the requests of a session share.
struct session_core {
  explicit session_core(client_options given);
  // The proxy that passes the request for `to` on, or null.
  const proxy* relay(const url& to) const {
    return options.transport == &own_network ? own_network.relay(to) : nullptr;
  }
  client_options options;
  network own_network;
  connection_pool pool;
  cookie_jar cookies;
  const usual_fields usual;
};

class open_exchange {
 public:
  enum class wanted { whole_body, head };

  open_exchange(session_core& session, std::string method, std::string text, request_options given,
                wanted part);
  open_exchange(const open_exchange&) = delete;
  ~open_exchange() { release(); }
  static void* operator new(std::size_t bytes) {
    return plait::detail::block_cache::allocate(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    plait::detail::block_cache::free(block, bytes);
  }

  // First of all. Throws what is wrong with the method and the URL.
  void start();
  bool finished() const noexcept { return next_ == step::finish; }  // after a try
  duration time_left() const;
  // Within a handler of a timeout_error: rethrows it, in words of its own if it is that of the whole request.
  [[noreturn]] void rethrow_timeout() const;
  // How long to wait before the next try.
  duration pause() noexcept { return std::exchange(pause_, duration::zero()); }

  // ---- a try: in this order ------------------------------------------------------------------
  connection_pool::place& take_place();
  // Whether it has an idle connection.
  bool take_idle();
  connection_pool::place& place() noexcept { return *place_; }
  void use(std::unique_ptr<byte_stream> fresh) noexcept { stream_ = std::move(fresh); }
  // Sends the head, and the content if that is at hand.
  void send(body_framing framing = {});
  // False: more has to come first. Looks at the answer's head, which says what to do next.
  bool settled();
  bool answered() const noexcept { return !talk_.lost(); }
  bool may_repeat() const noexcept { return is_idempotent(method_); }
  [[noreturn]] void throw_unanswered() const;
  // Within a handler, instead of conclude_try(): null if there is to be another try.
  std::exception_ptr judge_failure();
  void conclude_try();

  // ---- in the end ----------------------------------------------------------------------------
  // Tells the response where it came from.
  void conclude();
  // Gives the connection back to the pool if the next request may use it, else closes it.
  void release() noexcept;

  session_core& session() const noexcept { return session_; }
  const url& to() const noexcept { return *to_; }
  body_source* body() const noexcept { return given_.body().get(); }
  exchange& talk() noexcept { return talk_; }
  response& seen() noexcept { return talk_.seen(); }

 private:
  enum class step : std::uint8_t { finish, try_again, follow };
  void consider();
  void hear_cookies();
  void follow();
  duration limit() const noexcept;

  session_core& session_;
  exchange talk_;
  std::string method_;
  std::optional<url> to_;
  std::string text_;  // the URL, until start(); then where a redirect leads
  request_options given_;
  std::optional<connection_pool::place> place_;
  std::unique_ptr<byte_stream> stream_;
  std::vector<response> history_;
  retries tries_;
  time_point started_;
  duration pause_ = duration::zero();
  std::uint64_t body_wanted_ = 0;
  unsigned most_redirects_ = 0;
  const wanted part_;
  credentials whose_ = credentials::ours;
  bool considered_ = false;    // the head of this try's answer
  std::uint8_t refusals_ = 0;  // by servers that had not begun
  step next_ = step::finish;
};

}  // namespace plait::http
