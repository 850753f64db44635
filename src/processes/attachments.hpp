// What came with a message beside its bytes: descriptors of shared memory, mapped when a value in
// the message first names them.
#pragma once

#include <cstddef>

#include "plait/processes/message.hpp"
#include "plait/processes/shared_memory.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

class attachments {
 public:
  attachments() noexcept = default;
  attachments(const attachments&) = delete;
  ~attachments() { clear(); }
  void clear() noexcept {
    for (; count_ != 0; --count_) {
      fds_[count_ - 1] = descriptor();
      if (auto* memory = std::exchange(memories_[count_ - 1], nullptr)) memory->release();
    }
  }
  // At most encoder::max_attached.
  void add(descriptor fd) noexcept { fds_[count_++] = std::move(fd); }
  std::size_t size() const noexcept { return count_; }
  // Throws as shared_memory::adopt.
  shared_memory& at(std::size_t i) {
    if (memories_[i] == nullptr) memories_[i] = shared_memory::adopt(fds_[i].release());
    return *memories_[i];
  }

 private:
  std::size_t count_ = 0;
  descriptor fds_[encoder::max_attached];
  shared_memory* memories_[encoder::max_attached] = {};
};

}  // namespace plait::detail
