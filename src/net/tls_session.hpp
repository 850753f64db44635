// src/net/tls_session.hpp: one TLS connection: OpenSSL's state machine between two memory buffers.
//
// OpenSSL never sees the transport. What it wants to send collects in `out`; flush() gives that to
// the transport, one flow at a time. What the transport brings goes into `in` by fill(). Every call
// of OpenSSL is made between two awaits, so a stop finds the session whole:
//
//   stopped in fill():   the transport has read nothing; `in` is as it was
//   stopped in flush():  what the transport took is gone from `sending`, the rest is sent by the
//                        next flush()
//
// The coroutines hold the session, which therefore outlives a stream that is closed while they wait.
#pragma once

#include <openssl/ssl.h>

#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/tls_settings.hpp"
#include "plait/coroutines/semaphore.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/net/byte_stream.hpp"

namespace plait::net::detail {

struct tls_session {
  enum class role { client, server };
  // `name` is the server's, for a client; what messages call the other end, for both.
  tls_session(any_stream over, role side, std::string name, std::shared_ptr<tls_settings> with);
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  // OpenSSL's calls: what they cannot do yet they say, what they cannot do at all is in `failure`.
  bool advance_handshake();
  std::optional<std::size_t> decrypt(std::span<char> into);
  std::size_t encrypt(std::string_view bytes);
  void end_writing();

  // True if something is to be sent.
  bool has_output() const noexcept {
    return sent_ < sending_.size() || BIO_ctrl_pending(out_) != 0;
  }
  // Takes in what the transport has already. False if that is nothing.
  bool take_in();
  // Nothing has come but TLS's own messages.
  bool silent();
  // Nothing more can be decrypted before more has come.
  bool starved() const noexcept { return starved_; }
  void check_writable() const;

  static task<> flush(std::shared_ptr<tls_session> self);
  // Reads once from the transport; the end of it is a failure.
  static task<> fill(std::shared_ptr<tls_session> self);
  // Sends the alert that tells the other end why, if it can be sent, and throws `failure`.
  static task<> fail(std::shared_ptr<tls_session> self);

  static int on_verify(int good, X509_STORE_CTX* store);
  static int on_new_session(SSL* ssl, SSL_SESSION* session);

  any_stream transport;
  std::exception_ptr failure;
  openssl_ptr<SSL> ssl;
  std::string name;
  bool closed = false;  // who still works in it then gets cancelled_error

 private:
  void note_failure(const char* doing);
  void took_in(std::string_view bytes);
  std::string explain(const X509* certificate, int code) const;

  std::shared_ptr<tls_settings> settings_;
  BIO *in_ = nullptr, *out_ = nullptr;  // ssl's
  semaphore output_{1};                 // who may give `sending_` to the transport
  std::string sending_;
  std::size_t sent_ = 0;
  std::string incoming_;   // where a transport reads that needs a buffer to wait
  std::string complaint_;  // about the other end's certificate
  role side_;
  bool shaken_ = false, starved_ = true, ended_ = false, ended_writing_ = false;
};

}  // namespace plait::net::detail
