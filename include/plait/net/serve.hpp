// plait/net/serve.hpp: a flow for each connection that a listener takes.
//
//   auto listener = plait::net::tcp_listener::bind("127.0.0.1", 7);
//   co_await plait::net::serve(listener, echo);  // plait::task<> echo(plait::net::tcp_stream)
//
// What asyncio calls start_server, anyio serve: for tcp_listener, unix_listener, and any class with
// their accept() and close(); for TLS see over_tls(). The handler, a coroutine function that takes
// the stream, is kept until the last connection has ended, so it may capture. The listener must stay
// until serve() has ended: to cancel() it is not to wait for it; a race, a group or co_await does.
//
// Threads:  the listener's loop.
// Stops:    closes the listener, then lets the connections end by themselves for options.grace, stops
//           what is left, and throws cancelled_error when the last one has gone. listener.close()
//           does the same.
// Throws:   what is wrong with the listener itself. A handler that throws ends its own connection
//           only; its exception goes to the unhandled-exception handler, except connection_closed:
//           the client went away, which is its own affair.
// Waits:    with max_connections open it accepts no more: they queue in the kernel. The same without
//           descriptors (see tcp_listener.hpp).
// Cost:     about 200 bytes a connection beside the handler's frame, from the block cache.
// Example:  examples/coroutines/echo.cpp
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "plait/core/block_cache.hpp"
#include "plait/core/clock.hpp"
#include "plait/coroutines/child.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/semaphore.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::net {

struct serve_options {
  std::size_t max_connections = 10'000;
  // How long connections have to end by themselves once serve() is stopped.
  duration grace = duration::zero();
};

namespace detail {

class serving;

// One connection's flow. Deletes itself at its end.
class served_connection : public plait::detail::child_base {
 public:
  served_connection(serving& by, semaphore::permit place) noexcept;
  virtual ~served_connection() = default;
  static void* operator new(std::size_t bytes) {
    return plait::detail::block_cache::allocate(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    plait::detail::block_cache::free(block, bytes);
  }
  // Once; from then on it belongs to its server.
  void start(task<> conversation) noexcept;
  // The server ends: nothing more should begin here.
  virtual void begin_draining() noexcept {}

 protected:
  serving& server() const noexcept { return server_; }

 private:
  friend serving;
  void run() noexcept final { begin(conversation_->frame(), conversation_->frame().promise()); }
  serving& server_;
  semaphore::permit place_;
  std::optional<task<>> conversation_;
  served_connection *previous_ = nullptr, *next_served_ = nullptr;
};

// The flow that accepts and its connections, as the children of the flow that serves:
//
//   accepting   until a stop, or until the listener fails
//   draining    the listener is closed; the connections end, or are stopped after `grace`
//   ended       when the last connection has gone; the awaiting flow runs on
class serving : public plait::detail::child_owner, private plait::detail::timer {
 public:
  // `what` a connection is, for reports: "a connection of 127.0.0.1:80".
  serving(event_loop& loop, serve_options options, std::string what)
      : loop_(loop), options_(options), what_(std::move(what)), places_(options.max_connections) {}
  virtual ~serving() = default;

  // co_await: until all has ended. `accepting` takes places and starts connections for ever.
  class run_awaiter;
  run_awaiter run(task<> accepting) noexcept;
  semaphore& places() noexcept { return places_; }
  void report(std::exception_ptr error) const noexcept;

  std::size_t size() const noexcept { return size_; }
  bool draining() const noexcept { return draining_; }
  event_loop& loop() const noexcept { return loop_; }
  plait::detail::context& parent() const noexcept { return flow(); }

  // A server that can end connections which nobody needs now says so, and is asked to when one more
  // waits: before that one has a place, or when there are no descriptors left.
  virtual bool makes_room() const noexcept { return false; }
  // Ends at most so many of them; returns how many.
  virtual std::size_t make_room(std::size_t) noexcept { return 0; }
  std::size_t want_room(std::size_t most) noexcept {
    const std::size_t made = make_room(most);
    room_wanted_ = made == 0;
    return made;
  }
  // Nobody could be spared: the next connection that could stay had better end.
  bool room_wanted() const noexcept { return room_wanted_; }
  void room_found() noexcept { room_wanted_ = false; }

