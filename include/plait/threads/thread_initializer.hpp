// plait/threads/thread_initializer.hpp: what runs first on each thread of a pool.
#pragma once

#include <concepts>
#include <utility>

namespace plait {

// Holds a copy of any callable without arguments. Called once a thread, from several threads at the
// same time, so the callable must bear that. Empty: nothing to run.
class thread_initializer {
 public:
  thread_initializer() = default;
  template <std::invocable F>
  requires(!std::same_as<std::decay_t<F>, thread_initializer>) thread_initializer(F f)
      : callable_(new holder<F>(std::move(f))) {}
  thread_initializer(const thread_initializer& other)
      : callable_(other.callable_ != nullptr ? other.callable_->clone() : nullptr) {}
  thread_initializer(thread_initializer&& other) noexcept
      : callable_(std::exchange(other.callable_, nullptr)) {}
  thread_initializer& operator=(thread_initializer other) noexcept {
    std::swap(callable_, other.callable_);
    return *this;
  }
  ~thread_initializer() { delete callable_; }

  void operator()() const {
    if (callable_ != nullptr) callable_->call();
  }

 private:
  struct callable {
    virtual ~callable() = default;
    virtual callable* clone() const = 0;
    virtual void call() = 0;
  };
  template <class F>
  struct holder final : callable {
    explicit holder(F g) : f(std::move(g)) {}
    callable* clone() const override { return new holder(*this); }
    void call() override { f(); }
    F f;
  };
  callable* callable_ = nullptr;
};

}  // namespace plait
