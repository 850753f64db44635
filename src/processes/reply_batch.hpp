// Replies that were copied out of the channels, on their way to their futures.
#pragma once

#include <fcntl.h>
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
  // What few replies have: arrays, and memory of their own, which some worker waits for.
  struct came_along {
    attachments arrays;
    std::shared_ptr<const mapped_message> memory;
    std::uint32_t seat = 0, generation = 0;  // whose it is
    std::uint64_t lent = message_place::not_lent;
  };
  struct item {
    remote_job* job;
    reply answer;
    bool on_heap;
    std::unique_ptr<came_along> beside;
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
    i.beside.reset();
    i.on_heap = false;
    i.file = descriptor();
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
    i.on_heap = true;
    i.answer.bytes = bytes;
    if (bytes != nullptr && have == i.answer.size) return;
    std::free(bytes);
    i.on_heap = false;
    i.trouble = "the worker's answer is damaged, or there is no memory for it";
  }
  static void free_bytes(const item& i) noexcept {
    if (i.on_heap) std::free(const_cast<std::byte*>(i.answer.bytes));
  }

 private:
  std::size_t count_ = 0;
  item items_[capacity];
};

}  // namespace plait::detail
