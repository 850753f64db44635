// plait/coroutines/io_operation.hpp: a system call that the kernel carries out while a flow waits.
//
// For loops on io_uring. Calls are handed over together, with the system call that waits for their
// ends: a busy loop makes one for many of them.
//
// Threads:  the loop's thread.
// Stops:    the kernel is asked to end the call, and the flow goes on when it has: the memory may
//           be in use until then. A call that ended all the same keeps its result.
// Cost:     no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "plait/coroutines/context.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::detail {

enum class io_call : std::uint8_t { receive, send, read, write, sync };

class io_operation final : public direction_waiter {
 public:
  // One that moves bytes through a socket; the direction is its own meanwhile.
  static io_operation receive(readiness& from, void* into, std::size_t bytes) noexcept {
    return {io_call::receive, from.fd(), into, bytes, 0, &from.in_};
  }
  static io_operation send(readiness& to, const void* bytes, std::size_t count) noexcept {
    return {io_call::send, to.fd(), const_cast<void*>(bytes), count, 0, &to.out_};
  }
  // One on a file, at `offset`.
  io_operation(io_call call, int fd, void* memory, std::size_t bytes, std::uint64_t offset) noexcept
      : io_operation(call, fd, memory, bytes, offset, nullptr) {}
  io_operation(io_operation&& other) noexcept  // before awaiting
      : io_operation(other.call_, other.fd_, other.memory_, other.bytes_, other.offset_,
                     other.direction_) {}

  bool await_ready() const noexcept { return false; }
  template <flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) {
    if (direction_ != nullptr && direction_->waiting != nullptr) throw_busy();
    if (!suspend(frame)) return false;
    if (direction_ != nullptr) direction_->waiting = this;
    begin();
    return true;
  }
  // What the call returned: a number of bytes, or an errno as a negative number.
  int await_resume() const {
    check();
    return result_;
  }
  std::string waits_for() const override;

  // For the poller.
  io_call call() const noexcept { return call_; }
  int fd() const noexcept { return fd_; }
  void* memory() const noexcept { return memory_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::uint64_t offset() const noexcept { return offset_; }
  // Nothing is there yet, as far as is known: to be tried only when the kernel says so.
  bool expects_to_wait() const noexcept { return direction_ != nullptr && !direction_->ready; }
  void ended(int result, bool more_there) noexcept;

 private:
  io_operation(io_call call, int fd, void* memory, std::size_t bytes, std::uint64_t offset,
               readiness::direction* direction) noexcept
      : call_(call),
        fd_(fd),
        memory_(memory),
        bytes_(bytes),
        offset_(offset),
        direction_(direction) {}
  void begin() noexcept;
  void stop() noexcept override;
  void marked() noexcept override {}  // a readiness report is not the end of the call
  void abandoned() noexcept override;

  io_call call_;
  bool stopped_ = false;
  int fd_;
  int result_ = 0;
  void* memory_;
  std::size_t bytes_;
  std::uint64_t offset_;
  readiness::direction* direction_;
};

}  // namespace plait::detail
