// Memfds for large messages. A fresh one costs a page fault a page on both sides, several times
// what copying costs; so requests that have been answered leave theirs here, mapped and warm, and
// workers keep their mappings of them.
//
// Between answer and next use nobody reads such memory: the pool's process may write to it or cut
// it to nothing. Workers map it for reading only, so a wild write harms the writer alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plait/processes/message.hpp"

namespace plait::detail {

struct message_memory {
  int fd = -1;
  std::uint64_t id = 0;  // never given twice by a process
  std::byte* data = nullptr;
  std::size_t capacity = 0;
};
// Of a large message: in the slot instead of its bytes.
struct message_place {
  std::uint64_t id, capacity;
};

// At least that many bytes, a warm one if there is one. Throws std::system_error.
message_memory take_message_memory(std::size_t capacity);
void grow_message_memory(message_memory& memory, std::size_t capacity);
// Keeps it for the next message, if there is room: 8 pieces and 256 MiB.
void keep_message_memory(message_memory memory) noexcept;
// Somebody may read it still: they keep it.
void drop_message_memory(message_memory memory) noexcept;
// For a reader that is not trusted: it gets these bytes and no others that lay there before, and can
// neither change nor cut them. Never used for another message. Returns the size to map.
std::uint64_t seal_message(const encoder& message) noexcept;
// Gives back all that is kept, also those pages that workers have mapped.
void free_kept_message_memory() noexcept;
// When it has been idle for long enough to be given back, as monotonic_ns(); INT64_MAX: nothing is.
std::int64_t kept_message_memory_expires() noexcept;

// A worker's mappings of its pool's message memory: the four that it saw last, 256 MiB at most.
class seen_messages {
 public:
  // Maps it for reading, unless it is mapped. Throws std::system_error.
  const std::byte* map(int fd, const message_place& place);

 private:
  static constexpr std::size_t capacity = 4, most_bytes = std::size_t{256} << 20;
  struct seen {
    message_place place;
    void* memory;
  };
  void forget_oldest() noexcept;
  seen seen_[capacity];
  std::size_t count_ = 0, bytes_ = 0;
};

}  // namespace plait::detail
