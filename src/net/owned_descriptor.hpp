// src/net/owned_descriptor.hpp: a descriptor that somebody closes.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace plait::net {

class owned_descriptor {
 public:
  owned_descriptor() = default;
  explicit owned_descriptor(int fd) noexcept : fd_(fd) {}
  owned_descriptor(owned_descriptor&& other) noexcept : fd_(other.release()) {}
  owned_descriptor& operator=(owned_descriptor other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~owned_descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// A second descriptor of the same open file, closed on exec and numbered from 3, so that it is never
// taken for a standard stream. Empty, with errno set, when there is none left.
inline owned_descriptor duplicate(int fd) noexcept {
  return owned_descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

}  // namespace plait::net
