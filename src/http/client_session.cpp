#include "plait/http/client_session.hpp"

#include <algorithm>

#include "http/connection_pool.hpp"
#include "http/network.hpp"
#include "http/open_exchange.hpp"
#include "http/retries.hpp"
#include "http/translated.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

// The body of a redirect that is read, so that its connection serves on.
constexpr std::size_t worth_reading = 64 * 1024;

bool is_redirect(int code) noexcept {
  return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

void check_method(const std::string& method) {
  const bool good = !method.empty() && std::all_of(method.begin(), method.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  });
  if (!good) throw invalid_header("'" + method + "' cannot be the method of a request");
}

url with_params(const std::string& text, const std::string& params) {
  if (params.empty()) return url(text);
  std::string whole = text.substr(0, text.find('#'));
  const auto mark = whole.find('?');
  if (mark == std::string::npos) {
    whole += '?';
  } else if (mark + 1 != whole.size() && whole.back() != '&') {
    whole += '&';
  }
  return url(whole + params);
}

// A request on its way through retries and redirects.
struct errand {
  errand(const client_options& options, std::string m, const std::string& text, request_options g,
         std::uint64_t most)
      : method(std::move(m)),
        to(with_params(text, g.params())),
        given(std::move(g)),
        most_body(most),
        most_redirects(given.max_redirects().value_or(options.max_redirects)),
        tries(given.retries() != nullptr ? *given.retries() : options.retries) {}

  // How a redirect changes the request: RFC 9110, 15.4, as browsers and requests do it.
  void follow(url next) {
    const int code = history.back().status_code;
    const bool becomes_get =
        (code == 303 && method != "HEAD") || ((code == 301 || code == 302) && method == "POST");
    if (becomes_get) {
      method = "GET";
      given.drop_body();
    }
    if (!to.same_origin(next)) {  // what was meant for one server is not another one's business
      whose = credentials::withheld;
      given.headers().erase("Host");
    }
    to = std::move(next);
  }
  void conclude(response& result, time_point started) {
    result.url = to.to_string();
    result.history = std::move(history);
    result.elapsed = event_loop::current().clock().now() - started;
  }

  std::string method;
  url to;
  request_options given;
  const std::uint64_t most_body;
  const unsigned most_redirects;
  retries tries;
  credentials whose = credentials::ours;
  std::vector<response> history;
};

}  // namespace

struct client_session::state {
  explicit state(client_options o)
      : options(std::move(o)), own_network(options.tls), pool(options) {
    if (options.transport == nullptr) options.transport = &own_network;
  }

  // One frame holds what the frames below refer to.
  task<response> request(std::string method, std::string text, request_options given);
  task<response_stream> stream(std::string method, std::string text, request_options given);

  using exchange_ptr = std::unique_ptr<open_exchange>;
  task<> in_time(task<> work, duration limit, const std::string& text);
  task<> fetch(errand& way, exchange_ptr& under_way);
  // To the end of the final response's header.
  task<> arrive(errand& way, exchange_ptr& under_way);
  task<> read_rest(open_exchange& under_way, std::uint64_t most);
  // One try, on a kept connection or a fresh one.
  task<> attempt(errand& way, open_exchange& under_way);
  task<bool> converse(errand& way, open_exchange& under_way);
  task<> wait_for_place(open_exchange& under_way);
  task<std::unique_ptr<byte_stream>> open(const url& to);
  void hear_cookies(const url& from, const response& seen);

  client_options options;
  network own_network;
  connection_pool pool;
  cookie_jar cookies;
};

// `work` within the limit; a deadline of its own has a text of its own.
task<> client_session::state::in_time(task<> work, duration limit, const std::string& text) {
  const auto& clock = event_loop::current().clock();
  const time_point started = clock.now();
  try {
    co_await timeout(limit, std::move(work));
  } catch (const timeout_error&) {
    if (clock.now() - started < limit) throw;
    throw timeout_error("no complete response from " + text + " within " +
                        plait::detail::to_text(limit));
  }
}

