// plait/net/errors.hpp: what can go wrong between two machines.
//
//   net::error                 (plait::error)
//   ├── dns_error              the name has no address, or nobody could be asked
//   ├── connect_error          no address of the host took the connection; code() of the last one
//   ├── connection_closed      the other end closed or reset the connection; code()
//   ├── listen_error           the address cannot be bound or listened on; code()
//   ├── descriptors_exhausted  the process or the machine has no file descriptors left
//   ├── incomplete_read        the stream ended before what was to be read; partial()
//   ├── limit_exceeded         what was to be read is longer than the reader allows
//   └── tls_error              the two ends could not agree on a secure connection
//       ├── certificate_error  the other end's certificate is not to be trusted
//       └── truncated_stream   the connection ended without TLS's end: somebody may have cut it
//
// With what they belong to: file_error (file.hpp), send_error (udp_socket.hpp), spawn_error, exit_status_lost
// and output_limit_exceeded (subprocess.hpp), command_failed (run_command.hpp).
// Each text says what was tried, with whom, and what to look at.
#pragma once

#include <string>
#include <system_error>
#include <utility>

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

// Throws away no bytes: partial() are those that came before the end.
class incomplete_read : public error {
 public:
  incomplete_read(const std::string& text, std::string partial)
      : error(text), partial_(std::move(partial)) {}
  const std::string& partial() const noexcept { return partial_; }

 private:
  std::string partial_;
};

class limit_exceeded : public error {
 public:
  using error::error;
};

class tls_error : public error {
 public:
  using error::error;
};

class certificate_error : public tls_error {
 public:
  using tls_error::tls_error;
};

class truncated_stream : public tls_error {
 public:
  using tls_error::tls_error;
};

}  // namespace plait::net
