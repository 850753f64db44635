// plait/core/state.hpp: the one shared state behind every future, and its protocol.
//
// The atomic word
// ---------------
//   bit 0  locked      a thread is touching the observer list; held for a few instructions
//   bit 1  claimed     the result belongs to one completer; cancel() can no longer take it
//   bit 2  done        outcome_, error_ and the value are final and visible
//   bit 3  observed    the observer list is not empty
//   bit 4  retrieved   somebody has seen the exception
//   bit 5  stopping    a stop was asked of a running call
//   bit 6  private     one thread has it to itself until it is done (R7)
//   bits 8..63         references: future handles, plus one for the completer until it finishes,
//                      plus one for a queue that still holds the job of a cancelled call
//
// Life
// ----
//             try_claim()                    finish()
//   pending ───────────────▶ claimed ─────────────────▶ done
//      │                                                  ▲
//      └── cancel(): try_claim() + finish(cancelled) ─────┘
//
// Rules, cited in state.cpp as R1..R7
// -----------------------------------
// R1  Exactly one thread wins try_claim(); only it writes the value, outcome_ and error_.
// R2  finish() publishes with release; whoever reads done with acquire may read the result, for as
//     long as it holds a reference. After done nothing is written but `retrieved` and references.
// R3  finish() gives the completer's reference back in the same atomic step that sets done: the
//     completer never touches the state after that, and whom it wakes may hold the last reference.
// R4  The list is changed only under `locked`. An observer added before done is notified exactly
//     once, unless remove_observer() returned true: then never. Observers are notified in the order
//     in which they came, on the finishing thread, without the lock.
// R5  remove_observer() returning false means that notify has been or is just being called: the
//     owner must wait for its own signal before it frees the observer.
// R6  The thread that drops the last reference destroys the state. If it holds an exception that
//     was never retrieved, the unhandled-exception handler hears of it.
// R7  A state whose only handle is in a suspended flow, on the very loop that will complete it, is
//     private: whoever could touch it would need a handle, or is that loop's thread. From then on to
//     done it needs no atomic read-modify-write. Spawning a task and awaiting it is such a case.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "plait/core/block_cache.hpp"
#include "plait/core/blocking.hpp"
#include "plait/core/clock.hpp"
#include "plait/core/errors.hpp"
#include "plait/core/job.hpp"

namespace plait::detail {

class state_base;

// Somebody who waits for a state. Intrusive: owned by the waiter, who obeys R4 and R5.
struct observer {
  using function = void (*)(observer*) noexcept;
  explicit observer(function f) noexcept : notify(f) {}
  observer* next = nullptr;
  function notify;  // must not block; may run on any thread
};

// Whoever waits for a private state (R7): a flow of the loop that will complete it.
struct home_observer : observer {
  using observer::observer;
};

class state_base {
 public:
  enum class outcome : std::uint8_t { none, value, exception, cancelled };

  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;

  bool is_done() const noexcept { return word_.load(std::memory_order_acquire) & done; }
  bool is_claimed() const noexcept { return word_.load(std::memory_order_acquire) & claimed; }
  bool is_stopping() const noexcept { return word_.load(std::memory_order_acquire) & stopping; }
  // The three below: only after done.
  bool is_cancelled() const noexcept { return outcome_ == outcome::cancelled; }
  bool has_exception() const noexcept { return outcome_ == outcome::exception; }
  // The exception, marked as retrieved; cancelled_error for a cancelled state; null for a value.
  std::exception_ptr retrieve() noexcept;

  void add_ref() noexcept { word_.fetch_add(one_ref, std::memory_order_relaxed); }
  void release() noexcept {
    // Who sees one reference has it: nobody can make another meanwhile.
    const auto word = word_.load(std::memory_order_acquire);
    if (word >> ref_shift == 1) return destroy(word);
    const auto before = word_.fetch_sub(one_ref, std::memory_order_acq_rel);
    if (before >> ref_shift == 1) destroy(before);
  }
  bool is_last_ref() const noexcept {
    return word_.load(std::memory_order_acquire) >> ref_shift == 1;
  }

  // R1: `claimed` is set once and never cleared, so the thread that saw it clear has won.
  bool try_claim() noexcept {
    return !(word_.fetch_or(claimed, std::memory_order_acq_rel) & claimed);
  }
  void finish(outcome how) noexcept;                         // R2, R3; takes a reference along
  void finish_exception(std::exception_ptr error) noexcept;  // error_ and finish(exception)
  bool cancel() noexcept;                                    // see future::cancel
  bool add_observer(observer& o) noexcept;                   // false: done already, not added
  bool remove_observer(observer& o) noexcept;                // R5
  // As add_observer, for the holder of a handle who keeps it until the observer is notified, on the
  // thread that will also claim and finish. If it is the only handle, the state is private from now
  // on (R7), and the observer is never removed.
  bool add_observer_at_home(home_observer& o) noexcept {
    // Acquire: whoever had the other handles has let go of them.
    const auto word = word_.load(std::memory_order_acquire);
    if ((word & ~claimed) != 2 * one_ref) return add_observer(o);  // ours, and the completer's
    o.next = nullptr;
    observers_ = &o;
    word_.store(word | observed | private_here, std::memory_order_relaxed);
    return true;
  }
  // Whether the loop that runs on this thread will complete it, and does everything else with it.
  virtual bool completes_here() const noexcept { return false; }
  // The queue of the loop that will complete it and does everything else with it; null if there is
  // none such.
  virtual const void* home_queue() const noexcept { return nullptr; }

