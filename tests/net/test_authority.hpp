// tests/net/test_authority.hpp: a certificate authority for the length of a test; nothing on disk.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>

// As PEM.
struct identity {
  std::string certificate, key;
};

struct certificate_wish {
  std::string subject = "localhost";
  std::string names = "DNS:localhost,IP:127.0.0.1";  // as OpenSSL's configuration has them
  long valid_from = -3600, valid_until = 3600;       // seconds from now
};

class test_authority {
 public:
  explicit test_authority(const std::string& name = "plait test CA")
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free),
        certificate_(make({.subject = name, .names = ""}, key_.get(), nullptr), X509_free) {}

  // What a client that trusts this authority is given.
  std::string pem() const { return text(certificate_.get()); }
  identity issue(const certificate_wish& wish = {}) const {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, void (*)(X509*)> made(make(wish, key.get(), certificate_.get()),
                                                      X509_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {text(made.get()), drain(out.get())};
  }

 private:
  static std::string drain(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
  static std::string text(X509* certificate) {
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_X509(out.get(), certificate);
    return drain(out.get());
  }
  static void extend(X509* made, X509* issuer, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, made, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    if (extension == nullptr) throw std::logic_error("no such extension: " + value);
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
  }
  // Without an issuer: one that signs itself, and others.
  X509* make(const certificate_wish& wish, EVP_PKEY* key, X509* issuer) const {
    X509* made = X509_new();
    X509_set_version(made, 2);
    std::uint32_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial);
    X509_gmtime_adj(X509_getm_notBefore(made), wish.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(made), wish.valid_until);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.subject.c_str()), -1, -1,
                               0);
    X509* signer = issuer != nullptr ? issuer : made;
    X509_set_issuer_name(made, X509_get_subject_name(signer));
    extend(made, signer, NID_basic_constraints,
           issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!wish.names.empty()) extend(made, signer, NID_subject_alt_name, wish.names);
    X509_sign(made, key_.get(), EVP_sha256());
    return made;
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> certificate_;
};
