// plait/processes/shared_memory.hpp: memory that several processes have mapped, without a name.
// Part of shared_array.hpp, which includes it.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace plait::detail {

// One memfd and this process's mapping of it, counted by its handles here. The kernel frees the
// pages with the last process that has them. The size is sealed: nobody can take pages away from
// under another process.
class shared_memory {
 public:
  // Zeroed, one reference. Throws std::system_error: no memory, too few descriptors, a limit.
  static shared_memory* make(std::size_t bytes);
  // What another process made. Takes the descriptor. Throws serialization_error if it is no such
  // memory, std::system_error if it cannot be mapped.
  static shared_memory* adopt(int fd);

  shared_memory(const shared_memory&) = delete;
  void add_ref() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  int fd() const noexcept { return fd_; }

 private:
  shared_memory(int fd, std::size_t size);
  ~shared_memory();

  std::atomic<std::size_t> references_{1};
  const int fd_;
  const std::size_t size_;
  std::byte* data_;
};

// A counted pointer to it.
class shared_memory_ref {
 public:
  shared_memory_ref() noexcept = default;
  // Takes over a reference.
  explicit shared_memory_ref(shared_memory* memory) noexcept : memory_(memory) {}
  shared_memory_ref(const shared_memory_ref& other) noexcept : memory_(other.memory_) {
    if (memory_ != nullptr) memory_->add_ref();
  }
  shared_memory_ref(shared_memory_ref&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)) {}
  shared_memory_ref& operator=(shared_memory_ref other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~shared_memory_ref() {
    if (memory_ != nullptr) memory_->release();
  }
  shared_memory* get() const noexcept { return memory_; }

 private:
  shared_memory* memory_ = nullptr;
};

}  // namespace plait::detail
