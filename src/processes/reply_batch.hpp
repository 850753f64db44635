// Replies that were copied out of the channels, on their way to their futures.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <memory>

#include "plait/processes/remote_call.hpp"
#include "processes/attachments.hpp"
#include "processes/channel.hpp"

namespace plait::detail {

class reply_batch {
 public:
  static constexpr std::size_t capacity = 16;
  struct item {
    remote_job* job;
    reply answer;
    tier where;  // in_slot: bytes; in_arena: malloc; in_memfd: mmap
    std::unique_ptr<attachments> came_along;
    const char* trouble;  // instead of an answer: why there is none
    std::byte bytes[encoder::inline_capacity];
  };
  reply_batch() noexcept = default;
  reply_batch(const reply_batch&) = delete;

  bool full() const noexcept { return count_ == capacity; }
  std::size_t size() const noexcept { return count_; }
  item& add(remote_job& job) noexcept {
    item& i = items_[count_++];
    i.job = &job;
    i.trouble = nullptr;
    i.came_along.reset();
    i.where = tier::in_slot;
    return i;
  }
  item* begin() noexcept { return items_; }
  item* end() noexcept { return items_ + count_; }
  void clear() noexcept { count_ = 0; }
  static void free_bytes(const item& i) noexcept {
    if (i.where == tier::in_arena) std::free(const_cast<std::byte*>(i.answer.bytes));
    if (i.where == tier::in_memfd) munmap(const_cast<std::byte*>(i.answer.bytes), i.answer.size);
  }

 private:
  std::size_t count_ = 0;
  item items_[capacity];
};

}  // namespace plait::detail
