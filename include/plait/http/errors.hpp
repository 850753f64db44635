// plait/http/errors.hpp: what can go wrong with a request, as one tree.
//
//   http::error              (plait::error)
//   ├── invalid_url          cannot be read, or is not http or https
//   ├── invalid_header       a name or value that would break the message apart
//   ├── dns_error            the host's name has no address
//   ├── connect_error        nobody took the connection; code() says why; also: no descriptors left
//   │   └── proxy_error      the proxy cannot be reached, or did not connect us; status_code()
//   ├── tls_error            the connection cannot be made safe
//   ├── connection_lost      the server closed the connection before the response was complete
//   ├── protocol_error       what came back is not HTTP, or more than the limits allow
//   ├── too_many_redirects   more than client_options::max_redirects
//   └── status_error         raise_for_status() on 400 to 599; status_code() and url()
//
// A deadline that passes is plait::timeout_error, as everywhere in plait.
#pragma once

#include <string>
#include <system_error>

#include "plait/core/errors.hpp"

namespace plait::http {

class error : public plait::error {
 public:
  using plait::error::error;
};

class invalid_url : public error {
 public:
  using error::error;
};

class invalid_header : public error {
 public:
  using error::error;
};

class dns_error : public error {
 public:
  using error::error;
};

class connect_error : public error {
 public:
  connect_error(const std::string& text, std::error_code code) : error(text), code_(code) {}
  const std::error_code& code() const noexcept { return code_; }

 private:
  std::error_code code_;
};

class proxy_error : public connect_error {
 public:
  proxy_error(const std::string& text, std::error_code code, int status_code = 0)
      : connect_error(text, code), status_code_(status_code) {}
  // What the proxy answered, such as 502; 407 also where SOCKS wants other credentials. 0: nothing.
  int status_code() const noexcept { return status_code_; }

 private:
  int status_code_;
};

class tls_error : public error {
 public:
  using error::error;
};

class connection_lost : public error {
 public:
  using error::error;
};

class protocol_error : public error {
 public:
  using error::error;
};

class too_many_redirects : public error {
 public:
  using error::error;
};

class status_error : public error {
 public:
  status_error(int status_code, std::string reason, std::string url);
  int status_code() const noexcept { return status_code_; }
  const std::string& url() const noexcept { return url_; }

 private:
  int status_code_;
  std::string url_;
};

}  // namespace plait::http
