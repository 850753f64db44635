// plait/core/call.hpp: a closure on its way to a local engine, and its shared state, in one block.
#pragma once

#include <exception>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "plait/core/future.hpp"
#include "plait/core/job.hpp"

namespace plait {

namespace detail {

// Where this code is, as an address for describe_address(): 8 bytes and no call.
[[gnu::always_inline]] inline const void* here() noexcept {
  const void* address;
#if defined(__x86_64__)
  asm volatile("lea 0(%%rip), %0" : "=r"(address));
#elif defined(__aarch64__)
  asm volatile("adr %0, ." : "=r"(address));
#else
  address = __builtin_return_address(0);
#endif
  return address;
}

// std::jthread's rule: a callable that can take a std::stop_token first is given one.
template <class F, class... Args>
inline constexpr bool takes_stop_token = std::is_invocable_v<F, std::stop_token, Args...>;

template <class F, class... Args>
struct call_result {
  static_assert(std::is_invocable_v<F, Args...> || takes_stop_token<F, Args...>,
                "submit(f, args...): f cannot be called with these arguments (they are passed as "
                "rvalues of their decayed types; wrap references in std::ref)");
  using type = std::invoke_result_t<F, Args...>;
};
template <class F, class... Args>
requires takes_stop_token<F, Args...>
struct call_result<F, Args...> {
  using type = std::invoke_result_t<F, std::stop_token, Args...>;
};
// What submit(f, args...) promises.
template <class F, class... Args>
using call_result_t =
    std::decay_t<typename call_result<std::decay_t<F>, std::decay_t<Args>...>::type>;

// A running call that can be asked to stop; an engine keeps a list of them for its shutdown.
struct stoppable_call {
  virtual void stop_running() noexcept = 0;
  stoppable_call *previous_running = nullptr, *next_running = nullptr;

 protected:
  ~stoppable_call() = default;
};

// The engine that a call was handed to, as the call sees it.
class call_home {
 public:
  // The engine whose worker the calling thread is, null for none. Compared, never followed: a thread
  // that waits for a call of an engine must not touch it, for it may go as soon as the call is done.
  static const call_home* current() noexcept { return of_this_thread; }
  // Says whose worker the calling thread is from now on; returns whose it was.
  static const call_home* exchange_current(const call_home* next) noexcept {
    return std::exchange(of_this_thread, next);
  }
  // True when the calling thread is one of this engine's workers.
  bool is_current() const noexcept { return of_this_thread == this; }
  // On a worker: takes the job out of the queue if it is the newest there; true if it did.
  virtual bool take_back(job&) noexcept { return false; }
  // Around the run of a call that takes a std::stop_token.
  virtual void enter(stoppable_call&) noexcept {}
  virtual void leave(stoppable_call&) noexcept {}

 protected:
  ~call_home() = default;

 private:
  static thread_local constinit const call_home* of_this_thread;
};

// What a call that takes a std::stop_token has beside the others.
class stop_part final : public stoppable_call {
 public:
  void stop_running() noexcept final { source.request_stop(); }
  std::stop_source source;
};
struct not_stoppable {};

// The part of a call that does not depend on types.
template <class R>
class call_base : public state<R>, public job {
 public:
  // One reference for the handle, one for the engine's queue.
  call_base(call_home& home, const void* where) noexcept : state<R>(1, where), home_(home) {}
  void set_name(const char* name) noexcept { name_ = name; }

