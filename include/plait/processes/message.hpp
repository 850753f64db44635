// plait/processes/message.hpp: bytes on their way to another process, and how they are read there.
//
// An encoder starts inside itself, moves to the heap, and past 32 KiB into a memfd of its own, so
// that large data is written once, where the other process will read it. A decoder reads bytes that
// it does not trust: each size is checked against what is left before anything is allocated.
//
// Threads:  one thread at a time.
// Throws:   serialization_error; std::bad_alloc or std::system_error when memory runs out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace plait {

namespace detail {
[[noreturn]] void throw_truncated(std::size_t wanted, std::size_t left);
[[noreturn]] void throw_bad_size(std::uint64_t count, std::size_t left);
[[noreturn]] void throw_bad_value(const char* what);
// A function as both images know it: the module's number and the offset in it. Never 0.
// Throws function_not_found for an address that belongs to no module.
std::uint64_t token_of(const void* code);
// In a worker: where that function is here.
const void* code_of(std::uint64_t token);
class shared_memory;
class attachments;
struct message_memory;
// The compiler may not read it a second time: its source is memory that another process can change.
template <class T>
inline T read_once(T value) noexcept {
  asm("" : "+r"(value));
  return value;
}
}  // namespace detail

class encoder {
 public:
  static constexpr std::size_t inline_capacity = 208;

  encoder() noexcept = default;
  encoder(const encoder&) = delete;
  encoder& operator=(const encoder&) = delete;
  ~encoder() {
    if (begin_ != inline_) free_storage();
    if (attached_ != nullptr) detach();
  }

  void write(const void* bytes, std::size_t n) {
    if (n > static_cast<std::size_t>(end_ - cursor_)) [[unlikely]]
      grow(n);
    __builtin_memcpy(cursor_, bytes, n);
    cursor_ += n;
  }
  // The bytes of a number or enumeration.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void write_plain(const T& value) { write(&value, sizeof value); }
  void write_size(std::size_t n) { write_plain(static_cast<std::uint64_t>(n)); }

  // Sends the memory along, once however often it is named, and returns its number for the decoder.
  std::uint32_t attach(detail::shared_memory& memory);
  static constexpr std::size_t max_attached = 64;

  const std::byte* data() const noexcept { return begin_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(cursor_ - begin_); }
  // The memfd that holds the bytes, or -1.
  int fd() const noexcept { return fd_; }
  std::size_t attached() const noexcept;
  // All descriptors that travel with the bytes, their own memfd first: at most 1 + max_attached.
  std::size_t descriptors(int* to) const noexcept;
  // Moves the bytes into a memfd, if they are not in one.
  void move_to_memfd();
  // Which memory that is, for those who have it mapped, and how much.
  std::uint64_t memory_id() const noexcept { return memory_id_; }
  std::size_t capacity() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  // Empties it and gives its memory back.
  void clear() noexcept;
  // The same when nobody will read it any more: what was large is kept warm for the next message.
  void recycle() noexcept;
  // The same, but the caller has the memory that it was in. There is one: fd() >= 0.
  detail::message_memory take_memory() noexcept;

 private:
  void grow(std::size_t more);
  void grow_memfd(std::size_t capacity);
  void free_storage() noexcept;
  void detach() noexcept;
  struct attached_list;

  std::byte* begin_ = inline_;
  std::byte* cursor_ = inline_;
  std::byte* end_ = inline_ + inline_capacity;
  int fd_ = -1;
  std::uint64_t memory_id_ = 0;
  attached_list* attached_ = nullptr;
  std::byte inline_[inline_capacity];
};

class decoder {
 public:
  decoder(const std::byte* bytes, std::size_t n, detail::attachments* with = nullptr) noexcept
      : cursor_(bytes), end_(bytes + n), attachments_(with) {}

  std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }
  void read(void* to, std::size_t n) {
    if (n > remaining()) [[unlikely]]
      detail::throw_truncated(n, remaining());
    __builtin_memcpy(to, cursor_, n);
    cursor_ += n;
  }
  // The next n bytes, where they lie.
  const std::byte* take(std::size_t n) {
    if (n > remaining()) [[unlikely]]
      detail::throw_truncated(n, remaining());
    const std::byte* bytes = cursor_;
    cursor_ += n;
    return bytes;
  }
  template <class T>
  requires std::is_trivially_copyable_v<T> T read_plain() {
    T value;
    read(&value, sizeof value);
    return value;
  }
  // Memory that came along, by its number.
  detail::shared_memory& attached(std::uint32_t number);
  // A number of elements that take at least `bytes_each` bytes each.
  std::size_t read_size(std::size_t bytes_each) {
    const auto n = detail::read_once(read_plain<std::uint64_t>());
    if (n > remaining() / bytes_each) [[unlikely]]
      detail::throw_bad_size(n, remaining());
    return static_cast<std::size_t>(n);
  }

 private:
  const std::byte* cursor_;
  const std::byte* end_;
  detail::attachments* attachments_;
};

}  // namespace plait
