// plait/net/endpoint.hpp: one end of a connection: an IPv4 or IPv6 address and a port.
//
// A value of 32 bytes; holds what the kernel calls a sockaddr, without showing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plait::net {

class endpoint {
 public:
  endpoint() = default;
  // A numeric address such as 127.0.0.1 or ::1; nothing if it is a name or nonsense.
  static std::optional<endpoint> parse(std::string_view address, std::uint16_t port);

  bool empty() const noexcept { return size_ == 0; }
  bool is_v6() const noexcept;
  std::string address() const;
  std::uint16_t port() const noexcept;
  // "127.0.0.1:80" or "[::1]:80".
  std::string to_string() const;

  friend bool operator==(const endpoint& a, const endpoint& b) noexcept;

  // The kernel's form: a sockaddr of size() bytes, and room for one of capacity.
  static constexpr std::size_t capacity = 28;
  const void* data() const noexcept { return storage_; }
  void* data() noexcept { return storage_; }
  std::uint32_t size() const noexcept { return size_; }
  void resize(std::uint32_t size) noexcept { size_ = size; }

 private:
  alignas(4) unsigned char storage_[capacity] = {};
  std::uint32_t size_ = 0;
};

}  // namespace plait::net
