// Replies that were copied out of the channels, on their way to their futures.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
    descriptor file;      // of a large answer that is still to be copied: its sender is not trusted
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
    i.file = descriptor();
    i.where = tier::in_slot;
    return i;
  }
  item* begin() noexcept { return items_; }
  item* end() noexcept { return items_ + count_; }
  void clear() noexcept { count_ = 0; }
  // A worker may resize its memory or write to it at any time, so what is mapped could kill us or
  // change while it is decoded. Only the memory of a memfd is sure never to block who reads it.
  static void copy_from_file(item& i) noexcept {
    const descriptor file = std::move(i.file);
    if (fcntl(file.get(), F_GET_SEALS) < 0) {
      i.trouble = "the worker's answer is damaged";
      return;
    }
    struct stat s {};
    auto* bytes =
        fstat(file.get(), &s) == 0 && static_cast<std::uint64_t>(s.st_size) >= i.answer.size
            ? static_cast<std::byte*>(std::malloc(i.answer.size))
            : nullptr;
    std::size_t have = 0;
    while (bytes != nullptr && have < i.answer.size) {
      const long n =
          pread(file.get(), bytes + have, i.answer.size - have, static_cast<off_t>(have));
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    i.where = tier::in_arena;
    i.answer.bytes = bytes;
    if (bytes != nullptr && have == i.answer.size) return;
    std::free(bytes);
    i.trouble = "the worker's answer is damaged, or there is no memory for it";
  }
  static void free_bytes(const item& i) noexcept {
    if (i.where == tier::in_arena) std::free(const_cast<std::byte*>(i.answer.bytes));
    if (i.where == tier::in_memfd) munmap(const_cast<std::byte*>(i.answer.bytes), i.answer.size);
  }

 private:
  std::size_t count_ = 0;
  item items_[capacity];
};

}  // namespace plait::detail
