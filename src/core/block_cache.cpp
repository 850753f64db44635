#include "plait/core/block_cache.hpp"

#include <cstdint>
#include <new>

namespace plait::detail {
namespace {

constexpr std::size_t unit = 64;
constexpr std::size_t classes = 16;
constexpr std::uint32_t keep = 256;

struct free_block_node {
  free_block_node* next;
};

// Trivially destructible, so that blocks freed by other thread-local destructors still find it; the
// owner below empties it, and what comes later goes straight to the heap.
struct thread_lists {
  free_block_node* head[classes];
  std::uint32_t count[classes];
  enum : std::uint8_t { unborn, alive, dead } life;
};
thread_local constinit thread_lists lists{};

struct lists_owner {
  lists_owner() { lists.life = thread_lists::alive; }
  ~lists_owner() {
    lists.life = thread_lists::dead;
    for (auto& head : lists.head) {
      while (head != nullptr) {
        free_block_node* next = head->next;
        ::operator delete(head);
        head = next;
      }
    }
  }
};

[[gnu::noinline]] bool wake_lists() {
  if (lists.life == thread_lists::dead) return false;
  thread_local lists_owner owner;
  static_cast<void>(&owner);  // odr-use: registers its destructor for this thread
  return true;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool recycling = false;
#else
constexpr bool recycling = true;
#endif

}  // namespace

void* allocate_block(std::size_t bytes) {
  const std::size_t index = (bytes - 1) / unit;
  if (!recycling || index >= classes) return ::operator new(bytes);
  if (free_block_node* head = lists.head[index]) {
    lists.head[index] = head->next;
    --lists.count[index];
    return head;
  }
  return ::operator new((index + 1) * unit);
}

void free_block(void* block, std::size_t bytes) noexcept {
  const std::size_t index = (bytes - 1) / unit;
  if (!recycling || index >= classes || lists.count[index] >= keep ||
      (lists.life != thread_lists::alive && !wake_lists())) {
    ::operator delete(block);
    return;
  }
  auto* node = static_cast<free_block_node*>(block);
  node->next = lists.head[index];
  lists.head[index] = node;
  ++lists.count[index];
}

}  // namespace plait::detail
