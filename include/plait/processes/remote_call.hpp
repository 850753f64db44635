// plait/processes/remote_call.hpp: a function's identity and its encoded arguments, with the state
// that its result will come back to. What submit() makes and the engine moves.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>

#include "plait/core/call.hpp"
#include "plait/processes/process_call_options.hpp"
#include "plait/processes/remote_signature.hpp"
#include "plait/processes/this_call.hpp"

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
  std::int64_t stop_first_ns = 0;
  unsigned retries = 0;
  unsigned attempt = 1;
  // Once it was asked to stop: why, and when it is killed if it has not. Then 0 is no reason.
  std::uint8_t asked = 0;
  std::int64_t kill_at = never;
  std::int64_t seen_running = never;  // since when, by our own clock
  remote_job* job = nullptr;
  call_limits *next = nullptr, *previous = nullptr;
};

using report_listener = std::function<void(std::string_view)>;

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
  bool stop_at_engine(bool hears) noexcept;
  // What its future throws if the engine asked it to stop, and it did; null if nobody but its
  // holder asked.
  std::exception_ptr stopped_because() const;
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
  std::shared_ptr<const report_listener> listener_;  // null: nobody hears its reports
  std::uint32_t seat_ = 0;                           // where it was placed
  std::uint32_t sequence_ = 0;                       // and as which call of that worker
  enum class place : std::uint8_t { nowhere, pending, placed, resolving } place_ = place::nowhere;
};

// What runs in the worker: decodes, calls, encodes. Its address is the call's identity.
using entry_point = void (*)(decoder& arguments, encoder& result);

// The worker's side.
template <class F, class R, class Arguments>
void run_remote(decoder& arguments, encoder& result) {
  F f = function_codec<F>::decode(arguments);
  auto values = codec<Arguments>::decode(arguments);
  const auto call = [&]() -> decltype(auto) {
    if constexpr (stoppable_with<F, Arguments>) {
      return std::apply(std::move(f),
                        std::tuple_cat(std::tuple(this_call::stop_token()), std::move(values)));
    } else {
      return std::apply(std::move(f), std::move(values));
    }
  };
  if constexpr (std::is_void_v<R>) {
    call();
  } else {
    const R value = call();
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
    } catch (const cancelled_error&) {
      error = stopped_because();
      if (error == nullptr && this->is_stopping())
        return this->finish(state_base::outcome::cancelled);
      if (error == nullptr) error = std::current_exception();
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
  bool request_stop() noexcept override { return stop_at_engine(stoppable_with<F, Arguments>); }

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
