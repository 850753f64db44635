// plait/net/unix_listener.hpp: a name on this machine that takes connections.
//
//   auto listener = plait::net::unix_listener::bind("/run/app.sock", {.permissions = 0600});
//   auto stream = co_await listener.accept();
//
// A socket file that a dead process left behind is replaced; one on which somebody listens, and a
// file of any other kind, is left alone. Two processes that do this at once do not take the name
// from each other (the folder is locked meanwhile). The file goes with the listener.
//
// Threads:  as tcp_listener's.
// Stops:    accept leaves the listener open.
// Throws:   bind: listen_error, descriptors_exhausted.
// Scarcity: as tcp_listener's: without descriptors, accept waits and tries again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "plait/coroutines/readiness.hpp"
#include "plait/net/unix_stream.hpp"

namespace plait::net {

struct unix_listen_options {
  // How many connections may wait for accept().
  int backlog = 4096;
  // Of the socket file, such as 0600: only this user may connect. Nothing: the umask decides.
  std::optional<unsigned> permissions = std::nullopt;
};

class unix_listener {
 public:
  // A path, or "@name".
  static unix_listener bind(const std::string& address, unix_listen_options options = {});
  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;

  task<unix_stream> accept();
  const std::string& address() const noexcept { return address_; }
  void close() noexcept { socket_.reset(); }

 private:
  struct listening {
    explicit listening(int descriptor) noexcept : fd(descriptor) {}
    ~listening();
    int fd;
    std::string file;  // removed at the end, if it is still this one
    std::uint64_t device = 0, inode = 0;
    std::optional<plait::detail::readiness> ready;  // from the first accept() on
  };
  explicit unix_listener(int fd) : socket_(new listening(fd)) {}
  void bind_file(const void* name, std::uint32_t size, unix_listen_options options);
  std::optional<unix_stream> try_accept();
  std::unique_ptr<listening> socket_;
  std::string address_;
};

}  // namespace plait::net
