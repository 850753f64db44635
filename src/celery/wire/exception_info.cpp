#include "celery/wire/exception_info.hpp"

#include <ios>
#include <new>
#include <stdexcept>
#include <system_error>
#include <typeinfo>

#include "plait/celery/wire_errors.hpp"
#include "plait/core/errors.hpp"
#include "plait/processes/errors.hpp"

namespace plait::celery::detail {
namespace {

constexpr const char* celery_exceptions = "celery.exceptions";
constexpr const char* billiard_exceptions = "billiard.exceptions";
constexpr const char* kombu_exceptions = "kombu.exceptions";
// Of C++'s exceptions without an equal: no module of Python, so that a class is made of the name.
constexpr const char* our_module = "plait";

// "app.errors.Broken" has a module, "ValueError" and "my::error" have none.
exception_info from_remote(const remote_error& e) {
  const std::size_t dot = e.type().rfind('.');
  if (dot != std::string::npos && dot != 0 && dot + 1 < e.type().size())
    return {e.type().substr(dot + 1), e.type().substr(0, dot), {std::string(e.what())}};
  const bool of_cpp = e.type().find("::") != std::string::npos;
  return {e.type(), of_cpp ? our_module : "builtins", {std::string(e.what())}};
}

// The standard library's exceptions by their very type: what is derived from them has its own name.
exception_info from_standard(const std::exception& e) {
  const std::type_info& type = typeid(e);
  const std::string what = e.what();
  if (type == typeid(std::invalid_argument) || type == typeid(std::domain_error))
    return {"ValueError", "builtins", {what}};
  if (type == typeid(std::out_of_range)) return {"IndexError", "builtins", {what}};
  if (type == typeid(std::overflow_error)) return {"OverflowError", "builtins", {what}};
  if (type == typeid(std::runtime_error) || type == typeid(std::logic_error))
    return {"RuntimeError", "builtins", {what}};
  return {plait::detail::demangled(type.name()), our_module, {what}};
}

exception_info from_system(const std::system_error& e) {
  const std::error_category& category = e.code().category();
  if (category == std::generic_category() || category == std::system_category())
    return {"OSError", "builtins", {e.code().value(), std::string(e.what())}};
  return from_standard(e);
}

}  // namespace

value exception_info::to_value() const {
  dict made;
  made.reserve(3);
  made.append("exc_type", type);
  made.append("exc_message", arguments);
  made.append("exc_module", module ? value(*module) : value());
  return made;
}

exception_info exception_info::from_value(const value& from) {
  const value* const type = from.find("exc_type");
  if (type == nullptr || !type->is<std::string>())
    throw decode_error(decode_error::reason::bad_result,
                       "result: the failure does not tell its type: " + repr(from, 120));
  exception_info made{.type = *type->get_if<std::string>(), .module = {}, .arguments = {}};
  const value* const module = from.find("exc_module");
  if (module != nullptr && module->is<std::string>()) made.module = *module->get_if<std::string>();
  const value* const message = from.find("exc_message");
  if (message != nullptr && message->is<list>())
    made.arguments = *message->get_if<list>();
  else if (message != nullptr && !message->is_null())
    made.arguments.push_back(*message);
  return made;
}

std::string exception_info::qualified_name() const {
  if (!module || *module == "builtins" || *module == our_module) return type;
  return *module + '.' + type;
}

std::string exception_info::message() const {
  if (arguments.empty()) return {};
  const auto as_text = [](const value& v) {
    const auto* text = v.get_if<std::string>();
    return text != nullptr ? *text : repr(v);
  };
  // OSError(2, "No such file"): its str() is "[Errno 2] No such file".
  if (type.ends_with("Error") && arguments.size() == 2 && module == "builtins" &&
      arguments[0].is<std::int64_t>() && arguments[1].is<std::string>() &&
      (type == "OSError" || type == "FileNotFoundError" || type == "PermissionError" ||
       type == "FileExistsError" || type == "ConnectionError" || type == "ConnectionRefusedError" ||
       type == "ConnectionResetError" || type == "BrokenPipeError" || type == "TimeoutError" ||
       type == "IsADirectoryError" || type == "NotADirectoryError" || type == "BlockingIOError"))
    return "[Errno " + repr(arguments[0]) + "] " + as_text(arguments[1]);
  if (arguments.size() == 1) return as_text(arguments[0]);
  return repr_arguments(arguments, static_cast<std::size_t>(-1));
}

exception_info describe(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const remote_error& e) {
    return from_remote(e);
  } catch (const type_error& e) {
    return {"TypeError", "builtins", {std::string(e.what())}};
  } catch (const decode_error& e) {
    return {"DecodeError", kombu_exceptions, {std::string(e.what())}};
  } catch (const encode_error& e) {
    return {"EncodeError", kombu_exceptions, {std::string(e.what())}};
  } catch (const worker_crashed& e) {
    return worker_lost(e.what());
  } catch (const task_timeout& e) {
    return {"TimeLimitExceeded", billiard_exceptions, {std::string(e.what())}};
  } catch (const timeout_error& e) {
    return {"TimeoutError", "builtins", {std::string(e.what())}};
  } catch (const cancelled_error&) {
    return task_revoked("terminated");
  } catch (const std::system_error& e) {
    return from_system(e);
  } catch (const std::bad_alloc& e) {
    return {"MemoryError", "builtins", {std::string(e.what())}};
  } catch (const std::exception& e) {
    return from_standard(e);
  } catch (...) {
    return {"exception", our_module, {"something that is no std::exception"}};
  }
}

std::exception_ptr to_exception(const exception_info& info, const std::string& traceback) {
  if (info.module == celery_exceptions && info.type == "TaskRevokedError")
    return std::make_exception_ptr(cancelled_error("the task was " + info.message()));
  if (info.module == billiard_exceptions) {
    const std::string text = info.type + ": " + info.message();
    if (info.type == "TimeLimitExceeded" || info.type == "SoftTimeLimitExceeded")
      return std::make_exception_ptr(timeout_error(text));
    if (info.type == "WorkerLostError") return std::make_exception_ptr(task_error(text));
  }
  return std::make_exception_ptr(remote_error(info.qualified_name(), info.message(), traceback));
}

exception_info not_registered(const std::string& task) {
  return {"NotRegistered", celery_exceptions, {task}};
}
exception_info task_revoked(const std::string& why) {
  return {"TaskRevokedError", celery_exceptions, {why}};
}
exception_info time_limit_exceeded(double seconds) {
  return {"TimeLimitExceeded", billiard_exceptions, {seconds}};
}
exception_info soft_time_limit_exceeded() {
  return {"SoftTimeLimitExceeded", billiard_exceptions, {}};
}
exception_info worker_lost(const std::string& why) {
  return {"WorkerLostError", billiard_exceptions, {why}};
}
exception_info chord_failed(const std::string& why) {
  return {"ChordError", celery_exceptions, {why}};
}
exception_info max_retries_exceeded(const std::string& why) {
  return {"MaxRetriesExceededError", celery_exceptions, {why}};
}

}  // namespace plait::celery::detail
