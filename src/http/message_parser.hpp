// src/http/message_parser.hpp: Beast's HTTP/1.1 parser, writing straight into our messages.
//
// Beast parses; it neither reads nor stores. Its parser wants the bytes that it did not consume
// again, in front of the next ones: `feed` keeps them in `pending`.
#pragma once

// One of its assertions is about what a peer sends, and wrong: a chunked body that begins with the last chunk
// and arrives byte by byte ended the program (Fuzz.Requests found it). So it runs without them.
#ifndef BOOST_DISABLE_ASSERTS
#define BOOST_DISABLE_ASSERTS
#endif

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <string>
#include <string_view>

#include "plait/http/request.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

struct message_limits {
  std::size_t header_bytes;
  std::uint64_t body_bytes;
};

enum class parse_failure { none, malformed, header_too_large, body_too_large, cut_short };

namespace detail {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;

constexpr std::size_t usual_fields_bytes = 240;  // the text of most messages' fields grows no more

// What requests and responses have in common: fields and a body.
template <bool IsRequest>
class message_parser : public beast_http::basic_parser<IsRequest> {
 public:
  using base = beast_http::basic_parser<IsRequest>;

  // Takes as much of `input` as belongs to this message; returns the rest: of this message while it
  // is not done, else of the next one.
  std::string_view put_some(std::string_view input) {
    error_code failed;
    const std::size_t used = base::put({input.data(), input.size()}, failed);
    input.remove_prefix(used);
    if (failed && failed != beast_http::error::need_more) note(failed);
    return input;
  }
  // The stream has ended.
  void put_end() {
    error_code failed;
    base::put_eof(failed);
    if (failed) note(failed);
  }
  parse_failure failure() const noexcept { return failure_; }
  // Where the body goes from now on.
  void body_into(std::string& to) noexcept { body_ = &to; }
  // The same for messages that have a Content-Encoding; before the first byte.
  void coded_bodies_into(std::string& to) noexcept { coded_body_ = &to; }
  bool has_coded_body() const noexcept { return body_ == coded_body_; }
  bool sets_cookies() const noexcept { return sets_cookies_; }
  // What the header had, without another look at it.
  int hosts() const noexcept { return hosts_; }
  bool has_expect() const noexcept { return has_expect_; }
  bool has_transfer_encoding() const noexcept { return has_transfer_encoding_; }
  // Beast's words for what was malformed.
  std::string complaint() const { return failed_.message(); }

 protected:
  message_parser(headers& fields, std::string& body, message_limits limits)
      : fields_(fields), body_(&body), limits_(limits) {
    base::eager(true);
    base::header_limit(
        static_cast<std::uint32_t>(std::min<std::size_t>(limits.header_bytes, UINT32_MAX)));
    base::body_limit(limits.body_bytes);
  }

 private:
  void note(const error_code& failed) {
    using e = beast_http::error;
    failure_ = failed == e::header_limit      ? parse_failure::header_too_large
               : failed == e::body_limit      ? parse_failure::body_too_large
               : failed == e::partial_message ? parse_failure::cut_short
                                              : parse_failure::malformed;
    failed_ = failed;
  }
  void on_field_impl(beast_http::field which, boost::beast::string_view name,
                     boost::beast::string_view value, error_code& failed) final {
    // A trailer counts for nothing: it could take back what the header said (RFC 9110, 6.5.1).
    if (base::is_header_done()) return;
    if (which == beast_http::field::host) ++hosts_;
    if (which == beast_http::field::expect) has_expect_ = true;
    if (which == beast_http::field::transfer_encoding) has_transfer_encoding_ = true;
    if (which == beast_http::field::content_encoding) has_coding_ = true;
    if (which == beast_http::field::set_cookie) sets_cookies_ = true;
    fields_.add_checked({name.data(), name.size()}, {value.data(), value.size()});
    // Beast's own limit is on what it sees at once; a header that drips in needs one on the sum.
    if (fields_.text().size() > limits_.header_bytes) failed = beast_http::error::header_limit;
  }
  void on_header_impl(error_code&) final {
    if (coded_body_ != nullptr && has_coding_) body_ = coded_body_;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) final {
    constexpr std::uint64_t trusted = 1 << 20;  // a lie about the length costs no more than this
    if (length && *length > 0) body_->reserve(std::min(*length, trusted));
  }
  std::size_t on_body_impl(boost::beast::string_view part, error_code&) final {
    body_->append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) final {}
  std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view part, error_code&) final {
    body_->append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(error_code&) final {}

  headers& fields_;
  std::string* body_;
  std::string* coded_body_ = nullptr;
  message_limits limits_;
  parse_failure failure_ = parse_failure::none;
  int hosts_ = 0;
  bool has_coding_ = false, sets_cookies_ = false;
  bool has_expect_ = false, has_transfer_encoding_ = false;
  error_code failed_;
};

}  // namespace detail

class response_parser final : public detail::message_parser<false> {
 public:
  response_parser(response& into, message_limits limits)
      : message_parser(into.headers, into.content, limits), into_(into) {}

 private:
  void on_request_impl(detail::beast_http::verb, boost::beast::string_view,
                       boost::beast::string_view, int, detail::error_code&) override {}
  void on_response_impl(int code, boost::beast::string_view reason, int,
                        detail::error_code&) override {
    into_.status_code = code;
    into_.reason.assign(reason.data(), reason.size());
    into_.headers.reserve(detail::usual_fields_bytes);
  }
  response& into_;
};

class request_parser final : public detail::message_parser<true> {
 public:
  request_parser(request& into, message_limits limits)
      : message_parser(into.headers, into.content, limits), into_(into) {}
  // 10 or 11.
  int version() const noexcept { return version_; }

 private:
  void on_request_impl(detail::beast_http::verb, boost::beast::string_view method,
                       boost::beast::string_view target, int version,
                       detail::error_code&) override {
    version_ = version;
    into_.method.assign(method.data(), method.size());
    into_.target.assign(target.data(), target.size());
    into_.headers.reserve(detail::usual_fields_bytes);
  }
  void on_response_impl(int, boost::beast::string_view, int, detail::error_code&) override {}
  request& into_;
  int version_ = 11;
};

// Bytes that arrived, on top of those that wait. Afterwards `pending` holds what is left over.
template <class Parser>
void feed(Parser& parser, std::string& pending, std::string_view arrived) {
  if (pending.empty()) {
    pending.assign(parser.put_some(arrived));
    return;
  }
  pending.append(arrived);
  pending.erase(0, pending.size() - parser.put_some(pending).size());
}

}  // namespace plait::http
