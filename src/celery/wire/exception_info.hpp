// celery/wire/exception_info.hpp: an exception as Celery stores it, and what it is in C++.
//
//   C++ thrown                              Python sees
//   std::invalid_argument, domain_error     ValueError(what)
//   std::out_of_range                       IndexError(what)
//   std::overflow_error                     OverflowError(what)
//   std::bad_alloc                          MemoryError(what)
//   std::system_error of errno's category   OSError(errno, text): FileNotFoundError and so on
//   std::runtime_error, logic_error         RuntimeError(what)
//   celery::type_error                      TypeError(what)
//   plait::timeout_error                    TimeoutError(what)
//   plait::worker_crashed                   billiard.exceptions.WorkerLostError(what)
//   plait::cancelled_error                  celery.exceptions.TaskRevokedError("terminated")
//   plait::remote_error                     its type(): "ValueError", "app.errors.Broken"
//   celery::decode_error, encode_error      kombu.exceptions.DecodeError, EncodeError(what)
//   any other                               a class of the C++ name, in the module "plait"
//
// And back: TaskRevokedError is plait::cancelled_error, TimeLimitExceeded and SoftTimeLimitExceeded
// are plait::timeout_error, WorkerLostError is plait::task_error; all others, ours included, are
// plait::remote_error, whose type() is "ValueError" for Python's own and else has its module before it.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "plait/celery/value.hpp"

namespace plait::celery::detail {

struct exception_info {
  std::string type = {};                           // its __qualname__
  std::optional<std::string> module = "builtins";  // its __module__
  list arguments = {};                             // its args

  value to_value() const;
  // Throws decode_error for what tells no type, as Celery's own client does.
  static exception_info from_value(const value& from);
  // "ValueError", "celery.exceptions.NotRegistered", "my::error"
  std::string qualified_name() const;
  // As str() of it would be in Python.
  std::string message() const;
};

// Of a C++ exception, by the table above. Throws nothing but bad_alloc.
exception_info describe(const std::exception_ptr& thrown);
// For the future of who waits.
std::exception_ptr to_exception(const exception_info& info, const std::string& traceback = {});

// Those that a worker stores of its own accord.
exception_info not_registered(const std::string& task);
exception_info task_revoked(const std::string& why);  // "revoked", "terminated", "expired"
exception_info time_limit_exceeded(double seconds);
exception_info soft_time_limit_exceeded();
exception_info worker_lost(const std::string& why);
exception_info chord_failed(const std::string& why);
exception_info max_retries_exceeded(const std::string& why);

}  // namespace plait::celery::detail
