// src/inspect/environment.hpp: what the environment asks for: PLAIT_INSPECT=1, PLAIT_TRACE=FILE, and
// PLAIT_TRACE_JOIN=FILE, which the tool gives its children.
#pragma once

namespace plait::detail {

// Once a process, when its first engine is made. What cannot be done is said on standard error.
void heed_environment() noexcept;

}  // namespace plait::detail
