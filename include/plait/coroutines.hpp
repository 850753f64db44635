// plait/coroutines.hpp: tasks on an event loop: thousands of waits on one thread.
//
// For many concurrent connections. One thread, no locks: between two co_awaits nothing else runs.
// See docs/choosing.md.
#pragma once

#include "plait/core/errors.hpp"
#include "plait/core/future.hpp"
#include "plait/core/then.hpp"
#include "plait/coroutines/await_future.hpp"
#include "plait/coroutines/barrier.hpp"
#include "plait/coroutines/condition.hpp"
#include "plait/coroutines/current_task.hpp"
#include "plait/coroutines/deadline.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/event_loop_group.hpp"
#include "plait/coroutines/gather.hpp"
#include "plait/coroutines/lifo_queue.hpp"
#include "plait/coroutines/lock.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/priority_queue.hpp"
#include "plait/coroutines/queue.hpp"
#include "plait/coroutines/race.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/semaphore.hpp"
#include "plait/coroutines/settled.hpp"
#include "plait/coroutines/shield.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/coroutines/task_local.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/coroutines/when.hpp"
