// plait/core/job.hpp: a unit of work on its way to a local engine.
//
// A job is either run or dropped, exactly once, by whoever took it from a queue last. Both end its
// life: after run() or drop() the pointer is dead. Neither throws.
#pragma once

#include <exception>

namespace plait::detail {

struct job {
  job* next = nullptr;  // belongs to the queue that holds the job
  virtual void run() noexcept = 0;
  // Called instead of run() when the engine will not run it: a future behind it is cancelled.
  virtual void drop() noexcept = 0;
  // Instead of drop(): the engine broke, and the future behind the job is to say why.
  virtual void fail(std::exception_ptr) noexcept { drop(); }
  // True for a submitted call, which an engine that shuts down may drop; false for a step of work
  // that is under way, which must run.
  virtual bool is_call() const noexcept { return false; }
  // True for a job that has promised to let everything go first that was ready before it. Only a
  // loop whose schedule chooses asks.
  virtual bool keeps_its_place() const noexcept { return false; }

 protected:
  ~job() = default;
};

}  // namespace plait::detail
