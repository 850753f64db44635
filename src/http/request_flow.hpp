// src/http/request_flow.hpp: requests carried out: the part of the client that waits.
#pragma once

#include <memory>

#include "http/open_exchange.hpp"
#include "plait/http/response_stream.hpp"

namespace plait::http {

task<response> fetch(std::unique_ptr<open_exchange> asked);
task<response_stream> begin_stream(std::unique_ptr<open_exchange> asked);

}  // namespace plait::http
