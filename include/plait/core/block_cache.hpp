// plait/core/block_cache.hpp: recycled memory for shared states and coroutine frames.
//
// A free list a thread and size class (24, 56, 88 ... 1,016 bytes: with malloc's 8 bytes a multiple
// of 32, so that little is lost where a million tasks sleep; larger blocks go to operator new). A
// block may be freed on another thread than the one that allocated it: it joins the list of the
// thread that frees it. Each list holds at most 256 blocks; the rest returns to the heap.
// Cost:     about 2 ns for a recycled block, against 20 ns of malloc and free. Inline, so that the
//           size class of a frame is a constant.
// Sanitizers: under ASan the cache steps aside, so that use after free is still found.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::detail {

class block_cache {
 public:
  static void* allocate(std::size_t bytes) {
    const std::size_t index = class_of(bytes);
    if (recycling && index < classes) [[likely]] {
      if (free_block* head = lists.head[index]) [[likely]] {
        lists.head[index] = head->next;
        --lists.count[index];
        return head;
      }
    }
    return allocate_from_heap((index + 1) * unit - overhead);
  }
  static void free(void* block, std::size_t bytes) noexcept {
    const std::size_t index = class_of(bytes);
    if (!recycling || index >= classes || lists.count[index] >= lists.keep) [[unlikely]]
      return free_slowly(block, index);
    keep(block, index);
  }

 private:
  static constexpr std::size_t unit = 32;
  static constexpr std::size_t overhead = 8;  // malloc's, a block
  static constexpr std::size_t classes = 32;
  static constexpr std::size_t class_of(std::size_t bytes) noexcept {
    return (bytes + overhead - 1) / unit;
  }
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool recycling = false;
#else
  static constexpr bool recycling = true;
#endif

  struct free_block {
    free_block* next;
  };
  // Trivial, so that blocks freed by other thread-local destructors still find it. `keep` is 0
  // before the first block was freed and after the thread's end has begun.
  struct thread_lists {
    free_block* head[classes];
    std::uint32_t count[classes];
    std::uint32_t keep;
    bool ended;
  };
  struct owner;

  static void keep(void* block, std::size_t index) noexcept {
    auto* node = static_cast<free_block*>(block);
    node->next = lists.head[index];
    lists.head[index] = node;
    ++lists.count[index];
  }
  static void* allocate_from_heap(std::size_t bytes);
  static void free_slowly(void* block, std::size_t index) noexcept;

  static thread_local constinit thread_lists lists;
};

}  // namespace plait::detail
