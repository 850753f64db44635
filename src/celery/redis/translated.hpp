// src/celery/redis/translated.hpp: a command that takes too long is the store's failure, not a
// timeout of whoever asked for it.
#pragma once

#include <utility>

#include "plait/celery/errors.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::celery::redis {

template <class T>
task<T> translated(task<T> work) {
  try {
    co_return co_await std::move(work);
  } catch (const timeout_error& e) {
    throw transport_error(e.what());
  }
}

}  // namespace plait::celery::redis
