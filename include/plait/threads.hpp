// plait/threads.hpp: threads: calls that share memory and block as they like.
//
// For work that waits (tens to hundreds of blocking calls) and, in C++, for CPU-bound work too:
// there is no interpreter lock. See docs/choosing.md.
#pragma once

#include "plait/core/completion.hpp"
#include "plait/core/errors.hpp"
#include "plait/core/executor.hpp"
#include "plait/core/future.hpp"
#include "plait/core/then.hpp"
#include "plait/threads/cpu_count.hpp"
#include "plait/threads/thread_pool_executor.hpp"
