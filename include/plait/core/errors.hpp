// plait/core/errors.hpp: what can go wrong in every engine, as one tree.
//
//   error                     (std::runtime_error)
//   ├── cancelled_error       the call or task was cancelled before it had a result
//   ├── timeout_error         a deadline passed; what it bounded has been stopped
//   ├── would_deadlock        this wait could never end, so it was not begun
//   ├── invalid_state         a future without a state; a promise fulfilled twice
//   ├── broken_promise        the promise was destroyed without a result
//   ├── executor_shutdown     submit() after shutdown()
//   ├── executor_full         no room for another call           (see executor.hpp)
//   ├── queue_closed, queue_full, queue_empty, broken_barrier         (see coroutines.hpp)
//   ├── exception_group       several of a task group's failures   (see exception_group.hpp)
//   ├── broken_executor       an engine lost what it runs on         (see processes.hpp)
//   ├── task_error            a call failed by no doing of its code  (see processes.hpp)
//   └── remote_error          an exception of another address space: type, message, traceback
//
// Exceptions of user code arrive as themselves: they are not in this tree.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace plait {

class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class cancelled_error : public error {
 public:
  cancelled_error() : error("cancelled") {}
  using error::error;
};

class timeout_error : public error {
 public:
  timeout_error() : error("timed out") {}
  using error::error;
};

class would_deadlock : public error {
 public:
  using error::error;
};

class invalid_state : public error {
 public:
  using error::error;
};

class broken_promise : public error {
 public:
  broken_promise() : error("the promise was destroyed without a result") {}
};

class executor_shutdown : public error {
 public:
  executor_shutdown() : error("cannot submit: the executor has been shut down") {}
  using error::error;
};

class broken_executor : public error {
 public:
  using error::error;
};

class task_error : public error {
 public:
  using error::error;
};

// An exception that was thrown in another process or on another machine and has no local type.
class remote_error : public error {
 public:
  remote_error(std::string type, const std::string& message, std::string traceback = {});
  // The thrown type's name, as the other side spells it.
  const std::string& type() const noexcept { return type_; }
  // The other side's stack, a line a frame; empty when it sent none.
  const std::string& traceback() const noexcept { return traceback_; }

 private:
  std::string type_;
  std::string traceback_;
};

// An exception that nobody retrieved, and the call that threw it.
struct unhandled_exception {
  std::exception_ptr error;
  std::string origin;  // what was running and where it was submitted, for a person to read
};
using unhandled_exception_handler = void (*)(const unhandled_exception&) noexcept;

// Sets who hears of exceptions that no future, no callback and no await ever retrieved, and returns
// the previous handler. The default writes one line to standard error. Null restores the default.
// Thread-safe. The handler runs on whichever thread let go of the last handle.
unhandled_exception_handler set_unhandled_exception_handler(unhandled_exception_handler) noexcept;

namespace detail {
void report_unhandled(std::exception_ptr error, std::string origin) noexcept;
// "in FUNCTION (FILE+0xOFFSET)" for an address of code, as far as the dynamic symbols tell.
std::string describe_address(const void* address);
std::string demangled(const char* type_name);
}  // namespace detail
}  // namespace plait