  void run() noexcept final {
    if (this->try_claim()) {
      begin();
    } else {
      this->release();  // cancelled meanwhile, or taken by a waiting worker
    }
  }
  void drop() noexcept final {
    if (this->try_claim()) {
      this->finish(state_base::outcome::cancelled);
    } else {
      this->release();
    }
  }
  void fail(std::exception_ptr reason) noexcept final {
    if (this->try_claim()) {
      this->finish_exception(std::move(reason));
    } else {
      this->release();
    }
  }
  bool is_call() const noexcept final { return true; }
  // A worker that would block on a call of its own engine runs it, if it has not begun. If it has
  // begun on this very thread, we are inside it, and nobody else will ever finish it.
  void assist() final {
    if (call_home::current() != &home_) return;
    const bool queued = !home_.take_back(*this);
    if (this->try_claim()) {
      if (queued) this->add_ref();  // finishing gives one back, and so does the queue later
      begin();
    } else if (!queued) {
      this->release();
    } else if (const auto* inner = running_call::current(); inner && inner->is_within(*this)) {
      throw would_deadlock(
          "a call waits for its own result, itself or through a call it waits for");
    }
  }

 protected:
  ~call_base() override = default;
  virtual void invoke() noexcept = 0;
  call_home& home() const noexcept { return home_; }
  std::string name_or(std::string type) const { return name_ != nullptr ? name_ : type; }
  const char* name() const noexcept { return name_; }

 private:
  void begin() noexcept {
    const running_call scope(*this);
    invoke();
  }
  call_home& home_;
  const char* name_ = nullptr;
};

template <class R, class F, class... Args>
class call final : public call_base<R> {
  static constexpr bool stoppable = takes_stop_token<F, Args...>;

 public:
  template <class G, class... As>
  call(call_home& home, const void* where, G&& f, As&&... args)
      : call_base<R>(home, where), closure_(std::forward<G>(f), std::forward<As>(args)...) {}
  ~call() override {
    if (!spent_) closure_.~closure();
  }

  std::string describe() const override {
    return "call of " + this->name_or(demangled(typeid(F).name())) + " submitted " +
           describe_address(this->where());
  }
  job_origin identity() const noexcept override {
    const void* code = nullptr;
    if constexpr (std::is_pointer_v<F>) code = reinterpret_cast<const void*>(closure_.f);
    return {this->name(), typeid(F).name(), code, this->where()};
  }
  job_origin origin() const noexcept override { return identity(); }

 protected:
  void invoke() noexcept override {
    std::exception_ptr error;
    try {
      if constexpr (std::is_void_v<R>) {
        call_now();
        discard();
        return this->finish_value();
      } else {
        stored<R> result = call_now();
        discard();
        return this->finish_value(std::move(result));
      }
    } catch (...) {
      error = std::current_exception();
    }
    // Not in the handler, which holds the exception too: its last holder would then be this thread,
    // long after somebody else has caught it.
    discard();
    this->finish_exception(std::move(error));
  }
  bool request_stop() noexcept override {
    if constexpr (stoppable) return stop_.source.request_stop(), true;
    return false;
  }

 private:
  struct closure {
    template <class G, class... As>
    explicit closure(G&& g, As&&... as) : f(std::forward<G>(g)), args(std::forward<As>(as)...) {}
    [[no_unique_address]] F f;
    [[no_unique_address]] std::tuple<Args...> args;
  };
  R call_now() {
    if constexpr (stoppable) {
      const stoppable_scope listed(*this);
      return std::apply(std::move(closure_.f), std::tuple_cat(std::tuple(stop_.source.get_token()),
                                                              std::move(closure_.args)));
    } else {
      return std::apply(std::move(closure_.f), std::move(closure_.args));
    }
  }
  struct stoppable_scope {
    explicit stoppable_scope(call& c) noexcept : self(c) { self.home().enter(self.stop_); }
    ~stoppable_scope() { self.home().leave(self.stop_); }
    call& self;
  };
  // What the call captured is gone before its result can be seen.
  void discard() noexcept {
    if (!std::exchange(spent_, true)) closure_.~closure();
  }

  bool spent_ = false;
  [[no_unique_address]] std::conditional_t<stoppable, stop_part, not_stoppable> stop_;
  union {
    closure closure_;
  };
};

}  // namespace detail
}  // namespace plait
