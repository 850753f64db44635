#include "processes/message_memory.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>

#include "plait/processes/errors.hpp"
#include "processes/channel.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {
namespace {

std::atomic<std::uint64_t> last_id{0};

// Never destroyed: calls may end while statics do.
struct shelf {
  static constexpr std::size_t most = 8, most_bytes = std::size_t{256} << 20;
  std::mutex mutex;
  message_memory kept[most];
  std::size_t count = 0, bytes = 0;
  std::int64_t last_kept = 0;

  static shelf& instance() {
    static auto* const one = [] {
      // A child would write where its parent writes.
      pthread_atfork(nullptr, nullptr, [] {
        auto& s = instance();
        new (&s.mutex) std::mutex;
        while (s.count != 0) drop_message_memory(s.remove(s.count - 1));
      });
      return new shelf;
    }();
    return *one;
  }
  message_memory remove(std::size_t i) noexcept {
    const message_memory taken = kept[i];
    bytes -= taken.capacity;
    kept[i] = kept[--count];
    return taken;
  }
};

// Somewhat more than is needed, so that the next message, a little larger, fits as well.
std::size_t rounded(std::size_t n) noexcept {
  const std::size_t step = std::max<std::size_t>(4096, std::bit_floor(n) / 8);
  return (n + step - 1) / step * step;
}

bool is_sealed(int fd) noexcept { return (fcntl(fd, F_GET_SEALS) & F_SEAL_FUTURE_WRITE) != 0; }

int free_pages(int fd, std::size_t from, std::size_t n) noexcept {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                   static_cast<off_t>(n));
}

// Nobody reads it any more: its pages go, whoever has them mapped.
void free_memory(const message_memory& m) noexcept {
  free_pages(m.fd, 0, m.capacity);
  drop_message_memory(m);
}

}  // namespace

message_memory take_message_memory(std::size_t capacity) {
  auto& s = shelf::instance();
  {
    const std::lock_guard hold(s.mutex);
    std::size_t best = s.count;
    for (std::size_t i = 0; i < s.count; ++i) {
      const std::size_t c = s.kept[i].capacity;
      if (c < capacity || c / 8 > capacity) continue;  // much larger ones are a waste to map
      if (best == s.count || c < s.kept[best].capacity) best = i;
    }
    if (best != s.count) return s.remove(best);
  }
  capacity = rounded(capacity);
  descriptor file = make_memfd("plait-message", capacity);
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) throw_errno("cannot seal a message");
  message_memory m;
  m.data = static_cast<std::byte*>(map_shared(file.get(), capacity));
  m.fd = file.release();
  m.id = last_id.fetch_add(1, std::memory_order_relaxed) + 1;
  m.capacity = capacity;
  return m;
}

void grow_message_memory(message_memory& m, std::size_t capacity) {
  capacity = rounded(capacity);
  if (const int error = posix_fallocate(m.fd, 0, static_cast<off_t>(capacity))) {
    errno = error;
    throw_errno("no memory for a large message");
  }
  void* data = mremap(m.data, m.capacity, capacity, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) throw_errno("mremap");
  m.data = static_cast<std::byte*>(data);
  m.capacity = capacity;
}

std::uint64_t seal_message(const encoder& message) noexcept {
  const std::size_t used = message.size();
  const std::size_t all = std::min((used + 4095) / 4096 * 4096, message.capacity());
  if (is_sealed(message.fd())) return all;  // the call begins again
  std::memset(const_cast<std::byte*>(message.data()) + used, 0, all - used);
  auto* const rest = const_cast<std::byte*>(message.data()) + all;
  const std::size_t left = message.capacity() - all;
  if (left != 0 && free_pages(message.fd(), all, left) != 0) std::memset(rest, 0, left);
  fcntl(message.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
  return all;
}

void keep_message_memory(message_memory m) noexcept {
  if (is_sealed(m.fd)) return free_memory(m);
  auto& s = shelf::instance();
  {
    const std::lock_guard hold(s.mutex);
    if (s.count < shelf::most && m.capacity <= shelf::most_bytes - s.bytes) {
      s.kept[s.count++] = m;
      s.bytes += m.capacity;
      s.last_kept = monotonic_ns();
      return;
    }
  }
  free_memory(m);
}

void drop_message_memory(message_memory m) noexcept {
  munmap(m.data, m.capacity);
  close(m.fd);
}

void free_kept_message_memory() noexcept {
  auto& s = shelf::instance();
  const std::lock_guard hold(s.mutex);
  while (s.count != 0) free_memory(s.remove(s.count - 1));
}

std::int64_t kept_message_memory_expires() noexcept {
  auto& s = shelf::instance();
  const std::lock_guard hold(s.mutex);
  return s.count != 0 ? s.last_kept + idle_message_memory_ns : INT64_MAX;
}

mapped_message::mapped_message(int fd, std::size_t size) : size_(size) {
  if (!holds_for_good(fd, size))
    throw serialization_error("a large message came without the memory that it names");
  void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (memory == MAP_FAILED) throw_errno("cannot map a large message");
  data_ = static_cast<const std::byte*>(memory);
}

mapped_message::~mapped_message() { munmap(const_cast<std::byte*>(data_), size_); }

std::shared_ptr<const mapped_message> seen_messages::map(int fd, const message_place& place) {
  for (std::size_t i = 0; i < count_; ++i) {
    if (seen_[i].id != place.id) continue;
    if (seen_[i].memory->size() != place.capacity) {
      forget(i);  // it has grown
      break;
    }
    std::rotate(seen_ + i, seen_ + i + 1, seen_ + count_);  // the newest is the last
    return seen_[count_ - 1].memory;
  }
  auto memory = std::make_shared<const mapped_message>(fd, place.capacity);
  while (count_ != 0 && (count_ == capacity || bytes_ + place.capacity > most_bytes)) forget(0);
  seen_[count_++] = {place.id, memory};
  bytes_ += place.capacity;
  return memory;
}

void seen_messages::forget(std::size_t i) noexcept {
  bytes_ -= seen_[i].memory->size();
  std::move(seen_ + i + 1, seen_ + count_, seen_ + i);
  seen_[--count_] = {};
}

void seen_messages::clear() noexcept {
  while (count_ != 0) forget(count_ - 1);
}

}  // namespace plait::detail
