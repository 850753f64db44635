// src/net/socket_options.hpp: tcp_options as the kernel takes them.
#pragma once

#include "plait/net/tcp_options.hpp"

namespace plait::net {

// Options that this kernel does not take are left as they are.
void apply(int fd, const tcp_options& options) noexcept;
// SO_REUSEADDR and their like.
void set_option(int fd, int level, int option, int value) noexcept;

}  // namespace plait::net
