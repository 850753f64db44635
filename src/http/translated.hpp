// src/http/translated.hpp: the network's errors as the client's.
#pragma once

#include "plait/http/url.hpp"

namespace plait::http {

// Within a handler: rethrows the exception that is handled; one of net's becomes one of http's.
[[noreturn]] void translate_network_error(const url& to);

}  // namespace plait::http