task<response> client_session::state::request(std::string method, std::string text,
                                              request_options given) {
  check_method(method);
  const time_point started = event_loop::current().clock().now();
  const duration limit = given.timeout().value_or(options.timeouts.total);
  errand way(options, std::move(method), text, std::move(given), options.max_body_bytes);
  exchange_ptr under_way;
  co_await in_time(fetch(way, under_way), limit, text);
  response result = std::move(under_way->seen);
  under_way.reset();
  way.conclude(result, started);
  co_return result;
}

task<response_stream> client_session::state::stream(std::string method, std::string text,
                                                    request_options given) {
  check_method(method);
  const time_point started = event_loop::current().clock().now();
  const duration limit = given.timeout().value_or(options.timeouts.total);
  errand way(options, std::move(method), text, std::move(given), UINT64_MAX);
  exchange_ptr under_way;
  co_await in_time(arrive(way, under_way), limit, text);
  way.conclude(under_way->seen, started);
  co_return response_stream(std::move(under_way));
}

task<> client_session::state::fetch(errand& way, exchange_ptr& under_way) {
  co_await arrive(way, under_way);
  co_await read_rest(*under_way, UINT64_MAX);
}

task<> client_session::state::arrive(errand& way, exchange_ptr& under_way) {
  for (unsigned followed = 0;;) {
    std::exception_ptr failure;
    bool unseen = false;
    under_way.reset();  // before the next one takes a place
    under_way = std::make_unique<open_exchange>(pool, options, way.to, way.most_body);
    try {
      co_await attempt(way, *under_way);
    } catch (const connect_error&) {
      failure = std::current_exception();
      unseen = true;
    } catch (const connection_lost&) {
      failure = std::current_exception();
    }
    const auto pause = failure != nullptr ? way.tries.after_failure(way.method, unseen)
                                          : way.tries.after_answer(way.method, under_way->seen);
    if (failure != nullptr && !pause) std::rethrow_exception(std::move(failure));
    if (pause) {
      if (failure == nullptr) co_await read_rest(*under_way, worth_reading);
      under_way.reset();
      co_await sleep(*pause);
      continue;
    }
    auto& seen = under_way->seen;
    const std::string_view location = seen.headers.get("Location");
    if (!is_redirect(seen.status_code) || way.most_redirects == 0 || location.empty()) co_return;
    if (followed == way.most_redirects)
      throw too_many_redirects("gave up after " + std::to_string(followed) + " redirects, at " +
                               way.to.to_string());
    ++followed;
    url next = way.to.resolve(location);
    co_await read_rest(*under_way, worth_reading);
    seen.url = way.to.to_string();
    way.history.push_back(std::move(seen));
    way.follow(std::move(next));
  }
}

// The body, up to about `most` bytes.
task<> client_session::state::read_rest(open_exchange& under_way, std::uint64_t most) {
  constexpr std::size_t piece = 64 * 1024;
  auto& talk = under_way.talk;
  auto& content = under_way.seen.content;
  try {
    while (!talk.complete() && content.size() < most) co_await talk.read_body(content, piece);
  } catch (const net::error&) {
    translate_network_error(under_way.to);
  }
}

task<> client_session::state::attempt(errand& way, open_exchange& under_way) {
  if (under_way.place->limited()) co_await wait_for_place(under_way);
  try {
    const bool may_repeat = is_idempotent(way.method);
    under_way.stream = under_way.place->take_idle(event_loop::current().clock().now());
    if (under_way.stream != nullptr && !may_repeat) {
      char unexpected = 0;
      if (under_way.stream->try_read({&unexpected, 1}).has_value()) under_way.stream.reset();
    }
    const bool reused = under_way.stream != nullptr;
    if (!reused) under_way.stream = co_await open(way.to);
    bool answered = co_await converse(way, under_way);
    if (!answered && reused && may_repeat) {
      under_way.stream = co_await open(way.to);
      answered = co_await converse(way, under_way);
    }
    if (!answered)
      throw connection_lost(way.to.authority() + " closed the connection without an answer to " +
                            way.method + " " + way.to.target());
  } catch (const error&) {
    throw;
  } catch (const net::error&) {
    translate_network_error(way.to);
  } catch (const std::system_error&) {
    translate_network_error(way.to);
  }
  if (options.cookies == cookie_policy::keep) hear_cookies(way.to, under_way.seen);
  if (options.on_response) options.on_response(way.method, way.to, under_way.seen);
}

