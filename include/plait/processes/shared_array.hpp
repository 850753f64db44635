// plait/processes/shared_array.hpp: an array that several processes see, and that never is copied.
//
// A handle to memory that has no name: give it to a call or return it from one, and the other
// process maps the same pages. Handles are cheap to copy, may lie in vectors and structs, and also
// go on to nested pools. The memory is freed when the last handle in any process has gone.
//
//   plait::shared_array<double> a(1'000'000);                    // zeros
//   pool.submit(fill, a.slice(0, 500'000)).get();                // fill(plait::shared_array<double>)
//   pool.submit(fill, a.slice(500'000, 500'000)).get();
//
// Threads:  as a span: handles of different threads are independent, elements are yours to guard.
// Shares:   what one process writes all others see. What a call wrote is visible when its future is
//           done, what you wrote before submit() is visible to the call. Between the two give each
//           writer a part of its own (slice), or elements of lock-free std::atomic_ref.
// Throws:   the constructors: std::system_error when memory or descriptors run out, or a limit
//           of the process (RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NOFILE) is reached; a message with
//           more than 64 arrays: serialization_error.
// Cost:     one descriptor and one mapping an array and process; some 20 us to send, whatever its size. A
//           call that dies has left what it wrote.
// Example:  examples/processes/shared_array.cpp
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "plait/processes/codec.hpp"
#include "plait/processes/shared_memory.hpp"

namespace plait {

template <class T>
class shared_array {
  static_assert(std::is_trivially_copyable_v<T> && !std::is_const_v<T>,
                "shared_array<T>: T must be trivially copyable: another process sees its bytes");
  static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T>,
                "shared_array<T>: an address means nothing in another process");
  static_assert(alignof(T) <= 4096);

 public:
  using value_type = T;
  using iterator = T*;

  shared_array() noexcept = default;
  // n elements whose bytes are zero.
  explicit shared_array(std::size_t n) : size_(n) {
    if (n > PTRDIFF_MAX / sizeof(T)) throw std::length_error("shared_array: too long");
    if (n == 0) return;
    memory_ = detail::shared_memory_ref(detail::shared_memory::make(n * sizeof(T)));
    first_ = reinterpret_cast<T*>(memory_.get()->data());
  }
  // A copy of what is elsewhere.
  explicit shared_array(std::span<const T> from) : shared_array(from.size()) {
    if (size_ != 0) __builtin_memcpy(static_cast<void*>(first_), from.data(), from.size_bytes());
  }

  // As of a span: a const handle may write.
  T* data() const noexcept { return first_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T* begin() const noexcept { return first_; }
  T* end() const noexcept { return first_ + size_; }
  T& operator[](std::size_t i) const noexcept { return first_[i]; }
  operator std::span<T>() const noexcept { return {first_, size_}; }

  // A handle to `count` of these elements: the same memory. Throws std::out_of_range.
  shared_array slice(std::size_t first, std::size_t count) const {
    if (first > size_ || count > size_ - first)
      throw std::out_of_range("shared_array: a slice beyond the end");
    shared_array part(*this);
    part.first_ = first_ + first;
    part.size_ = count;
    return part;
  }

 private:
  friend codec<shared_array>;

  detail::shared_memory_ref memory_;
  T* first_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
struct codec<shared_array<T>> {
  static void encode(encoder& to, const shared_array<T>& array) {
    to.write_size(array.size_);
    if (array.size_ == 0) return;
    detail::shared_memory& memory = *array.memory_.get();
    to.write_plain(to.attach(memory));
    to.write_size(
        static_cast<std::size_t>(reinterpret_cast<const std::byte*>(array.first_) - memory.data()));
  }
  static shared_array<T> decode(decoder& from) {
    shared_array<T> array;
    const auto n = detail::read_once(from.read_plain<std::uint64_t>());
    if (n == 0) return array;
    detail::shared_memory& memory = from.attached(from.read_plain<std::uint32_t>());
    const auto offset = detail::read_once(from.read_plain<std::uint64_t>());
    if (offset > memory.size() || offset % alignof(T) != 0 ||
        n > (memory.size() - offset) / sizeof(T))
      detail::throw_bad_value("a shared_array beyond the end of its memory");
    memory.add_ref();
    array.memory_ = detail::shared_memory_ref(&memory);
    array.first_ = reinterpret_cast<T*>(memory.data() + offset);
    array.size_ = static_cast<std::size_t>(n);
    return array;
  }
};

}  // namespace plait
