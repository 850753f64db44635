#include "http/tunnel.hpp"

#include <array>
#include <string>
#include <system_error>

#include "http/message_parser.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/request_options.hpp"
#include "plait/net/resolve.hpp"

namespace plait::http {
namespace {

// "host:443", always with the port.
std::string host_and_port(const url& to) {
  const bool is_v6 = to.host().find(':') != std::string::npos;
  return (is_v6 ? "[" + to.host() + "]" : to.host()) + ":" + std::to_string(to.port());
}

[[noreturn]] void fail(const proxy& by, const std::string& what,
                       std::errc code = std::errc::connection_aborted, int status = 0) {
  throw proxy_error("the proxy " + by.name() + " " + what, std::make_error_code(code), status);
}

void check_answer(const proxy& by, const url& to, const response& answer) {
  const int code = answer.status_code;
  if (code >= 200 && code < 300) return;
  const std::string said =
      std::to_string(code) +
      (answer.reason.empty() ? "" : " " + answer.reason.substr(0, 200));  // it may be anything
  if (code == 407)
    fail(by,
         (by.has_credentials() ? "does not accept our credentials (" : "wants credentials (") +
             said + "): they stand in its URL, http://user:password@host:port",
         std::errc::permission_denied, code);
  fail(by, "did not connect us to " + host_and_port(to) + ": it answered " + said,
       std::errc::host_unreachable, code);
}

task<> connect_by_http(net::tcp_stream& stream, const proxy& by, const url& to,
                       std::size_t most_header_bytes) {
  const std::string whom = host_and_port(to);
  std::string text = "CONNECT " + whom + " HTTP/1.1\r\nHost: " + whom + "\r\n";
  if (by.has_credentials())
    text.append("Proxy-Authorization: ").append(basic_auth(by.user, by.password)).append("\r\n");
  text += "\r\n";
  co_await stream.write_all(text);

  response answer;
  std::string pending;
  std::array<char, 1024> buffer;
  std::size_t came = 0;
  do {  // once for each interim response, 100 to 199, and for the final one
    answer = response();
    response_parser parser(answer, {most_header_bytes, 0});
    parser.skip(true);
    if (!pending.empty()) feed(parser, pending, {});
    while (!parser.is_header_done()) {
      if (parser.failure() == parse_failure::header_too_large || came > most_header_bytes)
        fail(by, "answered CONNECT with more than " + std::to_string(most_header_bytes) +
                     " bytes of header");
      if (parser.failure() != parse_failure::none)
        fail(by, "did not answer in HTTP/1.1 (" + parser.complaint() + "): is it an HTTP proxy?",
             std::errc::protocol_error);
      const std::size_t got = co_await stream.read_some(buffer);
      if (got == 0)
        fail(by, "closed the connection instead of answering CONNECT " + whom,
             std::errc::connection_reset);
      came += got;
      feed(parser, pending, {buffer.data(), got});
    }
  } while (answer.status_code < 200);
  check_answer(by, to, answer);
  if (!pending.empty())  // whoever speaks before us, it is not the server
    fail(by, "sent bytes behind its answer that nobody had asked for", std::errc::protocol_error);
}

template <std::size_t N>
task<> read_exactly(net::tcp_stream& stream, const proxy& by, std::array<unsigned char, N>& into,
                    std::size_t n) {
  for (std::size_t have = 0; have < n;) {
    const std::size_t got =
        co_await stream.read_some({reinterpret_cast<char*>(into.data()) + have, n - have});
    if (got == 0)
      fail(by, "closed the connection in the middle of its answer", std::errc::connection_reset);
    have += got;
  }
}

constexpr char version = 5;
enum class login : unsigned char { nobody = 0, password = 2, none_acceptable = 0xff };

task<> log_in(net::tcp_stream& stream, const proxy& by) {
  std::string hello{version, 1, static_cast<char>(login::nobody)};
  if (by.has_credentials()) {
    hello[1] = 2;
    hello += static_cast<char>(login::password);
  }
  co_await stream.write_all(hello);
  std::array<unsigned char, 2> answer;
  co_await read_exactly(stream, by, answer, 2);
  if (answer[0] != version)
    fail(by, "did not answer in SOCKS 5: is it a SOCKS proxy?", std::errc::protocol_error);
  const auto chosen = static_cast<login>(answer[1]);
  if (chosen == login::nobody) co_return;
  if (chosen == login::none_acceptable)
    fail(by,
         by.has_credentials()
             ? "accepts neither our credentials nor none"
             : "wants credentials: they stand in its URL, socks5h://user:password@host:port",
         std::errc::permission_denied, 407);
  if (chosen != login::password || !by.has_credentials())
    fail(by, "wants to be logged in to in a way that was not offered", std::errc::protocol_error);

  std::string secret{1, static_cast<char>(by.user.size())};
  secret += by.user;
  secret += static_cast<char>(by.password.size());
  secret += by.password;
  co_await stream.write_all(secret);
  co_await read_exactly(stream, by, answer, 2);
  if (answer[1] != 0)
    fail(by, "does not accept our credentials", std::errc::permission_denied, 407);
}

constexpr unsigned char is_v4 = 1, is_name = 3, is_v6 = 4;  // kinds of address

// The address as SOCKS writes it: the kind, the bytes, the port.
task<std::string> destination(const proxy& by, const url& to) {
  constexpr std::size_t longest = 255;
  std::optional<net::endpoint> address = net::endpoint::parse(to.host(), to.port());
  if (!address && by.speaks == proxy::protocol::socks5) {
    const auto found = co_await net::resolve(to.host(), to.port());
    address = found.front();
  }
  std::string text;
  if (!address) {
    if (to.host().size() > longest) fail(by, "cannot be told names of more than 255 bytes");
    text = {static_cast<char>(is_name), static_cast<char>(to.host().size())};
    text += to.host();
  } else {  // behind family and port, and in a sockaddr_in6 the flow
    const auto* bytes = static_cast<const char*>(address->data());
    text = address->is_v6() ? static_cast<char>(is_v6) + std::string(bytes + 8, 16)
                            : static_cast<char>(is_v4) + std::string(bytes + 4, 4);
  }
  text += static_cast<char>(to.port() >> 8);
  text += static_cast<char>(to.port() & 255);
  co_return text;
}

// RFC 1928, 6.
[[noreturn]] void fail_with_reply(const proxy& by, const url& to, unsigned char reply) {
  struct meaning {
    const char* text;
    std::errc code;
  };
  constexpr meaning meanings[] = {
      {"something is wrong with the proxy", std::errc::connection_aborted},
      {"its rules do not allow it", std::errc::permission_denied},
      {"the network cannot be reached", std::errc::network_unreachable},
      {"the host cannot be reached", std::errc::host_unreachable},
      {"the connection was refused", std::errc::connection_refused},
      {"the packets lived too short (TTL)", std::errc::timed_out},
      {"it does not know the command", std::errc::operation_not_supported},
      {"it does not know this kind of address", std::errc::address_family_not_supported}};
  const bool known = reply >= 1 && reply <= std::size(meanings);
  const std::string text = known ? meanings[reply - 1].text
                                 : "it replied " + std::to_string(reply) + ", whatever that is";
  fail(by, "did not connect us to " + host_and_port(to) + ": " + text,
       known ? meanings[reply - 1].code : std::errc::protocol_error);
}

task<> connect_by_socks(net::tcp_stream& stream, const proxy& by, const url& to) {
  co_await log_in(stream, by);
  constexpr char connect = 1;
  std::string text{version, connect, 0};
  text += co_await destination(by, to);
  co_await stream.write_all(text);

  std::array<unsigned char, 4> head;
  co_await read_exactly(stream, by, head, 4);
  if (head[0] != version)
    fail(by, "did not answer in SOCKS 5: is it a SOCKS proxy?", std::errc::protocol_error);
  if (head[1] != 0) fail_with_reply(by, to, head[1]);
  std::array<unsigned char, 257> bound;  // the address that the proxy speaks from: of no interest
  std::size_t length = 0;
  switch (head[3]) {
    case is_v4:
      length = 4;
      break;
    case is_v6:
      length = 16;
      break;
    case is_name:
      co_await read_exactly(stream, by, bound, 1);
      length = bound[0];
      break;
    default:
      fail(by, "replied with an unknown kind of address", std::errc::protocol_error);
  }
  co_await read_exactly(stream, by, bound, length + 2);
}

}  // namespace

task<> open_tunnel(net::tcp_stream& stream, const proxy& by, const url& to,
                   std::size_t most_header_bytes) {
  try {
    if (by.speaks == proxy::protocol::http) {
      co_await connect_by_http(stream, by, to, most_header_bytes);
    } else {
      co_await connect_by_socks(stream, by, to);
    }
  } catch (const net::connection_closed& e) {
    throw proxy_error("the proxy " + by.name() + " broke off: " + e.what(), e.code());
  }
}

}  // namespace plait::http
