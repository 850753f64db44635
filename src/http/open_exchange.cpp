#include "http/open_exchange.hpp"

#include <algorithm>

#include "http/translated.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/http/errors.hpp"

namespace plait::http {
namespace {

// The body of a redirect that is read, so that its connection serves on.
constexpr std::uint64_t worth_reading = 64 * 1024;

// How often a request goes out again that the server has not begun with, whatever its retry_policy.
constexpr std::uint8_t most_refusals = 5;
constexpr duration first_pause = std::chrono::milliseconds(5);

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

time_point now() { return event_loop::current().clock().now(); }

}  // namespace

session_core::session_core(client_options given)
    : options(std::move(given)), own_network(options), pool(options), usual(options) {
  if (options.transport == nullptr) options.transport = &own_network;
}

open_exchange::open_exchange(session_core& session, std::string method, std::string text,
                             request_options given, wanted part)
    : session_(session),
      talk_(session.options, part == wanted::head ? UINT64_MAX : session.options.max_body_bytes),
      method_(std::move(method)),
      text_(std::move(text)),
      given_(std::move(given)),
      tries_(given_.retries() != nullptr ? *given_.retries() : session.options.retries),
      part_(part) {}

void open_exchange::start() {
  const auto& options = session_.options;
  check_method(method_);
  started_ = now();
  to_.emplace(with_params(text_, given_.params()));
  text_ = std::string();
  most_redirects_ = given_.max_redirects().value_or(options.max_redirects);
}

duration open_exchange::limit() const noexcept {
  return given_.timeout().value_or(session_.options.timeouts.total);
}

duration open_exchange::time_left() const {
  if (next_ == step::finish) return limit();  // the first try
  return std::max(limit() - (now() - started_), duration::zero());
}

void open_exchange::rethrow_timeout() const {
  if (now() - started_ < limit()) throw;
  throw timeout_error("no complete response from " +
                      (history_.empty() ? to_->to_string() : history_.front().url) + " within " +
                      plait::detail::to_text(limit()));
}

connection_pool::place& open_exchange::take_place() {
  considered_ = false;
  next_ = step::finish;
  return place_.emplace(session_.pool, session_.pool.host(*to_));
}

bool open_exchange::take_idle() {
  stream_ = place_->take_idle(event_loop::current().now());
  if (stream_ != nullptr && !may_repeat()) {
    char unexpected = 0;
    if (stream_->try_read({&unexpected, 1}).has_value()) stream_.reset();
  }
  return stream_ != nullptr;
}

void open_exchange::send(body_framing framing) {
  const auto& options = session_.options;
  if (options.on_request) options.on_request(method_, *to_, given_.headers());
  const std::string cookies =
      session_.cookies.empty() ? std::string() : session_.cookies.for_request(*to_);
  thread_local std::string text;
  text.clear();
  append_request(text, method_, *to_, options, session_.usual, given_, framing, cookies, whose_,
                 session_.relay(*to_));
  talk_.begin(*stream_, *to_, text,
              method_ == "HEAD" ? exchange::answer_to::head : exchange::answer_to::others);
  constexpr std::size_t worth_keeping = 64 * 1024;
  if (text.capacity() > worth_keeping) text = std::string();
}

bool open_exchange::settled() {
  if (!considered_) {
    if (talk_.lost()) return true;
    if (!talk_.read_head()) return false;
    considered_ = true;
    consider();
  }
  return talk_.read_body(seen().content, body_wanted_);
}

// What the head of an answer leads to.
void open_exchange::consider() {
  const auto& options = session_.options;
  if (place_->shared() != nullptr && stream_->protocol() == "h2")
    seen().version = http_version::http2;
  if (options.cookies == cookie_policy::keep && talk_.sets_cookies()) hear_cookies();
  if (options.on_response) options.on_response(method_, *to_, seen());
  body_wanted_ = worth_reading;
  if (const auto pause = tries_.after_answer(method_, seen())) {
    pause_ = *pause;
    next_ = step::try_again;
    return;
  }
  if (is_redirect(seen().status_code) && most_redirects_ != 0) {
    text_ = seen().headers.get("Location");
    if (!text_.empty()) {
      if (history_.size() == most_redirects_)
        throw too_many_redirects("gave up after " + std::to_string(history_.size()) +
                                 " redirects, at " + to_->to_string());
      next_ = step::follow;
      return;
    }
  }
  body_wanted_ = part_ == wanted::head ? 0 : UINT64_MAX;
}

void open_exchange::hear_cookies() {
  for (const auto field : seen().headers)
    if (same_token(field.name, "Set-Cookie")) session_.cookies.hear(*to_, field.value);
}

void open_exchange::throw_unanswered() const {
  throw connection_lost(to_->authority() + " closed the connection without an answer to " +
                        method_ + " " + to_->target());
}

std::exception_ptr open_exchange::judge_failure() {
  std::exception_ptr failure;
  bool may_pass = false, unseen = false;
  try {
    translate_network_error(*to_);
  } catch (const proxy_error& e) {
    failure = std::current_exception();
    may_pass = unseen = e.status_code() != 407;  // our credentials will be no better
  } catch (const connect_error&) {
    failure = std::current_exception();
    may_pass = unseen = true;
  } catch (const not_processed&) {
    failure = std::current_exception();
    may_pass = unseen = true;
    if (!considered_ && refusals_ < most_refusals) {
      pause_ = refusals_ == 0 ? duration::zero() : first_pause * (1 << refusals_);
      ++refusals_;
      next_ = step::try_again;
      return nullptr;
    }
  } catch (const connection_lost&) {
    failure = std::current_exception();
    may_pass = true;
  } catch (...) {
    failure = std::current_exception();
  }
  if (!may_pass || considered_) return failure;
  const auto pause = tries_.after_failure(method_, unseen);
  if (!pause) return failure;
  pause_ = *pause;
  next_ = step::try_again;
  return nullptr;
}

void open_exchange::conclude_try() {
  if (next_ == step::finish) return;
  if (next_ == step::follow) {
    seen().url = to_->to_string();
    history_.push_back(std::move(seen()));
  }
  release();
  if (next_ == step::follow) follow();
}

// How a redirect changes the request: RFC 9110, 15.4, as browsers and requests do it.
void open_exchange::follow() {
  url next = to_->resolve(std::exchange(text_, {}));
  const int code = history_.back().status_code;
  const bool becomes_get =
      (code == 303 && method_ != "HEAD") || ((code == 301 || code == 302) && method_ == "POST");
  if (becomes_get) {
    method_ = "GET";
    given_.drop_body();
  }
  if (!to_->same_origin(next)) {  // what was meant for one server is not another one's business
    whose_ = credentials::withheld;
    given_.headers().erase("Host");
  }
  to_ = std::move(next);
}

void open_exchange::conclude() {
  auto& result = seen();
  result.url = to_->to_string();
  result.history = std::move(history_);
  result.elapsed = now() - started_;
}

void open_exchange::release() noexcept {
  if (stream_ != nullptr && talk_.reusable())
    place_->give_back(std::move(stream_), event_loop::current().now());
  stream_.reset();
  place_.reset();
}

}  // namespace plait::http