// False: the connection had ended before the first byte of an answer.
task<bool> client_session::state::converse(errand& way, open_exchange& under_way) {
  body_source* body = way.given.body().get();
  body_framing framing;
  if (body != nullptr) {
    const bool ready = co_await body->rewind();
    if (!ready)
      throw error("the body of the request to " + way.to.to_string() +
                  " would have to be sent once more, and cannot be: its rewind() says so");
    framing = {body->size(), !body->size().has_value()};
  }
  if (options.on_request) options.on_request(way.method, way.to, way.given.headers());
  const std::string cookie_text = cookies.empty() ? std::string() : cookies.for_request(way.to);
  co_await under_way.talk.send(
      *under_way.stream,
      request_text(way.method, way.to, options, way.given, framing, cookie_text, way.whose), body,
      framing);
  const bool answered = co_await under_way.talk.read_head(under_way.seen, way.method == "HEAD");
  co_return answered;
}

task<> client_session::state::wait_for_place(open_exchange& under_way) {
  const duration limit = options.timeouts.pool;
  if (limit == duration::max()) {
    co_await under_way.place->acquire();
    co_return;
  }
  const bool got = co_await move_on_after(limit, under_way.place->acquire());
  if (!got)
    throw timeout_error("no connection to " + under_way.to.authority() + " became free within " +
                        plait::detail::to_text(limit) +
                        ": client_options::limit and limit_per_host bound them");
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
                        plait::detail::to_text(options.timeouts.connect) + ": is it reachable?");
  }
  if (scarce) pool.close_idle();
  co_return co_await timeout(options.timeouts.connect, options.transport->connect(to));
}

void client_session::state::hear_cookies(const url& from, const response& seen) {
  for (const auto field : seen.headers)
    if (same_token(field.name, "Set-Cookie")) cookies.hear(from, field.value);
}

client_session::client_session(client_options options)
    : state_(std::make_unique<state>(std::move(options))) {}
client_session::client_session(client_session&&) noexcept = default;
client_session& client_session::operator=(client_session&&) noexcept = default;
client_session::~client_session() = default;

task<response> client_session::request(std::string method, std::string url,
                                       request_options options) {
  return state_->request(std::move(method), std::move(url), std::move(options));
}
task<response> client_session::get(std::string url, request_options options) {
  return state_->request("GET", std::move(url), std::move(options));
}
task<response> client_session::head(std::string url, request_options options) {
  return state_->request("HEAD", std::move(url), std::move(options));
}
task<response> client_session::post(std::string url, request_options options) {
  return state_->request("POST", std::move(url), std::move(options));
}
task<response> client_session::put(std::string url, request_options options) {
  return state_->request("PUT", std::move(url), std::move(options));
}
task<response> client_session::patch(std::string url, request_options options) {
  return state_->request("PATCH", std::move(url), std::move(options));
}
task<response> client_session::delete_(std::string url, request_options options) {
  return state_->request("DELETE", std::move(url), std::move(options));
}
task<response> client_session::options(std::string url, request_options options) {
  return state_->request("OPTIONS", std::move(url), std::move(options));
}
task<response_stream> client_session::stream(std::string method, std::string url,
                                             request_options options) {
  return state_->stream(std::move(method), std::move(url), std::move(options));
}

cookie_jar& client_session::cookies() noexcept { return state_->cookies; }
std::size_t client_session::idle_connections() const noexcept { return state_->pool.idle(); }

}  // namespace plait::http
