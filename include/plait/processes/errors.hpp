// plait/processes/errors.hpp: what can go wrong between two address spaces.
//
//   broken_executor           no further call can run on this pool
//   ├── initializer_failed    three workers in a row did not live to take a call, and why
//   ├── limits_unavailable    process_pool_options::limits cannot be set here, and why
//   ├── image_mismatch        the workers' code is not the caller's: a library differs on disk
//   └── sandbox_unavailable   the kernel lacks what process_pool_options::sandbox asks for
//   task_error                this call failed, by no doing of its code
//   ├── task_killed           somebody asked for its end: kill(), terminate_workers()
//   ├── worker_crashed        the process that ran it died: signal or exit status, frames, stderr
//   ├── supervisor_lost       the process that looks after the workers was killed while it ran
//   ├── serialization_error   an argument or a result could not be encoded or decoded
//   └── function_not_found    the function lives in a library that the workers do not have
//   timeout_error
//   └── task_timeout          it took longer than its options allow, and was killed if it ran
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plait/core/clock.hpp"
#include "plait/core/errors.hpp"

namespace plait {

// Why a worker died.
enum class crash_cause : unsigned char {
  signal,               // of its own code, as SIGSEGV and SIGABRT are, or sent by somebody
  exit,                 // its code called exit() or the like
  out_of_memory,        // SIGKILL by the kernel: the machine or a control group had no memory left
  cpu_limit,            // worker_limits::cpu_time was used up
  killed_from_outside,  // SIGKILL, and neither its pool nor a lack of memory was the reason
};

// What a process took in its whole life, by the kernel's account; its waited-for children included.
struct resource_usage {
  duration user_time{}, system_time{};
  std::uint64_t max_rss = 0;  // bytes, at its most
  std::uint64_t minor_faults = 0, major_faults = 0;
};

// Nobody else's call is lost with it: queued calls move to another worker.
class worker_crashed : public task_error {
 public:
  // Where code was: in `function`, at `offset` of the file `module` (as addr2line wants it).
  struct frame {
    std::string function;  // empty: no symbol table has it
    std::string module;    // empty: no module that the pool knew
    std::uint64_t offset = 0;
  };
  struct verdict {
    int pid = 0;
    int signal = 0;     // 0: it exited
    int exit_code = 0;  // when signal is 0
    unsigned attempt = 1;
    std::string stderr_tail;
    std::string call;
    std::optional<std::uint64_t> fault_address;
    bool stack_overflow = false;
    std::vector<frame> frames;
    crash_cause cause = crash_cause::exit;
    resource_usage usage = {};
    bool core_dumped = false;
  };
  explicit worker_crashed(verdict v);

  int pid() const noexcept { return verdict_.pid; }
  crash_cause cause() const noexcept { return verdict_.cause; }
  const resource_usage& usage() const noexcept { return verdict_.usage; }
  bool core_dumped() const noexcept { return verdict_.core_dumped; }
  // The signal that killed it, or 0 if it exited.
  int signal() const noexcept { return verdict_.signal; }
  int exit_code() const noexcept { return verdict_.exit_code; }
  // The how manieth beginning of the call this was; 1 unless it was submitted with retries.
  unsigned attempt() const noexcept { return verdict_.attempt; }
  // Up to the last 8 KiB that this worker wrote to standard error.
  const std::string& stderr_tail() const noexcept { return verdict_.stderr_tail; }
  // The call that it was running, for a person to read.
  const std::string& call() const noexcept { return verdict_.call; }
  // What SIGSEGV, SIGBUS, SIGILL or SIGFPE was about, if a fault of its own code was the cause.
  std::optional<std::uint64_t> fault_address() const noexcept { return verdict_.fault_address; }
  bool is_stack_overflow() const noexcept { return verdict_.stack_overflow; }
  // Where it was when the signal came, innermost first, up to 32. Empty for other deaths, under a
  // sanitizer (see its report in stderr_tail()), and if the call replaced the signal's handler.
  const std::vector<frame>& frames() const noexcept { return verdict_.frames; }

 private:
  verdict verdict_;
};

class task_killed : public task_error {
 public:
  using task_error::task_error;
};

class task_timeout : public timeout_error {
 public:
  using timeout_error::timeout_error;
};

class initializer_failed : public broken_executor {
 public:
  using broken_executor::broken_executor;
};

// Thrown by the pool's constructor if that can know it.
class limits_unavailable : public broken_executor {
 public:
  using broken_executor::broken_executor;
};

class image_mismatch : public broken_executor {
 public:
  using broken_executor::broken_executor;
};

// Thrown by the pool's constructor.
class sandbox_unavailable : public broken_executor {
 public:
  using broken_executor::broken_executor;
};

class supervisor_lost : public task_error {
 public:
  using task_error::task_error;
};

class serialization_error : public task_error {
 public:
  using task_error::task_error;
};

class function_not_found : public task_error {
 public:
  using task_error::task_error;
};

}  // namespace plait
