#include "net/tls_session.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "net/failures.hpp"
#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"

namespace plait::net::detail {
namespace {

constexpr std::size_t record = 16384;           // the most plain bytes that one record holds
constexpr std::size_t one_read = record + 512;  // with what is around them

// The host names and addresses that a certificate is for, as a person reads them.
std::string names_in(const X509* certificate) {
  std::string names;
  auto* found = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(found); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(found, i);
    std::string text;
    if (one->type == GEN_DNS) {
      const auto* value = ASN1_STRING_get0_data(one->d.dNSName);
      text.assign(reinterpret_cast<const char*>(value),
                  static_cast<std::size_t>(ASN1_STRING_length(one->d.dNSName)));
    } else if (one->type == GEN_IPADD && ASN1_STRING_length(one->d.iPAddress) == 4) {
      const auto* value = ASN1_STRING_get0_data(one->d.iPAddress);
      for (int part = 0; part < 4; ++part)
        text += (part != 0 ? "." : "") + std::to_string(value[part]);
    }
    if (!text.empty()) names += (names.empty() ? "" : ", ") + text;
  }
  GENERAL_NAMES_free(found);
  return names.empty() ? "no host (" + subject_of(certificate) + ")" : names;
}

std::string text_of(const ASN1_TIME* time) {
  const openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), time);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

std::string issuer_of(const X509* certificate) {
  const openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_issuer_name(certificate), 0, XN_FLAG_ONELINE);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

tls_session::tls_session(any_stream over, role side, std::string other,
                         std::shared_ptr<tls_settings> with)
    : transport(std::move(over)),
      ssl(SSL_new(with->context.get())),
      name(std::move(other)),
      settings_(std::move(with)),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())),
      side_(side) {
  if (ssl == nullptr || in_ == nullptr || out_ == nullptr) {
    BIO_free(in_);
    BIO_free(out_);
    throw tls_error("OpenSSL gives no connection: " + last_openssl_error());
  }
  SSL_set_bio(ssl.get(), in_, out_);
  SSL_set_app_data(ssl.get(), this);
  SSL_set_read_ahead(ssl.get(), 1);
  if (side == role::server) {
    SSL_set_accept_state(ssl.get());
    return;
  }
  SSL_set_connect_state(ssl.get());
  const bool is_address = endpoint::parse(name, 0).has_value();
  if (!is_address && !name.empty()) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (settings_->verify == tls_verify::certificate_and_name) {
    if (name.empty())
      throw tls_error("whose certificate? Name the host, or choose another tls_verify");
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool set = is_address
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str())
                         : SSL_set1_host(ssl.get(), name.c_str());
    if (!set) throw tls_error("\"" + name + "\" is not a host's name: " + last_openssl_error());
  }
  if (const auto session = settings_->session_with(name)) SSL_set_session(ssl.get(), session.get());
}

// OpenSSL asks about every certificate of the chain; the first complaint ends the handshake.
int tls_session::on_verify(int good, X509_STORE_CTX* store) {
  if (good) return 1;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<tls_session*>(SSL_get_app_data(ssl));
  self->complaint_ =
      self->explain(X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get_error(store));
  return 0;
}

int tls_session::on_new_session(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<tls_session*>(SSL_get_app_data(ssl));
  self->settings_->keep_session(self->name, openssl_ptr<SSL_SESSION>(session));
  return 1;  // kept
}

std::string tls_session::explain(const X509* certificate, int code) const {
  const std::string whose = "the certificate of " + name;
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " cannot be trusted: " + subject_of(certificate) + " has expired, on " +
             text_of(X509_get0_notAfter(certificate)) + ": it has to be renewed";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " cannot be trusted: " + subject_of(certificate) + " is valid from " +
             text_of(X509_get0_notBefore(certificate)) + " on: is this machine's clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "host name does not match: the certificate that " + name + " shows is for " +
             names_in(certificate);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return whose + " is signed by nobody who is trusted here (the issuer is " +
             issuer_of(certificate) +
             (side_ == role::client ? "): name its CA in tls_client_options::ca"
                                    : "): name its CA in tls_server_options::client_ca");
    default:
      return whose + " cannot be trusted: " + X509_verify_cert_error_string(code);
  }
}

void tls_session::note_failure(const char* doing) {
  const auto code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  if (!complaint_.empty()) {
    ERR_clear_error();
    failure = std::make_exception_ptr(certificate_error(complaint_));
    return;
  }
  const bool alerted = ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET;
  std::string text = last_openssl_error();
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    failure = std::make_exception_ptr(certificate_error(name + " did not show a certificate"));
  } else if (alerted) {
    failure = std::make_exception_ptr(
        tls_error(name + " refused the secure connection while we were " + doing + ": " + text));
  } else {
    if (!shaken_ && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
                     reason == SSL_R_PACKET_LENGTH_TOO_LONG))
      text += " (does it speak TLS on this port?)";
    failure = std::make_exception_ptr(tls_error("the secure connection with " + name +
                                                " failed while we were " + doing + ": " + text));
  }
}