  // Blocks until done. Throws would_deadlock where the calling thread must not block.
  void wait() {
    if (!is_done()) [[unlikely]]
      wait_now();
  }
  // As wait(), up to `deadline`; returns is_done().
  bool wait_until(time_point deadline);
  // Whether somebody has begun to make the result.
  virtual bool has_begun() const noexcept { return is_claimed(); }
  // Gives the engine behind this state the chance to do the waited-for work on this thread.
  virtual void assist() {}
  // The code that submitted it; of what follows from a call, the code that submitted that.
  const void* where() const noexcept { return where_; }
  // Somebody was given this as work, a call or a task. The other states are promises, and whoever has
  // one may keep it.
  bool is_submitted() const noexcept { return where_ != nullptr; }
  // "call of f submitted in g (file+0x12)"
  virtual std::string describe() const;
  // The same as data, for reports that must not take long. Like describe(), from any thread.
  virtual job_origin identity() const noexcept { return {}; }

 protected:
  // One reference for the first handle, and `completers` (0 or 1) for who will finish.
  explicit state_base(unsigned completers, const void* where = nullptr) noexcept
      : word_(one_ref * (1 + completers)), where_(where) {}
  virtual ~state_base() = default;
  // A stop was asked of claimed work; true if the work can hear it.
  virtual bool request_stop() noexcept { return false; }

  static constexpr std::uint64_t locked = 1, claimed = 2, done = 4, observed = 8, retrieved = 16,
                                 stopping = 32, private_here = 64, ref_shift = 8,
                                 one_ref = 1u << ref_shift;

  bool is_private() const noexcept { return word_.load(std::memory_order_relaxed) & private_here; }
  // try_claim() of who completes at home.
  bool try_claim_at_home() noexcept {
    const auto word = word_.load(std::memory_order_relaxed);
    if (!(word & private_here)) [[unlikely]]
      return try_claim();
    word_.store(word | claimed, std::memory_order_relaxed);  // R7
    return !(word & claimed);
  }
  // finish() of a private state, but for the notification of its observer, who is returned. The
  // handle stays behind, so nothing is destroyed here.
  home_observer& finish_at_home(outcome how) noexcept {
    outcome_ = how;
    const auto word = word_.load(std::memory_order_relaxed);
    observer* o = std::exchange(observers_, nullptr);
    word_.store(((word | done) & ~(private_here | observed)) - one_ref, std::memory_order_release);
    return static_cast<home_observer&>(*o);
  }

 private:
  void destroy(std::uint64_t word) noexcept;
  // What is rare of finish, wait and destroy, so that the rest needs no stack.
  void finish_and_notify() noexcept;
  void wait_now();
  void block();
  void report() noexcept;
  std::uint64_t lock() noexcept;

  std::atomic<std::uint64_t> word_;
  observer* observers_ = nullptr;  // newest first; guarded by `locked`
  std::exception_ptr error_;
  const void* where_;
  outcome outcome_ = outcome::none;
};

// Stands in for void among values.
struct unit {
  friend bool operator==(unit, unit) = default;
};
template <class T>
using stored = std::conditional_t<std::is_void_v<T>, unit, T>;

// A state with room for its value. Allocated from the block cache, one allocation in all.
template <class T>
class state : public state_base {
 public:
  using value_type = stored<T>;
  explicit state(unsigned completers, const void* where = nullptr) noexcept
      : state_base(completers, where) {}

  // The completer, once, after try_claim(), before it finishes with outcome::value.
  template <class... Args>
  void put_value(Args&&... args) noexcept(std::is_nothrow_constructible_v<value_type, Args&&...>) {
    ::new (static_cast<void*>(&value_)) value_type(std::forward<Args>(args)...);
    constructed_ = true;
  }
  // Both. If constructing the value throws, that is the result.
  template <class... Args>
  void finish_value(Args&&... args) noexcept {
    if constexpr (std::is_nothrow_constructible_v<value_type, Args&&...>) {
      put_value(std::forward<Args>(args)...);
    } else {
      std::exception_ptr error;
      try {
        put_value(std::forward<Args>(args)...);
      } catch (...) {
        error = std::current_exception();
      }
      if (error != nullptr) return finish_exception(std::move(error));
    }
    finish(outcome::value);
  }
  // After done: the value, or throws what the state holds instead.
  value_type& value() {
    if (!constructed_) [[unlikely]]
      std::rethrow_exception(retrieve());
    return value_;
  }

  static void* operator new(std::size_t bytes) { return block_cache::allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    block_cache::free(block, bytes);
  }
  // Over-aligned values: the cache's blocks are aligned as malloc aligns.
  static void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return ::operator new(bytes, alignment);
  }
  static void operator delete(void* block, std::size_t bytes, std::align_val_t alignment) noexcept {
    ::operator delete(block, bytes, alignment);
  }

 protected:
  ~state() override {
    if (constructed_) value_.~value_type();
  }

 private:
  bool constructed_ = false;
  union {
    value_type value_;
  };
};

}  // namespace plait::detail
