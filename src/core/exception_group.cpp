#include "plait/core/exception_group.hpp"

#include <typeinfo>

namespace plait {
namespace {

// "task group: 2 failures\n  1. std::runtime_error: no route\n  2. ...", nested ones indented.
std::string listed(const std::string& what, const std::vector<std::exception_ptr>& exceptions) {
  std::string text = what + ": " + std::to_string(exceptions.size()) +
                     (exceptions.size() == 1 ? " failure" : " failures");
  std::size_t number = 0;
  for (const auto& each : exceptions) {
    text += "\n  " + std::to_string(++number) + ". ";
    for (const char c : detail::describe_exception(each)) {
      text += c;
      if (c == '\n') text += "  ";
    }
  }
  return text;
}

}  // namespace

exception_group::exception_group(const std::string& what, std::vector<std::exception_ptr> all)
    : error(listed(what, all)), exceptions_(std::move(all)) {}

// What `error` refers to lives as long as it does.
const exception_group* exception_group::as_group(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const exception_group& group) {
    return &group;
  } catch (...) {
    return nullptr;
  }
}

std::string detail::describe_exception(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return demangled(typeid(e).name()) + ": " + e.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace plait
