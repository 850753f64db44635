// plait/processes.hpp: worker processes: calls that share nothing, for work that may crash.
//
// For CPU-bound work that must be isolated: untrusted input, code that leaks or crashes, libraries
// with global state. Where a crash cannot happen, threads are cheaper. See docs/processes.md.
#pragma once

#include "plait/core/completion.hpp"
#include "plait/core/errors.hpp"
#include "plait/core/executor.hpp"
#include "plait/core/future.hpp"
#include "plait/core/then.hpp"
#include "plait/processes/codec.hpp"
#include "plait/processes/errors.hpp"
#include "plait/processes/process_pool_executor.hpp"
#include "plait/processes/sandbox.hpp"
#include "plait/processes/shared_array.hpp"
#include "plait/processes/this_call.hpp"
#include "plait/processes/worker_limits.hpp"
