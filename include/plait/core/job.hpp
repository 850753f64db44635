// plait/core/job.hpp: a unit of work on its way to a local engine.
//
// A job is either run or dropped, exactly once, by whoever took it from a queue last. Both end its
// life: after run() or drop() the pointer is dead. Neither throws.
#pragma once

#include <exception>

namespace plait::detail {

// What a call or a task is, for whoever looks inside a running program; each null if not known.
struct job_origin {
  const char* name = nullptr;   // what it was called by the user
  const char* type = nullptr;   // typeid(f).name()
  const void* code = nullptr;   // an address inside the function that runs
  const void* where = nullptr;  // an address inside the function that submitted it
};

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
  // Before run(), on the thread that is about to.
  virtual job_origin origin() const noexcept { return {}; }

 protected:
  ~job() = default;
};

}  // namespace plait::detail