bool tls_session::advance_handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl.get());
  if (done == 1) return shaken_ = true;
  if (SSL_get_error(ssl.get(), done) != SSL_ERROR_WANT_READ) note_failure("shaking hands");
  return false;
}

std::optional<std::size_t> tls_session::decrypt(std::span<char> into) {
  if (ended_) return 0;
  if (failure != nullptr) return std::nullopt;
  ERR_clear_error();
  std::size_t got = 0;
  const int done = SSL_read_ex(ssl.get(), into.data(), into.size(), &got);
  if (done == 1) return got;
  switch (SSL_get_error(ssl.get(), done)) {
    case SSL_ERROR_WANT_READ:
      starved_ = true;
      return std::nullopt;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return 0;
    default:
      note_failure("reading");
      return std::nullopt;
  }
}

// How many bytes went into records; fewer than all only if there is a failure.
std::size_t tls_session::encrypt(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && failure == nullptr) {
    const std::string_view part = bytes.substr(taken, record);
    ERR_clear_error();
    std::size_t n = 0;
    if (SSL_write_ex(ssl.get(), part.data(), part.size(), &n) == 1) {
      taken += n;
    } else {
      note_failure("writing");
    }
  }
  return taken;
}

void tls_session::end_writing() {
  if (std::exchange(ended_writing_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl.get());
  ERR_clear_error();
}

void tls_session::check_writable() const {
  if (ended_writing_) throw_closed(EPIPE, "writing after shutdown_write()", "this end");
}

task<> tls_session::flush(std::shared_ptr<tls_session> self) {
  const auto turn = co_await self->output_.acquire();
  for (;;) {
    if (self->sent_ == self->sending_.size()) {
      self->sending_.clear();
      self->sent_ = 0;
      const std::size_t ready = BIO_ctrl_pending(self->out_);
      if (ready == 0) break;
      self->sending_.resize(ready);
      BIO_read(self->out_, self->sending_.data(), static_cast<int>(ready));
    }
    if (self->closed) throw cancelled_error();
    self->sent_ +=
        co_await self->transport.write_some(std::string_view(self->sending_).substr(self->sent_));
  }
  if (self->sending_.capacity() > 2 * record) self->sending_ = std::string();
}

task<> tls_session::fill(std::shared_ptr<tls_session> self) {
  // What reading gave cause to send goes first; if somebody sends just now, he sends that too.
  if (self->has_output() && self->output_.available() != 0) co_await flush(self);
  if (self->closed) throw cancelled_error();
  if (self->transport.tries()) {
    do {
      co_await self->transport.readable();
      if (self->closed) throw cancelled_error();
    } while (self->failure == nullptr && !self->take_in());
    co_return;
  }
  if (self->incoming_.empty()) self->incoming_.resize(one_read);
  const std::size_t got = co_await self->transport.read_some(self->incoming_);
  self->took_in(std::string_view(self->incoming_).substr(0, got));
}

// None: the end.
void tls_session::took_in(std::string_view bytes) {
  if (!bytes.empty()) {
    BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    starved_ = false;
  } else if (!shaken_) {
    failure = std::make_exception_ptr(tls_error(
        name + " closed the connection during the handshake: does it speak TLS on this port?"));
  } else {
    failure = std::make_exception_ptr(truncated_stream(
        "the connection with " + name +
        " ended without TLS's end: what was read may be cut short, by a fault or by an attacker"));
  }
}

// Into one buffer of the thread, whose bytes OpenSSL copies at once.
bool tls_session::take_in() {
  if (failure != nullptr || transport.silent()) return false;
  thread_local const std::unique_ptr<char[]> buffer(new char[one_read]);
  const auto got = transport.try_read({buffer.get(), one_read});
  if (got) took_in({buffer.get(), *got});
  return got.has_value();
}

bool tls_session::silent() {
  if (starved_ && transport.silent()) return !ended_ && failure == nullptr;
  do {
    if (ended_ || failure != nullptr) return false;
    ERR_clear_error();
    char byte = 0;
    std::size_t n = 0;
    const int done = SSL_peek_ex(ssl.get(), &byte, 1, &n);
    if (done == 1) return false;
    const int why = SSL_get_error(ssl.get(), done);
    if (why == SSL_ERROR_ZERO_RETURN) return false;
    if (why != SSL_ERROR_WANT_READ) {
      note_failure("reading");
      return false;
    }
    starved_ = true;
  } while (take_in());
  return true;
}

task<> tls_session::fail(std::shared_ptr<tls_session> self) {
  try {
    if (self->has_output()) co_await flush(self);
  } catch (...) {  // the reason is the better thing to say
  }
  std::rethrow_exception(self->failure);
}

}  // namespace plait::net::detail
