#include "plait/processes/message.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include "plait/processes/errors.hpp"
#include "plait/processes/remote_call.hpp"
#include "processes/attachments.hpp"
#include "processes/channel.hpp"
#include "processes/descriptor.hpp"
#include "processes/message_memory.hpp"

namespace plait {
namespace {

// Large calls that wait for a worker would each hold a descriptor: past this many they wait on the
// heap, and move when they are placed.
constexpr int max_waiting_memfds = 64;
std::atomic<int> memfds{0};

}  // namespace

void encoder::grow(std::size_t more) {
  const std::size_t used = size();
  const std::size_t wanted = std::max(used + more, 2 * used);
  if (wanted < used) throw std::bad_alloc();
  if (fd_ >= 0) return grow_memfd(wanted);
  if (wanted > detail::arena_limit && memfds.load(std::memory_order_relaxed) < max_waiting_memfds) {
    return grow_memfd(wanted);
  }
  auto* storage = static_cast<std::byte*>(begin_ == inline_ ? std::malloc(wanted)
                                                            : std::realloc(begin_, wanted));
  if (storage == nullptr) throw std::bad_alloc();
  if (begin_ == inline_) __builtin_memcpy(storage, inline_, used);
  begin_ = storage;
  cursor_ = storage + used;
  end_ = storage + wanted;
}

void encoder::grow_memfd(std::size_t capacity) {
  const std::size_t used = size();
  detail::message_memory memory{fd_, memory_id_, begin_, static_cast<std::size_t>(end_ - begin_)};
  if (fd_ < 0) {
    memory = detail::take_message_memory(capacity);
    __builtin_memcpy(memory.data, begin_, used);
    if (begin_ != inline_) std::free(begin_);
    memfds.fetch_add(1, std::memory_order_relaxed);
  } else {
    detail::grow_message_memory(memory, capacity);
  }
  fd_ = memory.fd;
  memory_id_ = memory.id;
  begin_ = memory.data;
  cursor_ = begin_ + used;
  end_ = begin_ + memory.capacity;
}

void encoder::move_to_memfd() {
  if (fd_ < 0) grow_memfd(std::max<std::size_t>(size(), 1));
}

void encoder::free_storage() noexcept {
  if (fd_ >= 0) {
    detail::drop_message_memory({fd_, memory_id_, begin_, static_cast<std::size_t>(end_ - begin_)});
    memfds.fetch_sub(1, std::memory_order_relaxed);
  } else {
    std::free(begin_);
  }
}

struct encoder::attached_list {
  std::uint32_t count = 0;
  detail::shared_memory* memories[max_attached];
};

std::uint32_t encoder::attach(detail::shared_memory& memory) {
  if (attached_ == nullptr) attached_ = new attached_list;
  for (std::uint32_t i = 0; i < attached_->count; ++i)
    if (attached_->memories[i] == &memory) return i;
  if (attached_->count == max_attached)
    throw serialization_error("cannot encode: more than " + std::to_string(max_attached) +
                              " shared arrays in one call or result");
  memory.add_ref();
  attached_->memories[attached_->count] = &memory;
  return attached_->count++;
}

std::size_t encoder::attached() const noexcept {
  return attached_ == nullptr ? 0 : attached_->count;
}

std::size_t encoder::descriptors(int* to) const noexcept {
  std::size_t n = 0;
  if (fd_ >= 0) to[n++] = fd_;
  for (std::size_t i = 0; i < attached(); ++i) to[n++] = attached_->memories[i]->fd();
  return n;
}

void encoder::detach() noexcept {
  for (std::uint32_t i = 0; i < attached_->count; ++i) attached_->memories[i]->release();
  delete std::exchange(attached_, nullptr);
}

detail::message_memory encoder::take_memory() noexcept {
  const detail::message_memory memory{fd_, memory_id_, begin_, capacity()};
  memfds.fetch_sub(1, std::memory_order_relaxed);
  fd_ = -1;
  begin_ = inline_;
  end_ = inline_ + inline_capacity;
  clear();
  return memory;
}

void encoder::recycle() noexcept {
  if (fd_ >= 0) return detail::keep_message_memory(take_memory());
  clear();
}

void encoder::clear() noexcept {
  if (attached_ != nullptr) detach();
  if (begin_ != inline_) {
    free_storage();
    fd_ = -1;
    begin_ = inline_;
    end_ = inline_ + inline_capacity;
  }
  cursor_ = begin_;
}

detail::shared_memory& decoder::attached(std::uint32_t number) {
  if (attachments_ == nullptr || number >= attachments_->size())
    detail::throw_bad_value("a shared_array that did not come along");
  return attachments_->at(number);
}

namespace detail {

void let_go(attachments& with) noexcept { with.clear(); }

void will_be_filled(void* memory, std::size_t bytes) noexcept {
  constexpr std::size_t worth_it = std::size_t{4} << 20, large_page = std::size_t{2} << 20;
  if (bytes < worth_it) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + large_page - 1) / large_page * large_page;
  const std::uintptr_t last = (begin + bytes) / large_page * large_page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

void throw_truncated(std::size_t wanted, std::size_t left) {
  throw serialization_error("cannot decode: " + std::to_string(wanted) +
                            " bytes are expected where " + std::to_string(left) + " are left");
}
void throw_bad_size(std::uint64_t count, std::size_t left) {
  throw serialization_error("cannot decode: " + std::to_string(count) +
                            " elements are announced where " + std::to_string(left) +
                            " bytes are left");
}
void throw_bad_value(const char* what) {
  throw serialization_error(std::string("cannot decode: ") + what);
}

}  // namespace detail
}  // namespace plait
