// plait/celery/binding.hpp: a C++ function as a task: what its callers see, and how it is called
// with the arguments of a message. Part of app.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "plait/celery/codec.hpp"
#include "plait/celery/context.hpp"
#include "plait/celery/parameters.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/processes/remote_signature.hpp"

namespace plait::celery {

template <class Signature>
class registered_task;

namespace detail {

template <class T>
struct task_result {
  using type = T;
  static constexpr bool is_task = false;
};
template <class T>
struct task_result<plait::task<T>> {
  using type = T;
  static constexpr bool is_task = true;
};

// Parameters as they are kept: views as their owners, references as values.
template <class F, class Parameters>
struct shape_of;
template <class F, class... P>
struct shape_of<F, plait::detail::parameters<P...>> {
  static constexpr bool takes_context = false;
  using returned = std::invoke_result_t<F&, P...>;
  using values = std::tuple<plait::detail::owned_t<P>...>;
  using handle =
      registered_task<typename task_result<returned>::type(plait::detail::owned_t<P>...)>;
  static constexpr std::size_t arity = sizeof...(P);
  static values bind(const std::string& task, list args, dict kwargs) {
    return arguments_of<plait::detail::owned_t<P>...>(task, {}, std::move(args), std::move(kwargs));
  }
};
template <class F, class... P>
struct shape_of<F, plait::detail::parameters<context&, P...>>
    : shape_of<std::nullptr_t, plait::detail::parameters<P...>> {
  static constexpr bool takes_context = true;
  using returned = std::invoke_result_t<F&, context&, P...>;
  using handle =
      registered_task<typename task_result<returned>::type(plait::detail::owned_t<P>...)>;
};
template <class... P>
struct shape_of<std::nullptr_t, plait::detail::parameters<P...>> {
  using values = std::tuple<plait::detail::owned_t<P>...>;
  static constexpr std::size_t arity = sizeof...(P);
  static values bind(const std::string& task, list args, dict kwargs) {
    return arguments_of<plait::detail::owned_t<P>...>(task, {}, std::move(args), std::move(kwargs));
  }
};
template <class F>
struct shape_of<F, void> {
  static_assert(sizeof(F) == 0,
                "a task is a function, or a function object with one call operator that is no "
                "template: callers must be able to see what it takes");
};

template <class F>
using shape = shape_of<F, typename plait::detail::parameters_of<F>::type>;
template <class F>
using registered_task_of = typename shape<F>::handle;
template <class F>
inline constexpr bool returns_task = task_result<typename shape<F>::returned>::is_task;

template <class F>
decltype(auto) call_with(F& f, context& self, typename shape<F>::values& values) {
  return std::apply(
      [&](auto&... each) -> decltype(auto) {
        if constexpr (shape<F>::takes_context) {
          return f(self, std::move(each)...);
        } else {
          return f(std::move(each)...);
        }
      },
      values);
}

// Calls f and makes a value of what it returns; nothing is None.
template <class F>
value call_bound(F& f, context& self, list args, dict kwargs) {
  auto values = shape<F>::bind(self.task(), std::move(args), std::move(kwargs));
  if constexpr (std::is_void_v<typename shape<F>::returned>) {
    call_with(f, self, values);
    return {};
  } else {
    return to_value(call_with(f, self, values));
  }
}

template <class F>
plait::task<value> call_bound_coroutine(F& f, context& self, list args, dict kwargs) {
  auto values = shape<F>::bind(self.task(), std::move(args), std::move(kwargs));
  if constexpr (std::is_void_v<typename task_result<typename shape<F>::returned>::type>) {
    co_await call_with(f, self, values);
    co_return value();
  } else {
    co_return to_value(co_await call_with(f, self, values));
  }
}

}  // namespace detail
}  // namespace plait::celery