  std::string waits_for() const override;
  void visit_children(plait::detail::flow_visitor& visitor) const override;

 private:
  friend served_connection;
  void link(served_connection& added) noexcept;
  void unlink(served_connection& ended) noexcept;
  void child_ended(plait::detail::child_base& ended) noexcept override;
  void begin_draining() noexcept;
  void stop() noexcept override;
  void expired() noexcept override;
  void finish() {
    check();
    accepting_->take();
  }

  event_loop& loop_;
  serve_options options_;
  std::string what_;
  semaphore places_;
  std::optional<plait::detail::child<void>> accepting_;
  served_connection* first_ = nullptr;
  std::size_t size_ = 0;
  bool draining_ = false;
  bool room_wanted_ = false;
};

class serving::run_awaiter {
 public:
  run_awaiter(serving& scope, task<> accepting) noexcept
      : scope_(scope), accepting_(std::move(accepting)) {}
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  void await_suspend(std::coroutine_handle<P> frame) {
    // A stop that has come already is told to the flow that accepts, which closes the listener.
    const bool stopping = frame.promise().flow->stopping();
    scope_.suspend_always(frame);
    scope_.accepting_.emplace(scope_, scope_.flow(), std::move(accepting_));
    scope_.accepting_->start();
    if (stopping) scope_.stop();
  }
  void await_resume() { scope_.finish(); }

 private:
  serving& scope_;
  task<> accepting_;
};

inline serving::run_awaiter serving::run(task<> accepting) noexcept {
  return {*this, std::move(accepting)};
}

// Connections that are taken in one go before others have a turn.
inline constexpr int accept_burst = 64;

template <class Listener, class Start>
task<> accept_all(Listener& listener, serving& scope, Start start) {
  constexpr bool tells_of_scarcity = requires { listener.serve_for(&scope); };
  struct closer {
    Listener& listener;
    ~closer() {
      listener.close();
      if constexpr (tells_of_scarcity) listener.serve_for(nullptr);
    }
  };
  const closer at_the_end{listener};
  if constexpr (tells_of_scarcity) listener.serve_for(&scope);
  for (int taken = 1;; ++taken) {
    semaphore::permit place;
    if (!scope.makes_room()) place = co_await scope.places().acquire();
    auto stream = co_await listener.accept();
    if (scope.makes_room()) {
      if (scope.places().available() == 0) scope.want_room(1);
      place = co_await scope.places().acquire();
      scope.room_found();
    }
    std::exception_ptr error;
    try {
      start(scope, std::move(place), std::move(stream));
    } catch (...) {  // the handler, before its first co_await, or no memory
      error = std::current_exception();
    }
    if (error != nullptr) scope.report(std::move(error));
    if (taken % accept_burst == 0) co_await sleep(duration::zero());
  }
}

template <class Listener>
std::string name_of_server(const Listener& listener) {
  if constexpr (requires { listener.local_endpoint().to_string(); }) {
    return "a connection of " + listener.local_endpoint().to_string();
  } else if constexpr (requires { std::string(listener.address()); }) {
    return "a connection of " + listener.address();
  } else {
    return "a connection";
  }
}

}  // namespace detail

template <class Listener, class Handler>
[[nodiscard]] task<> serve(Listener& listener, Handler handler, serve_options options = {}) {
  using stream = plait::detail::await_result<decltype(listener.accept())>;
  static_assert(std::is_same_v<std::invoke_result_t<Handler&, stream>, task<>>,
                "serve(listener, handler): handler must be a coroutine function that takes the "
                "stream and returns a plait::task<>");
  detail::serving scope(event_loop::current(), options, detail::name_of_server(listener));
  const auto start = [&handler](detail::serving& by, semaphore::permit place, stream taken) {
    auto conversation = handler(std::move(taken));
    (new detail::served_connection(by, std::move(place)))->start(std::move(conversation));
  };
  auto accepting = detail::accept_all(listener, scope, start);
  co_await scope.run(std::move(accepting));
}

}  // namespace plait::net
