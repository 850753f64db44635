// plait/celery/parameters.hpp: the names of a task's parameters, so that callers may use them.
//
//   app.task("reports.add", add, {.parameters = {"a", {"b", 3}}});     add(2), add(a=2, b=5)
//
// C++ keeps no names at run time: without them a task takes its arguments by position only.
//
// Threads:  a value.
// Throws:   type_error in the very words of Python's TypeError.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plait/celery/codec.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery {

struct parameter {
  parameter(const char* n) : name(n) {}
  parameter(std::string n) : name(std::move(n)) {}
  template <class T>
  parameter(std::string n, const T& preset) : name(std::move(n)), fallback(to_value(preset)) {}

  std::string name;
  std::optional<value> fallback = {};  // what it is when nobody says
};

class parameters {
 public:
  // No names: by position only.
  parameters() = default;
  // Throws std::invalid_argument for a name that comes twice, or a parameter that has no default
  // behind one that has.
  parameters(std::initializer_list<parameter> all);

  const std::vector<parameter>& all() const noexcept { return all_; }
  bool empty() const noexcept { return all_.empty(); }

  // The `arity` arguments of a call, in order. `task` is named in errors by its last part: "add()".
  list bind(std::string_view task, std::size_t arity, list args, dict kwargs) const;

 private:
  std::vector<parameter> all_;
};

namespace detail {

// "add() argument 'b' must be int, not str", and where within it.
type_error wrong_argument(std::string_view task, const parameters& names, std::size_t index,
                          const type_error& e);

template <class T>
T argument_from(std::string_view task, const parameters& names, const list& args,
                std::size_t index) {
  try {
    return from_value<T>(args[index]);
  } catch (const type_error& e) {
    throw wrong_argument(task, names, index, e);
  }
}

}  // namespace detail

// The arguments of a call of `task`, which takes Args, as C++ has them.
template <class... Args>
std::tuple<Args...> arguments_of(std::string_view task, const parameters& names, list args,
                                 dict kwargs) {
  [[maybe_unused]] const list bound =
      names.bind(task, sizeof...(Args), std::move(args), std::move(kwargs));
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple<Args...>{detail::argument_from<Args>(task, names, bound, I)...};
  }
  (std::index_sequence_for<Args...>());
}

}  // namespace plait::celery
