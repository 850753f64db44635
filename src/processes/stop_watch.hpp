// How a running call hears that it is to stop: C9 of channel.hpp on the worker's side.
#pragma once

#include <cstdint>

#include "processes/channel.hpp"

namespace plait::detail {

// In a worker, once, before its first call.
void listen_for_stops(channel& own) noexcept;
// Around each call.
void begin_listening(std::uint32_t sequence) noexcept;
void end_listening() noexcept;

}  // namespace plait::detail
