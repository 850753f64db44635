#include "plait/core/block_cache.hpp"

#include <new>

namespace plait::detail {

thread_local constinit block_cache::thread_lists block_cache::lists{};

// Empties the lists when the thread ends; what is freed after that goes straight to the heap.
struct block_cache::owner {
  owner() { lists.keep = 256; }
  ~owner() {
    lists.keep = 0;
    lists.ended = true;
    for (auto& head : lists.head) {
      while (head != nullptr) {
        free_block* next = head->next;
        ::operator delete(head);
        head = next;
      }
    }
  }
};

void* block_cache::allocate_from_heap(std::size_t bytes) { return ::operator new(bytes); }

void block_cache::free_slowly(void* block, std::size_t index) noexcept {
  if (recycling && index < classes && lists.keep == 0 && !lists.ended) {
    thread_local const owner of_thread;
    static_cast<void>(&of_thread);  // odr-use: makes it, and registers its destructor
    return keep(block, index);
  }
  ::operator delete(block);
}

}  // namespace plait::detail
