#include "http/http2_stream.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "plait/http/response.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

constexpr std::size_t piece = 64 * 1024;  // of a request's body, that waits for the window

// Error codes of RFC 9113, 7.
constexpr std::uint32_t refused_stream = 7;

template <class Number>
std::optional<Number> number_in(std::string_view digits) noexcept {
  Number number = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

http2_stream::http2_stream(std::shared_ptr<http2_connection> on, std::string scheme)
    : connection_(std::move(on)), scheme_(std::move(scheme)), upload_(std::make_unique<upload>()) {
  upload_->parser.emplace(upload_->asked, message_limits{SIZE_MAX, UINT64_MAX});
  upload_->parser->body_into(outgoing_);
  connection_->add(*this);
}

http2_stream::~http2_stream() {
  if (linked_) connection_->drop(*this);
}

// ---- the request ---------------------------------------------------------------------------------

std::size_t http2_stream::try_write(std::string_view bytes) {
  if (failure_ != nullptr) std::rethrow_exception(failure_);
  if (wants_no_more())
    throw net::connection_closed(connection_->options_.whom + " wants no more of the request",
                                 std::make_error_code(std::errc::broken_pipe));
  if (!all_sent() || all_given_) return 0;
  outgoing_.clear();
  sent_ = 0;
  bytes = bytes.substr(0, piece);
  auto& [asked, parser, pending] = *upload_;
  feed(*parser, pending, bytes);
  if (parser->failure() != parse_failure::none)
    throw error("a request that cannot be sent over HTTP/2: " + parser->complaint());
  if (!parser->is_header_done()) return bytes.size();
  all_given_ = parser->is_done();
  if (id == 0) {
    using body = http2_connection::body_to_come;
    has_no_body_ = asked.method == "HEAD";
    id = connection_->begin(*this, asked, scheme_,
                            all_given_ && outgoing_.empty() ? body::none : body::some);
  } else if (!outgoing_.empty() || all_given_) {
    connection_->body_goes_on(id);
  }
  if (all_given_) upload_.reset();
  return bytes.size();
}

task<> http2_stream::writable() {
  while (!all_sent() && !wants_no_more() && failure_ == nullptr) {
    changed_.clear();
    co_await changed_.wait();
  }
}

std::optional<std::size_t> http2_stream::send_some(std::span<char> into, bool& last) {
  const std::size_t n = std::min(into.size(), outgoing_.size() - sent_);
  if (n == 0 && !all_given_) return std::nullopt;
  std::memcpy(into.data(), outgoing_.data() + sent_, n);
  sent_ += n;
  last = all_given_ && all_sent();
  if (all_sent()) {
    outgoing_ = std::string();
    sent_ = 0;
    changed_.set();
  }
  return n;
}

// ---- the response --------------------------------------------------------------------------------

bool http2_stream::field(std::string_view name, std::string_view value) {
  const std::size_t limit = connection_->options_.most_header_bytes;
  header_bytes_ += name.size() + value.size() + 4;  // ": " and a line's end
  if (header_bytes_ > limit) {
    fail(std::make_exception_ptr(
        protocol_error(connection_->options_.whom + " sent more than " + std::to_string(limit) +
                       " bytes of header: client_options::max_header_bytes is the limit")));
    return false;
  }
  if (name == ":status") {
    status_ = number_in<int>(value).value_or(0);
  } else if (!name.starts_with(':') && !heard_) {  // not those of a trailer
    if (name == "content-length") announced_ = number_in<std::uint64_t>(value);
    header_.append(name).append(": ").append(value).append("\r\n");
  }
  return true;
}

void http2_stream::header_complete() {
  if (heard_) return;
  if (status_ < 200) {  // an interim response
    header_.clear();
    announced_.reset();
    return;
  }
  heard_ = true;
  if (has_no_body_ || status_ == 204 || status_ == 304) announced_ = 0;
  received_.reserve(header_.size() + 64);
  received_.append("HTTP/1.1 ").append(std::to_string(status_)).append(" ");
  received_.append(reason_of(status_)).append("\r\n").append(header_).append("\r\n");
  header_ = std::string();
  untaken_header_ = received_.size();
  changed_.set();
}

void http2_stream::data(std::string_view bytes) {
  body_bytes_ += bytes.size();
  received_.append(bytes);
  changed_.set();
}

// So whoever knows the length does not leave, and reset, a stream that has all but ended.
std::size_t http2_stream::takeable() const noexcept {
  const std::size_t there = received_.size() - taken_;
  const bool end_missing = !complete_ && announced_ && body_bytes_ >= *announced_;
  return end_missing && there != 0 ? there - 1 : there;
}

std::optional<std::size_t> http2_stream::try_read(std::span<char> into) {
  const std::size_t n = std::min(takeable(), into.size());
  if (n == 0) {
    if (complete_) return 0;
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    if (!linked_) return 0;
    return std::nullopt;
  }
  std::memcpy(into.data(), received_.data() + taken_, n);
  taken_ += n;
  const std::size_t of_header = std::min(n, untaken_header_);
  untaken_header_ -= of_header;
  if (n > of_header && linked_ && !complete_) connection_->consumed(id, n - of_header);
  if (taken_ == received_.size()) {
    received_.clear();
    taken_ = 0;
    if (received_.capacity() > piece) received_ = std::string();
  }
  return n;
}

task<> http2_stream::readable() {
  while (takeable() == 0 && !complete_ && linked_ && failure_ == nullptr) {
    changed_.clear();
    co_await changed_.wait();
  }
}

void http2_stream::response_complete() noexcept {
  complete_ = heard_;
  changed_.set();
}

// ---- the end -------------------------------------------------------------------------------------

void http2_stream::fail(std::exception_ptr why) noexcept {
  if (failure_ == nullptr && !complete_) failure_ = std::move(why);
  changed_.set();
}

void http2_stream::closed(std::uint32_t code, const char* in_words) {
  linked_ = false;
  connection_->remove(*this);
  connection_->notify();
  const std::string& whom = connection_->options_.whom;
  if (code == refused_stream) {
    fail(std::make_exception_ptr(not_processed(whom + " refused to begin with the request")));
  } else if (reset_by_server_) {
    fail(std::make_exception_ptr(
        connection_lost(whom + " broke the response off (" + in_words + ")")));
  } else {
    fail(std::make_exception_ptr(protocol_error(
        whom + " sent a response that breaks the rules of HTTP/2 (" + in_words + ")")));
  }
}

void http2_stream::lost(const std::exception_ptr& why) {
  linked_ = false;
  if (why != nullptr) {
    fail(why);
  } else if (heard_) {
    fail(std::make_exception_ptr(connection_lost(
        connection_->options_.whom + " closed the connection in the middle of a response")));
  }
  changed_.set();
}

}  // namespace plait::http
