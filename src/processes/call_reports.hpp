// What a running call says of itself: C10 of channel.hpp on the worker's side.
#pragma once

#include <cstdint>

#include "processes/channel.hpp"

namespace plait::detail {

// In a worker, once, before its first call.
void carry_reports(channel& own, int doorbell) noexcept;
// Around each call.
void begin_reports(std::uint32_t sequence, bool has_listener) noexcept;
void end_reports() noexcept;

}  // namespace plait::detail
