// plait/inspect.hpp: see what a running program is doing: `plait ps`, stalls, traces.
//
// Nothing of it costs anything until it is asked for. See docs/inside.md.
#pragma once

#include "plait/inspect/door.hpp"
#include "plait/inspect/stall.hpp"
#include "plait/inspect/trace.hpp"
