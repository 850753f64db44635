// Memfds for large messages. A fresh one costs a page fault a page on both sides, several times
// what copying costs; so requests that have been answered leave theirs here, mapped and warm, and
// so do replies that have been decoded in the worker that wrote them. Who reads keeps its mappings.
//
// Between two uses nobody reads such memory: its owner may write to it or free its pages. Readers map
// it for reading only, so a wild write harms the writer alone. Its size is sealed against shrinking,
// so that no reader can lose pages from under it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "plait/processes/message.hpp"

namespace plait::detail {

// How long it is kept without use.
inline constexpr std::int64_t idle_message_memory_ns = 2'000'000'000;

struct message_memory {
  int fd = -1;
  std::uint64_t id = 0;  // never given twice by a process
  std::byte* data = nullptr;
  std::size_t capacity = 0;
};
// Of a large message: in the slot instead of its bytes.
struct message_place {
  static constexpr std::uint64_t not_lent = -1;
  std::uint64_t id, capacity;
  std::uint64_t lent;  // of a reply: the place that waits for its return
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

// A large message of another process, for as long as somebody reads it.
class mapped_message {
 public:
  // For reading. Throws serialization_error if the file does not have as many bytes, all of them
  // there and none to be taken away; std::system_error if it cannot be mapped.
  mapped_message(int fd, std::size_t size);
  mapped_message(const mapped_message&) = delete;
  ~mapped_message();
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  const std::byte* data_;
  const std::size_t size_;
};

// One process's mappings of another's message memory: the four that it saw last, 256 MiB at most.
class seen_messages {
 public:
  // Maps it, unless it is mapped. Throws as mapped_message.
  std::shared_ptr<const mapped_message> map(int fd, const message_place& place);
  void clear() noexcept;

 private:
  static constexpr std::size_t capacity = 4, most_bytes = std::size_t{256} << 20;
  struct seen {
    std::uint64_t id = 0;
    std::shared_ptr<const mapped_message> memory;
  };
  void forget(std::size_t i) noexcept;
  seen seen_[capacity];
  std::size_t count_ = 0, bytes_ = 0;
};

}  // namespace plait::detail
