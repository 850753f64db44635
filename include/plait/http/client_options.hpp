// plait/http/client_options.hpp: what a session of requests is made with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "plait/core/clock.hpp"
#include "plait/http/headers.hpp"
#include "plait/http/response.hpp"
#include "plait/http/retry_policy.hpp"
#include "plait/http/url.hpp"
#include "plait/net/tls_context.hpp"

namespace plait::http {

class transport;

struct timeouts {
  // The whole request: waiting for a connection, redirects, retries and the body included. For a
  // stream() until its header is there.
  plait::duration total = std::chrono::minutes(5);
  // To reach the server: name, connection, TLS.
  plait::duration connect = std::chrono::seconds(30);
  // Between two pieces of a response, also before the first.
  plait::duration read = plait::duration::max();
  // For a connection, where limits make requests wait for one.
  plait::duration pool = plait::duration::max();
};

enum class cookie_policy { keep, ignore };
enum class compression { accept, refuse };

struct client_options {
  // The most connections at once, in all and to one scheme, host and port; 0: no limit. Requests
  // above it wait their turn.
  std::size_t limit = 0;
  std::size_t limit_per_host = 0;
  http::timeouts timeouts = {};
  // How long an unused connection is kept.
  plait::duration keep_alive = std::chrono::seconds(15);
  std::string user_agent = "plait/0.1";
  // Sent with every request, unless the request says otherwise; Authorization and Cookie not to
  // another server that a redirect leads to.
  http::headers headers = {};
  // 301, 302, 303, 307 and 308 are followed so often; 0: they are returned as they come.
  unsigned max_redirects = 10;
  retry_policy retries = {};
  // Whether cookies that servers set are sent back to them; see cookie_jar.hpp.
  cookie_policy cookies = cookie_policy::keep;
  // accept: gzip, br and zstd are asked for and undone; the body is what was meant.
  http::compression compression = compression::accept;
  // A body above it, undone, is a protocol_error. Not for stream().
  std::uint64_t max_body_bytes = std::uint64_t{1} << 30;
  std::size_t max_header_bytes = 64 * 1024;
  // automatic: HTTP/2 with https servers that choose it, else HTTP/1.1. http1: never. http2: nothing
  // else, also with http servers, which are not asked first ("prior knowledge").
  http_version version = http_version::automatic;
  // "http://user:password@host:3128", "socks5h://host:1080" (the proxy resolves names) or "socks5://..."
  // (we do): by which proxy to go. "direct": by none. "": as http_proxy, https_proxy, all_proxy and
  // no_proxy of the environment say, except to this machine itself.
  std::string proxy = {};
  // Hosts to be reached without it: "example.org, .internal, 10.0.0.0/8, host:8080", or "*".
  std::string no_proxy = {};
  // Whom https trusts, and who we are.
  net::tls_client_options tls = {};
  // Called before a request is sent and after the header of its response has come, redirects and
  // retries included. What they throw ends the request.
  std::function<void(const std::string& method, const url& to, http::headers& fields)> on_request =
      {};
  std::function<void(const std::string& method, const url& to, const response& seen)> on_response =
      {};
  // Null: the network. Must outlive the session.
  http::transport* transport = nullptr;
};

}  // namespace plait::http
