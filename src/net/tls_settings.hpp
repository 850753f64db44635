// src/net/tls_settings.hpp: an SSL_CTX and what belongs to it; and OpenSSL's errors as text.
#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "plait/net/tls_context.hpp"

namespace plait::net::detail {

struct openssl_free {
  void operator()(SSL_CTX* p) const noexcept { SSL_CTX_free(p); }
  void operator()(SSL* p) const noexcept { SSL_free(p); }
  void operator()(BIO* p) const noexcept { BIO_free(p); }
  void operator()(X509* p) const noexcept { X509_free(p); }
  void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
  void operator()(SSL_SESSION* p) const noexcept { SSL_SESSION_free(p); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_free>;

struct tls_settings {
  openssl_ptr<SSL_CTX> context;
  tls_verify verify = tls_verify::certificate_and_name;
  std::string protocols;  // for ALPN, as the handshake has them: each behind its length

  // A client's latest session with each host.
  openssl_ptr<SSL_SESSION> session_with(const std::string& host);
  void keep_session(const std::string& host, openssl_ptr<SSL_SESSION> session);

 private:
  static constexpr std::size_t most_sessions = 1024;
  std::mutex mutex_;
  std::map<std::string, openssl_ptr<SSL_SESSION>> sessions_;
};

// What OpenSSL says of the last failure on this thread, and forgets.
std::string last_openssl_error();
// "CN = example.org".
std::string subject_of(const X509* certificate);

}  // namespace plait::net::detail
