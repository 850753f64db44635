// plait/processes/remote_signature.hpp: what submit(f, args...) sends, and the sentences for what
// cannot be sent. Part of remote_call.hpp, which includes it.
//
// The parameters are converted to what f takes by value before they travel: `const std::string&` and
// string_view as std::string; a std::span<const T> shows the elements in the message itself. A
// std::stop_token that comes first does not travel: the worker gives it, as std::jthread does.
#pragma once

#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "plait/core/call.hpp"
#include "plait/processes/function_codec.hpp"
#include "plait/processes/span_codec.hpp"

namespace plait::detail {

template <class... P>
struct parameters {};

template <class F>
struct parameters_of {
  using type = void;  // overloaded or generic: the arguments travel as they were given
};
template <class R, class... P>
struct parameters_of<R (*)(P...)> {
  using type = parameters<P...>;
};
template <class R, class... P>
struct parameters_of<R (*)(P...) noexcept> {
  using type = parameters<P...>;
};
template <class C>
struct call_operator;
// clang-format off
template <class R, class C, class... P> struct call_operator<R (C::*)(P...)> { using type = parameters<P...>; };
template <class R, class C, class... P> struct call_operator<R (C::*)(P...) const> { using type = parameters<P...>; };
template <class R, class C, class... P> struct call_operator<R (C::*)(P...) noexcept> { using type = parameters<P...>; };
template <class R, class C, class... P> struct call_operator<R (C::*)(P...) const noexcept> { using type = parameters<P...>; };
// clang-format on
template <class F>
requires requires { typename call_operator<decltype(&F::operator())>::type; }
struct parameters_of<F> : call_operator<decltype(&F::operator())> {};

// A std::stop_token that comes first is the worker's to give.
template <class Parameters>
struct sent_parameters {
  using type = Parameters;
};
template <class First, class... P>
requires std::is_same_v<std::remove_cvref_t<First>, std::stop_token>
struct sent_parameters<parameters<First, P...>> {
  using type = parameters<P...>;
};
template <class F>
using sent_parameters_t = typename sent_parameters<typename parameters_of<F>::type>::type;

// The owner of what a view shows.
template <class T>
struct owned {
  using type = T;
};
template <class C, class Traits>
struct owned<std::basic_string_view<C, Traits>> {
  using type = std::basic_string<C, Traits>;
};
template <class T>
struct owned<std::span<const T>> {
  using type = message_span<T>;
};
template <class P>
using owned_t = typename owned<std::remove_cvref_t<P>>::type;
// A string literal that meets no declared parameter travels as a string.
template <class Arg>
using given_t = std::conditional_t<std::is_same_v<std::decay_t<Arg>, const char*> ||
                                       std::is_same_v<std::decay_t<Arg>, char*>,
                                   std::string, owned_t<std::decay_t<Arg>>>;

// A parameter that f would write through, or an address: nothing behind it exists over there.
template <class P>
inline constexpr bool is_out_parameter =
    std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>;

template <class Parameters, class... Args>
struct travel_types {
  using type = std::tuple<given_t<Args>...>;
  static constexpr bool by_value = true;
};
template <class... P, class... Args>
requires(sizeof...(P) == sizeof...(Args) && (std::is_constructible_v<owned_t<P>, Args> &&
                                             ...)) struct travel_types<parameters<P...>, Args...> {
  using type = std::tuple<owned_t<P>...>;
  static constexpr bool by_value = !(is_out_parameter<P> || ...);
};

template <class F, class Tuple>
inline constexpr bool callable_with = false;
template <class F, class... T>
inline constexpr bool callable_with<F, std::tuple<T...>> =
    std::is_invocable_v<F, T...> || takes_stop_token<F, T...>;
template <class F, class Tuple>
inline constexpr bool stoppable_with = false;
template <class F, class... T>
inline constexpr bool stoppable_with<F, std::tuple<T...>> = takes_stop_token<F, T...>;
template <class F, class Tuple>
struct result_with;
template <class F, class... T>
struct result_with<F, std::tuple<T...>> {
  using type = std::decay_t<typename call_result<F, T...>::type>;
};
template <class Tuple>
inline constexpr bool all_travel = false;
template <class... T>
inline constexpr bool all_travel<std::tuple<T...>> = (travels<T> && ...);
template <class R>
inline constexpr bool result_travels = travels<R>;
template <>
inline constexpr bool result_travels<void> = true;

// Everything about one submit(f, args...), and the sentences for what cannot be.
template <class F, class... Args>
struct remote_signature {
  using function = std::decay_t<F>;
  using travel = travel_types<sent_parameters_t<function>, Args...>;
  using arguments = typename travel::type;

  static constexpr bool f_travels = function_codec<function>::usable;
  static_assert(f_travels,
                "a process pool runs functions, captureless lambdas and function objects whose "
                "members travel: captures stay in this process, so pass them as arguments");
  static_assert(!f_travels || travel::by_value,
                "f takes a non-const reference: another process cannot write to the caller's "
                "variable, so take the argument by value and return what changed");
  static_assert(all_travel<arguments>,
                "an argument cannot travel to another process: pointers, references and views stay "
                "here; pass values (plait/processes/codec.hpp lists what travels, and how to add "
                "your type)");
  static constexpr bool is_callable = callable_with<function, arguments>;
  static_assert(!f_travels || !travel::by_value || !all_travel<arguments> || is_callable,
                "submit(f, args...): f cannot be called with these arguments");
  static constexpr bool well_formed =
      f_travels && travel::by_value && all_travel<arguments> && is_callable;
};

template <class Signature>
struct remote_result {
  using type = int;  // an assertion above has spoken
};
template <class Signature>
requires Signature::well_formed struct remote_result<Signature> {
  using type =
      typename result_with<typename Signature::function, typename Signature::arguments>::type;
  static_assert(result_travels<type>,
                "f's result cannot travel back from another process: return a value "
                "(plait/processes/codec.hpp lists what travels, and how to add your type)");
};

}  // namespace plait::detail
