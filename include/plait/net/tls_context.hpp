// plait/net/tls_context.hpp: whom to trust and who to be, for many TLS connections.
//
//   const plait::net::tls_client_context trusting({.ca = "/etc/app/ca.pem"});
//   const plait::net::tls_server_context shown({.certificate = "cert.pem", .key = "key.pem"});
//
// Making one reads and parses files: make it once and share it. Where an option takes a file's name it
// takes its text as well: PEM, beginning with -----BEGIN. At least TLS 1.2; renegotiation and
// compression are refused.
//
// Threads:  may be copied and used from any thread; copies are the same context.
// Throws:   the constructors: tls_error, which names the file or option.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace plait::net {

namespace detail {
struct tls_settings;
}

// What a client demands of the server's certificate. Anything but the default lets others listen.
enum class tls_verify {
  certificate_and_name,  // signed by a trusted CA, valid now, and for the host that was asked for
  certificate,           // for whatever host
  nothing,
};

struct tls_client_options {
  tls_verify verify = tls_verify::certificate_and_name;
  // Certificates of the CAs to trust, and a folder of them as `openssl rehash` makes it. When both
  // are empty: those that the system trusts.
  std::string ca = {}, ca_folder = {};
  // Who this client is, for servers that ask: a certificate with its chain, and its key.
  std::string certificate = {}, key = {};
  // Protocols to speak above TLS, the favourite first: {"h2", "http/1.1"}.
  std::vector<std::string> alpn = {};
};

struct tls_server_options {
  std::string certificate = {}, key = {};
  // When it is not empty, clients must show a certificate that one of these CAs has signed.
  std::string client_ca = {};
  // The favourite first. A client that offers only others is refused; one that offers none is not.
  std::vector<std::string> alpn = {};
};

class tls_client_context {
 public:
  explicit tls_client_context(const tls_client_options& options = {});
  const std::shared_ptr<detail::tls_settings>& settings() const noexcept { return settings_; }

 private:
  std::shared_ptr<detail::tls_settings> settings_;
};

class tls_server_context {
 public:
  explicit tls_server_context(const tls_server_options& options);
  const std::shared_ptr<detail::tls_settings>& settings() const noexcept { return settings_; }

 private:
  std::shared_ptr<detail::tls_settings> settings_;
};

}  // namespace plait::net
