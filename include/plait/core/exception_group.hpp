// plait/core/exception_group.hpp: several failures, thrown as one.
//
//   try {
//     co_await plait::with_task_group(...);
//   } catch (const plait::exception_group& failures) {
//     failures.visit<net::error>([](const net::error& e) { log(e.what()); });
//   }
//
// Python's ExceptionGroup. What throws one throws one for a single failure too, so that a program
// that handles one failure does not break on the day when two tasks fail at once. Groups nest.
//
// Threads:  immutable; copies share the exceptions.
// Cost:     visit() throws and catches each exception twice, about 2 us each.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "plait/core/errors.hpp"

namespace plait {

class exception_group : public error {
 public:
  // At least one exception, none of them null. `what` says what failed: "task group".
  exception_group(const std::string& what, std::vector<std::exception_ptr> exceptions);

  // In the order in which they were thrown.
  const std::vector<std::exception_ptr>& exceptions() const noexcept { return exceptions_; }

  // Calls f with every exception of type E (or derived from it) that is no group itself, here and in
  // nested groups; returns how many there were. What f throws goes through.
  template <class E, class F>
  std::size_t visit(F&& f) const {
    std::size_t found = 0;
    for (const auto& each : exceptions_) {
      if (const exception_group* nested = as_group(each)) {
        found += nested->visit<E>(f);
        continue;
      }
      try {
        std::rethrow_exception(each);
      } catch (const E& match) {
        ++found;
        f(match);
      } catch (...) {
      }
    }
    return found;
  }
  template <class E>
  bool contains() const {
    return visit<E>([](const E&) {}) != 0;
  }

 private:
  // Null if it is none.
  static const exception_group* as_group(const std::exception_ptr& error) noexcept;
  std::vector<std::exception_ptr> exceptions_;
};

namespace detail {
// "TYPE: what()", as a person reads an exception.
std::string describe_exception(const std::exception_ptr& error);
}  // namespace detail

}  // namespace plait
