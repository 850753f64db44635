// plait/celery/errors.hpp: what can go wrong between an application and its queue.
//
//   celery::error
//   ├── transport_error   the broker or the result backend: not there, full, read-only, too slow
//   └── no_result         a result that never comes was asked for: ignore_result
//
// A task that failed is plait::remote_error: its type as the other side spells it, the message, and
// the remote traceback. A task that was revoked is plait::cancelled_error.
#pragma once

#include "plait/core/errors.hpp"

namespace plait::celery {

class error : public plait::error {
 public:
  using plait::error::error;
};

class transport_error : public error {
 public:
  using error::error;
};

class no_result : public error {
 public:
  using error::error;
};

}  // namespace plait::celery
