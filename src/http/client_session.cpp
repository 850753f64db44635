#include "plait/http/client_session.hpp"

#include <algorithm>

#include "http/connection_pool.hpp"
#include "http/exchange.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

// RFC 9110, 9.2.2.
bool may_be_repeated(const std::string& method) noexcept {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

bool is_redirect(int code) noexcept {
  return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

// How a redirect changes the request: RFC 9110, 15.4, as browsers and requests do it.
void follow(int code, const url& from, const url& to, std::string& method, request_options& given) {
  const bool becomes_get =
      (code == 303 && method != "HEAD") || ((code == 301 || code == 302) && method == "POST");
  if (becomes_get) {
    method = "GET";
    given.content().clear();
    given.headers().erase("Content-Type");
  }
  if (!from.same_origin(to)) {  // what was meant for one server is not another one's business
    given.headers().erase("Authorization");
    given.headers().erase("Cookie");
    given.headers().erase("Host");
  }
}

std::string seconds(duration span) {
  std::string text = std::to_string(std::chrono::duration<double>(span).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

void check_method(const std::string& method) {
  const bool good = !method.empty() && std::all_of(method.begin(), method.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  });
  if (!good) throw invalid_header("'" + method + "' cannot be the method of a request");
}

}  // namespace

struct client_session::state {
  explicit state(client_options o) : options(std::move(o)), pool(options) {
    if (options.transport == nullptr) options.transport = &default_transport();
  }

  // One frame holds what the frames below refer to.
  task<response> request(std::string method, std::string text, request_options given);
  task<> fetch(std::string& method, url& to, request_options& given, response& result);
  task<> fetch_once(const std::string& method, const url& to, const request_options& given,
                    response& into);
  task<std::unique_ptr<byte_stream>> open(const url& to);

  client_options options;
  connection_pool pool;
};

task<response> client_session::state::request(std::string method, std::string text,
                                              request_options given) {
  check_method(method);
  url to(text);
  const duration limit = given.timeout().value_or(options.timeouts.total);
  const auto& clock = event_loop::current().clock();
  const time_point started = clock.now();
  response result;
  try {
    co_await timeout(limit, fetch(method, to, given, result));
  } catch (const timeout_error&) {
    // Not the whole request's deadline: that of the connection, which has a text of its own.
    if (clock.now() - started < limit) throw;
    throw timeout_error("no complete response from " + text + " within " + seconds(limit));
  }
  result.url = to.to_string();
  result.elapsed = clock.now() - started;
  co_return result;
}

task<> client_session::state::fetch(std::string& method, url& to, request_options& given,
                                    response& result) {
  for (unsigned followed = 0;; ++followed) {
    co_await fetch_once(method, to, given, result);
    const std::string_view location = result.headers.get("Location");
    if (!is_redirect(result.status_code) || options.max_redirects == 0 || location.empty())
      co_return;
    if (followed == options.max_redirects)
      throw too_many_redirects("gave up after " + std::to_string(followed) + " redirects, at " +
                               to.to_string());
    url next = to.resolve(location);
    follow(result.status_code, to, next, method, given);
    to = std::move(next);
  }
}

task<std::unique_ptr<byte_stream>> client_session::state::open(const url& to) {
  pool.make_room();
  bool scarce = false;
  try {
    co_return co_await timeout(options.timeouts.connect, options.transport->connect(to));
  } catch (const net::descriptors_exhausted&) {
    if (pool.idle() == 0) throw;
    scarce = true;
  } catch (const timeout_error&) {
    throw timeout_error("no connection to " + to.authority() + " within " +
                        seconds(options.timeouts.connect) + ": is it reachable?");
  }
  if (scarce) pool.close_idle();
  co_return co_await timeout(options.timeouts.connect, options.transport->connect(to));
}

task<> client_session::state::fetch_once(const std::string& method, const url& to,
                                         const request_options& given, response& into) {
  const message_limits limits{options.max_header_bytes, options.max_body_bytes};
  const auto& clock = event_loop::current().clock();
  connection_pool::place place(pool, pool.host(to));
  if (place.limited()) co_await place.acquire();
  try {
    auto stream = place.take_idle(clock.now());
    if (stream != nullptr && !may_be_repeated(method)) {
      char unexpected = 0;
      if (stream->try_read({&unexpected, 1}).has_value()) stream.reset();
    }
    const bool reused = stream != nullptr;
    if (!reused) stream = co_await open(to);
    auto after = co_await exchange(*stream, request_text(method, to, options, given), method, to,
                                   limits, into);
    if (after == after_exchange::was_closed && reused && may_be_repeated(method)) {
      stream.reset();
      stream = co_await open(to);
      after = co_await exchange(*stream, request_text(method, to, options, given), method, to,
                                limits, into);
    }
    if (after == after_exchange::was_closed)
      throw connection_lost(to.authority() + " closed the connection without an answer to " +
                            method + " " + to.target());
    if (after == after_exchange::keep) place.give_back(std::move(stream), clock.now());
  } catch (const net::dns_error& e) {
    throw dns_error(e.what());
  } catch (const net::connection_closed& e) {
    throw connection_lost(std::string(e.what()) + " (" + to.to_string() + ")");
  } catch (const net::coded_error& e) {
    throw connect_error(e.what(), e.code());
  } catch (const net::error& e) {
    throw connect_error(e.what(), {});
  } catch (const std::system_error& e) {  // the loop cannot watch another descriptor
    throw connect_error(e.what(), e.code());
  }
}

client_session::client_session(client_options options)
    : state_(std::make_unique<state>(std::move(options))) {}
client_session::client_session(client_session&&) noexcept = default;
client_session& client_session::operator=(client_session&&) noexcept = default;
client_session::~client_session() = default;

task<response> client_session::get(std::string url, request_options options) {
  return state_->request("GET", std::move(url), std::move(options));
}

task<response> client_session::request(std::string method, std::string url,
                                       request_options options) {
  return state_->request(std::move(method), std::move(url), std::move(options));
}

std::size_t client_session::idle_connections() const noexcept { return state_->pool.idle(); }

}  // namespace plait::http
