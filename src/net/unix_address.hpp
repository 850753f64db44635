// src/net/unix_address.hpp: "/a/path" or "@name" as the kernel's sockaddr.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

namespace plait::net {

struct unix_address {
  sockaddr_un name{};
  socklen_t size = 0;

  // Nothing if it is empty, too long, or has a zero inside.
  static std::optional<unix_address> parse(std::string_view text) {
    unix_address address;
    const bool abstract = text.starts_with('@');
    // A path must leave room for the zero behind it.
    const std::size_t longest = sizeof address.name.sun_path - (abstract ? 0 : 1);
    if (text.empty() || text.size() > longest || text.find('\0') != std::string_view::npos)
      return std::nullopt;
    address.name.sun_family = AF_UNIX;
    std::memcpy(address.name.sun_path, text.data(), text.size());
    if (abstract) address.name.sun_path[0] = '\0';
    address.size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
    return address;
  }
  bool abstract() const noexcept { return name.sun_path[0] == '\0'; }
  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&name); }
};

}  // namespace plait::net
