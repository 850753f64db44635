// plait/net/resolve.hpp: the addresses of a host.
//
// Numeric addresses are read in place. Names are asked of the system's resolver (getaddrinfo, so
// /etc/hosts and nsswitch.conf count) on threads of its own, so that a slow name server delays
// neither the loop nor the default pool's work.
//
// Stops:    at once; the resolver's thread finishes its question by itself.
// Throws:   dns_error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plait/coroutines/task.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::net {

// In the order in which the system wants them tried; never empty.
task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port);

}  // namespace plait::net
