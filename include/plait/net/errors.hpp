// plait/net/errors.hpp: what can go wrong between two machines.
//
//   net::error                 (plait::error)
//   ├── dns_error              the name has no address, or nobody could be asked
//   ├── connect_error          no address of the host took the connection; code() of the last one
//   ├── connection_closed      the other end closed or reset the connection; code()
//   ├── listen_error           the address cannot be bound or listened on; code()
//   └── descriptors_exhausted  the process or the machine has no file descriptors left
//
// Each text says what was tried, with whom, and what to look at.
#pragma once

#include <string>
#include <system_error>

#include "plait/core/errors.hpp"

namespace plait::net {

class error : public plait::error {
 public:
  using plait::error::error;
};

class dns_error : public error {
 public:
  using error::error;
};

// An error that the kernel gave a number.
class coded_error : public error {
 public:
  coded_error(const std::string& text, std::error_code code) : error(text), code_(code) {}
  const std::error_code& code() const noexcept { return code_; }

 private:
  std::error_code code_;
};

class connect_error : public coded_error {
 public:
  using coded_error::coded_error;
};

class connection_closed : public coded_error {
 public:
  using coded_error::coded_error;
};

class listen_error : public coded_error {
 public:
  using coded_error::coded_error;
};

class descriptors_exhausted : public coded_error {
 public:
  using coded_error::coded_error;
};

}  // namespace plait::net
