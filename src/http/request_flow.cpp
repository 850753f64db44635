// While a request waits for its answer two frames exist: fetch(), which keeps the time, and attempt().
// That is why attempt() does what would make pretty functions of their own.
#include "http/request_flow.hpp"

#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::http {
namespace {

task<> rest(duration span) { co_await sleep(span); }

[[noreturn]] void throw_no_place(const url& to, duration limit) {
  throw timeout_error("no connection to " + to.authority() + " became free within " +
                      plait::detail::to_text(limit) +
                      ": client_options::limit and limit_per_host bound them");
}

task<> wait_for_place(const client_options& options, connection_pool::place& place, const url& to) {
  const duration limit = options.timeouts.pool;
  if (limit == duration::max()) {
    co_await place.acquire();
    co_return;
  }
  const bool got = co_await move_on_after(limit, place.acquire());
  if (!got) throw_no_place(to, limit);
}

// A fresh connection for the origin of `to`.
task<std::unique_ptr<byte_stream>> connect(session_core& session, const url& to) {
  const duration limit = session.options.timeouts.connect;
  session.pool.make_room();
  for (bool again = false;; again = true) {
    try {
      co_return co_await timeout(limit, session.options.transport->connect(to));
    } catch (const net::descriptors_exhausted&) {
      if (again || session.pool.idle() == 0) throw;
      session.pool.close_idle();
    } catch (const timeout_error&) {
      throw timeout_error("no connection to " + to.authority() + " within " +
                          plait::detail::to_text(limit) + ": is it reachable?");
    }
  }
}

task<> wait_for_turn(const client_options& options, shared_connections& shared, const url& to) {
  const duration limit = options.timeouts.pool;
  if (limit == duration::max()) {
    co_await shared.wait_turn();
    co_return;
  }
  const bool called = co_await move_on_after(limit, shared.wait_turn());
  if (!called) throw_no_place(to, limit);
}

// A connection that has been unused for long may have ended, and nobody has looked.
task<> look_at(const http2_connection& connection) {
  constexpr duration long_enough = std::chrono::milliseconds(20);
  if (connection.streams() != 0) co_return;
  if (event_loop::current().clock().now() - connection.idle_since() < long_enough) co_return;
  for (int i = 0; i < 2; ++i) co_await sleep(duration::zero());
}

// Opens the connection that the other requests for the host wait for. False: one that was idle will do.
task<bool> arrange(open_exchange& x, shared_connections& shared) {
  auto& session = x.session();
  const url& to = x.to();
  shared_connections::arrangement mine(shared);
  if (x.place().limited()) co_await wait_for_place(session.options, x.place(), to);
  if (auto* idle = shared.find(); idle != nullptr) {
    x.place().share(*idle);
    x.use(idle->connection->open_stream(to.scheme()));
    co_return false;
  }
  std::unique_ptr<byte_stream> fresh;
  try {
    fresh = co_await connect(session, to);
    const bool only_http2 = session.options.version == http_version::http2;
    if (only_http2 && to.scheme() == "https" && fresh->protocol() != "h2")
      throw protocol_error(
          to.authority() +
          " does not speak HTTP/2, and client_options::version allows nothing else");
    if (!only_http2 && fresh->protocol() != "h2") {
      shared.set_speaks_http1();
      x.use(std::move(fresh));
      co_return true;
    }
  } catch (const cancelled_error&) {  // this request's alone
    throw;
  } catch (...) {
    mine.failed();
    throw;
  }
  auto& made = shared.add(std::move(fresh), to.authority());
  x.place().share(made);
  x.use(made.connection->open_stream(to.scheme()));
  co_return true;
}

// A connection to a host that may speak HTTP/2. True: it has not been used before, or this is not the
// first that is tried: if it fails as well, that is final.
task<bool> obtain(open_exchange& x, bool again) {
  auto& shared = *x.place().shared();
  const auto& options = x.session().options;
  x.session().pool.close_expired(event_loop::current().now());
  while (!shared.speaks_http1()) {
    auto* found = shared.arranging() ? nullptr : shared.find();
    if (found != nullptr) {
      const auto connection = found->connection;
      co_await look_at(*connection);
      found = shared.find();
      if (found == nullptr || shared.arranging()) continue;
      if (x.place().join(*found)) {
        x.use(found->connection->open_stream(x.to().scheme()));
        if (found->connection->accepts()) shared.call_next();
        co_return again || found->connection->streams_ever() == 1;
      }
    }
    if (shared.arranging() || (found == nullptr && shared.in_use() && !x.place().can_acquire())) {
      co_await wait_for_turn(options, shared, x.to());
    } else {
      const bool fresh = co_await arrange(x, shared);
      co_return again || fresh;
    }
  }
  if (x.place().limited()) co_await wait_for_place(options, x.place(), x.to());
  const bool fresh = again || !x.take_idle();
  if (fresh) x.use(co_await connect(x.session(), x.to()));
  co_return fresh;
}

task<> send_with_body(open_exchange& x) {
  body_source& body = *x.body();
  const bool ready = co_await body.rewind();
  if (!ready)
    throw error("the body of the request to " + x.to().to_string() +
                " would have to be sent once more, and cannot be: its rewind() says so");
  const body_framing framing{body.size(), !body.size().has_value()};
  x.send(framing);
  co_await x.talk().send_rest(&body, framing);
}

// One try, on a kept connection or a fresh one, up to what is wanted of the answer.
task<> attempt(open_exchange& x) {
  if (const duration pause = x.pause(); pause != duration::zero()) co_await rest(pause);
  auto& place = x.take_place();
  const bool may_share = place.shared() != nullptr;
  if (place.limited() && !may_share) co_await wait_for_place(x.session().options, place, x.to());
  std::exception_ptr failure;
  try {
    bool fresh = false;
    for (bool again = false;; again = true) {
      if (may_share) {
        fresh = co_await obtain(x, again);
      } else {
        fresh = again || !x.take_idle();
        if (fresh) x.use(co_await connect(x.session(), x.to()));
      }
      if (x.body() != nullptr) {
        co_await send_with_body(x);
      } else {
        x.send();
        if (x.talk().has_unsent()) co_await x.talk().send_rest(nullptr, {});
      }
      while (!x.settled()) {
        if (net::tcp_stream* connection = x.talk().plain()) {
          co_await connection->readable();
        } else {
          co_await x.talk().readable();
        }
        x.talk().receive();
      }
      if (x.answered()) break;
      if (fresh || !x.may_repeat()) x.throw_unanswered();
    }
  } catch (...) {
    failure = x.judge_failure();
  }
  if (failure != nullptr) std::rethrow_exception(std::move(failure));
  x.conclude_try();
}

}  // namespace

task<response> fetch(std::unique_ptr<open_exchange> asked) {
  const auto x = std::move(asked);  // goes with the end of this, not of the frame
  x->start();
  do {
    try {
      co_await timeout(x->time_left(), attempt(*x));
    } catch (const timeout_error&) {
      x->rethrow_timeout();
    }
  } while (!x->finished());
  x->conclude();
  x->release();
  co_return std::move(x->seen());
}

task<response_stream> begin_stream(std::unique_ptr<open_exchange> asked) {
  auto x = std::move(asked);
  x->start();
  do {
    try {
      co_await timeout(x->time_left(), attempt(*x));
    } catch (const timeout_error&) {
      x->rethrow_timeout();
    }
  } while (!x->finished());
  x->conclude();
  co_return response_stream(std::move(x));
}

}  // namespace plait::http
