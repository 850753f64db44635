// src/net/failures.hpp: the kernel's numbers as errors that say what to do.
#pragma once

#include <string>

namespace plait::net {

// True for the numbers that mean: no descriptors left.
bool out_of_descriptors(int code) noexcept;
[[noreturn]] void throw_out_of_descriptors(int code);
// `whom` is an endpoint, "127.0.0.1:80".
[[noreturn]] void throw_connect_error(int code, const std::string& whom);
[[noreturn]] void throw_closed(int code, const char* doing, const std::string& whom);
[[noreturn]] void throw_listen_error(int code, const std::string& where);
[[noreturn]] void throw_unix_listen_error(int code, const std::string& where);
[[noreturn]] void throw_dns_error(int code, int system_code, const std::string& host);

}  // namespace plait::net
