// plait/processes/remote_call.hpp: a function's identity and its encoded arguments, with the state
// that its result will come back to. What submit() makes and the engine moves.
//
// The parameters are converted to what f takes by value before they travel: `const std::string&` and
// string_view as std::string; a std::span<const T> shows the elements in the message itself.
#pragma once

#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "plait/core/call.hpp"
#include "plait/processes/function_codec.hpp"
#include "plait/processes/process_call_options.hpp"
#include "plait/processes/span_codec.hpp"

namespace plait::detail {

class process_engine;
class remote_job;

// A reply as the engine delivers it: bytes that decode to the value, or to an exception.
struct reply {
  const std::byte* bytes;
  std::size_t size;
  bool is_value;
  attachments* with;  // what came along, or null
};
void let_go(attachments& with) noexcept;
// Throws what the worker's call threw.
[[noreturn]] void throw_remote(const reply& r);

// What a call may cost, for those few that say so. Linked while the call has no result.
struct call_limits {
  static constexpr std::int64_t never = INT64_MAX;
  explicit call_limits(const process_call_options& options) noexcept;
  std::int64_t timeout_ns = never;
  std::int64_t deadline = never;  // CLOCK_MONOTONIC
  duration asked_timeout, asked_deadline;
  unsigned retries = 0;
  unsigned attempt = 1;
  remote_job* job = nullptr;
  call_limits *next = nullptr, *previous = nullptr;
};

// The engine's view of a call. Its fields belong to the engine once it was posted.
class remote_job {
 public:
  remote_job(state_base& s, std::uint64_t entry) noexcept : entry_(entry), state_(s) {}
  virtual ~remote_job() = default;
  // One of these, once, outside every lock. After it the pointer is dead.
  virtual void resolve(const reply& r) noexcept = 0;
  void reject(std::exception_ptr error) noexcept {
    request.recycle();
    state_.finish_exception(std::move(error));
  }
  void cancelled() noexcept {
    request.recycle();
    state_.finish(state_base::outcome::cancelled);
  }
  std::string describe() const { return state_.describe(); }
  job_origin identity() const noexcept { return state_.identity(); }
  bool is_done() const noexcept { return state_.is_done(); }
  // What the state asks of the engine, if it has one yet.
  void assist_engine() noexcept;
  bool withdraw() noexcept;
  void release_engine() noexcept;
  bool has_begun_at_engine() const noexcept;
  // Before it is posted.
  void set_options(const process_call_options& options);
  const char* name() const noexcept { return name_; }

  encoder request;

 private:
  friend process_engine;
  const std::uint64_t entry_;  // token of the function below
  state_base& state_;
  process_engine* engine_ = nullptr;
  remote_job* next_ = nullptr;
  remote_job* previous_ = nullptr;
  const char* name_ = nullptr;
  std::unique_ptr<call_limits> limits_;
  std::uint32_t seat_ = 0;      // where it was placed
  std::uint32_t sequence_ = 0;  // and as which call of that worker
  enum class place : std::uint8_t { nowhere, pending, placed, resolving } place_ = place::nowhere;
};

// What runs in the worker: decodes, calls, encodes. Its address is the call's identity.
using entry_point = void (*)(decoder& arguments, encoder& result);

// ---- as what each argument travels -------------------------------------------------------------

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
inline constexpr bool callable_with<F, std::tuple<T...>> = std::is_invocable_v<F, T...>;
template <class F, class Tuple>
struct result_with;
template <class F, class... T>
struct result_with<F, std::tuple<T...>> {
  using type = std::decay_t<std::invoke_result_t<F, T...>>;
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
  using travel = travel_types<typename parameters_of<function>::type, Args...>;
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

// The worker's side.
template <class F, class R, class Arguments>
void run_remote(decoder& arguments, encoder& result) {
  F f = function_codec<F>::decode(arguments);
  auto values = codec<Arguments>::decode(arguments);
  if constexpr (std::is_void_v<R>) {
    std::apply(std::move(f), std::move(values));
  } else {
    const R value = std::apply(std::move(f), std::move(values));
    codec<R>::encode(result, value);
  }
}

// The caller's side: one block that holds the state, the encoded call and the engine's links.
template <class R, class F, class Arguments>
class remote_call final : public state<R>, public remote_job {
 public:
  template <class... Args>
  remote_call(const void* where, const F& f, Args&&... args)
      : state<R>(1, where), remote_job(static_cast<state<R>&>(*this), token()) {
    function_codec<F>::encode(request, f);
    if constexpr (std::is_pointer_v<F>) code_ = reinterpret_cast<const void*>(f);
    encode(std::index_sequence_for<Args...>{}, std::forward<Args>(args)...);
    this->try_claim();  // R1: the engine finishes it; cancel() asks the engine
  }
  ~remote_call() override { release_engine(); }

  void resolve(const reply& r) noexcept override {
    request.recycle();  // a future may live long
    std::exception_ptr error;
    try {
      if (!r.is_value) throw_remote(r);
      if constexpr (std::is_void_v<R>) {
        return this->finish_value();
      } else {
        decoder from(r.bytes, r.size, r.with);
        R value = codec<R>::decode(from);
        if (r.with != nullptr) let_go(*r.with);  // what is shared is the value's alone
        return this->finish_value(std::move(value));
      }
    } catch (...) {
      error = std::current_exception();
    }
    this->finish_exception(std::move(error));  // the waiting thread's alone from here on
  }
  void assist() override { assist_engine(); }
  bool has_begun() const noexcept override { return this->is_done() || has_begun_at_engine(); }
  std::string describe() const override {
    return "call " + (name() != nullptr ? '"' + std::string(name()) + "\" " : std::string()) +
           "of " + demangled(typeid(F).name()) + " submitted to a process pool " +
           describe_address(this->where());
  }
  job_origin identity() const noexcept override {
    return {.type = typeid(F).name(), .code = code_, .where = this->where()};
  }

 protected:
  bool request_stop() noexcept override { return withdraw(); }

 private:
  static std::uint64_t token() {
    static const std::uint64_t value = token_of(
        reinterpret_cast<const void*>(static_cast<entry_point>(&run_remote<F, R, Arguments>)));
    return value;
  }
  template <std::size_t... I, class... Args>
  void encode(std::index_sequence<I...>, Args&&... args) {
    (encode_as<std::tuple_element_t<I, Arguments>>(std::forward<Args>(args)), ...);
  }
  const void* code_ = nullptr;  // of f, if it is a function
  template <class T, class Arg>
  void encode_as(Arg&& arg) {
    if constexpr (std::is_same_v<std::remove_cvref_t<Arg>, T>) {
      codec<T>::encode(request, arg);
    } else {
      codec<T>::encode(request, static_cast<T>(std::forward<Arg>(arg)));
    }
  }
};

}  // namespace plait::detail
