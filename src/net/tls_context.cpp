#include "plait/net/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "net/tls_session.hpp"
#include "net/tls_settings.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {
namespace detail {

std::string last_openssl_error() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    text = reason != nullptr ? reason : "error " + std::to_string(code);  // the last is nearest
  }
  return text.empty() ? "unknown error" : text;
}

std::string subject_of(const X509* certificate) {
  if (certificate == nullptr) return {};
  const openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

// A ticket of TLS 1.3 is for one use, so that two connections cannot be linked by it (RFC 8446, C.4).
openssl_ptr<SSL_SESSION> tls_settings::session_with(const std::string& host) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(host);
  if (found == sessions_.end()) return nullptr;
  if (SSL_SESSION_get_protocol_version(found->second.get()) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(found->second.get());
    return openssl_ptr<SSL_SESSION>(found->second.get());
  }
  auto session = std::move(found->second);
  sessions_.erase(found);
  return session;
}

void tls_settings::keep_session(const std::string& host, openssl_ptr<SSL_SESSION> session) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= most_sessions && !sessions_.contains(host))
    sessions_.erase(sessions_.begin());
  sessions_[host] = std::move(session);
}

namespace {

bool is_text(const std::string& pem) { return pem.starts_with("-----BEGIN"); }
std::string name_of(const std::string& pem) { return is_text(pem) ? "the given text" : pem; }

openssl_ptr<BIO> open_pem(const std::string& pem) {
  ERR_clear_error();
  openssl_ptr<BIO> bio(is_text(pem) ? BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))
                                    : BIO_new_file(pem.c_str(), "r"));
  if (bio == nullptr) throw tls_error("cannot read " + pem + ": " + last_openssl_error());
  return bio;
}

// Instead of asking on the terminal.
int no_password(char*, int, int, void*) { return 0; }

template <class Use>
void for_each_certificate(const std::string& pem, const char* what, const Use& use) {
  const auto bio = open_pem(pem);
  std::size_t count = 0;
  while (openssl_ptr<X509> one{PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)}) {
    if (!use(one.get(), count++))
      throw tls_error("cannot use " + std::string(what) + " in " + name_of(pem) + ": " +
                      last_openssl_error());
  }
  const auto why = ERR_peek_last_error();  // the end of the file is said as an error too
  if (count == 0 || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
    throw tls_error("no " + std::string(what) + " in " + name_of(pem) +
                    " (it should be PEM, -----BEGIN CERTIFICATE-----): " + last_openssl_error());
  ERR_clear_error();
}

void use_identity(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  for_each_certificate(certificate, "certificate", [&](X509* one, std::size_t index) {
    return (index == 0 ? SSL_CTX_use_certificate(context, one)
                       : SSL_CTX_add1_chain_cert(context, one)) == 1;
  });
  const auto bio = open_pem(key);
  const openssl_ptr<EVP_PKEY> own(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (own == nullptr)
    throw tls_error("no private key in " + name_of(key) +
                    " (it should be PEM, without a password): " + last_openssl_error());
  if (SSL_CTX_use_PrivateKey(context, own.get()) != 1)
    throw tls_error("the key in " + name_of(key) + " does not belong to the certificate in " +
                    name_of(certificate) + ": " + last_openssl_error());
}

void trust(SSL_CTX* context, const std::string& authorities) {
  for_each_certificate(authorities, "certificate of a CA", [&](X509* one, std::size_t) {
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one) == 1;
  });
}

std::string on_the_wire(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const auto& name : protocols) {
    if (name.empty() || name.size() > 255)
      throw tls_error("the ALPN protocol \"" + name + "\" should have 1 to 255 bytes");
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

const unsigned char* bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// RFC 7301: the server chooses, and refuses a client with whom it has nothing in common.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* own) {
  const auto& wanted = static_cast<tls_settings*>(own)->protocols;
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, bytes(wanted), static_cast<unsigned>(wanted.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<tls_settings> settings_for(const SSL_METHOD* method) {
  auto settings = std::make_shared<tls_settings>();
  settings->context.reset(SSL_CTX_new(method));
  SSL_CTX* context = settings->context.get();
  if (context == nullptr) throw tls_error("OpenSSL gives no context: " + last_openssl_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  return settings;
}

}  // namespace
}  // namespace detail

tls_client_context::tls_client_context(const tls_client_options& options)
    : settings_(detail::settings_for(TLS_client_method())) {
  SSL_CTX* context = settings_->context.get();
  settings_->verify = options.verify;
  if (options.verify == tls_verify::nothing) {
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  } else {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, detail::tls_session::on_verify);
  }
  if (!options.ca.empty()) detail::trust(context, options.ca);
  if (!options.ca_folder.empty() &&
      SSL_CTX_load_verify_dir(context, options.ca_folder.c_str()) != 1)
    throw tls_error("cannot use the folder " + options.ca_folder + ": " +
                    detail::last_openssl_error());
  if (options.ca.empty() && options.ca_folder.empty()) SSL_CTX_set_default_verify_paths(context);
  if (!options.certificate.empty()) detail::use_identity(context, options.certificate, options.key);
  settings_->protocols = detail::on_the_wire(options.alpn);
  SSL_CTX_set_alpn_protos(context, detail::bytes(settings_->protocols),
                          static_cast<unsigned>(settings_->protocols.size()));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, detail::tls_session::on_new_session);
}

tls_server_context::tls_server_context(const tls_server_options& options)
    : settings_(detail::settings_for(TLS_server_method())) {
  SSL_CTX* context = settings_->context.get();
  if (options.certificate.empty() || options.key.empty())
    throw tls_error(
        "a TLS server needs tls_server_options::certificate and ::key: who it is, and its proof");
  detail::use_identity(context, options.certificate, options.key);
  settings_->protocols = detail::on_the_wire(options.alpn);
  if (!options.alpn.empty())
    SSL_CTX_set_alpn_select_cb(context, detail::choose_protocol, settings_.get());
  constexpr unsigned char here[] = "plait";  // which sessions may be taken up: this context's
  SSL_CTX_set_session_id_context(context, here, sizeof here - 1);
  if (options.client_ca.empty()) return;
  detail::trust(context, options.client_ca);
  detail::for_each_certificate(
      options.client_ca, "certificate of a CA",
      [&](X509* one, std::size_t) { return SSL_CTX_add_client_CA(context, one) == 1; });
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     detail::tls_session::on_verify);
}

}  // namespace plait::net
