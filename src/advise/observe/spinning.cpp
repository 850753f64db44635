#include "advise/observe/spinning.hpp"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace plait::detail {
namespace {

constexpr std::size_t pages = 2;    // of samples: 24 bytes each, 49 a second
constexpr std::size_t at_most = 8;  // threads
const std::size_t page = static_cast<std::size_t>(4096);

// Whether these bytes hold an atomic exchange on memory and, soon behind it, a short jump back.
[[maybe_unused]] bool has_spin_loop(const unsigned char* code, std::size_t size) {
  for (std::size_t i = 0; i + 1 < size; ++i) {
    if (code[i] == 0xf3 && code[i + 1] == 0x90) return true;  // PAUSE
    const bool memory = i + 1 < size && (code[i + 1] & 0xc0) != 0xc0;
    const bool exchange = (code[i] == 0x86 || code[i] == 0x87) && memory;
    const bool compare = code[i] == 0xf0 && i + 3 < size &&
                         (std::memcmp(code + i + 1, "\x0f\xb0", 2) == 0 ||
                          std::memcmp(code + i + 1, "\x0f\xb1", 2) == 0);
    if (!exchange && !compare) continue;
    for (std::size_t j = i + 2; j + 1 < size && j < i + 14; ++j) {
      const bool jump = (code[j] & 0xf0) == 0x70 || code[j] == 0xeb;
      const auto distance = static_cast<signed char>(code[j + 1]);
      if (jump && distance < 0 && distance > -32) return true;
    }
  }
  return false;
}

}  // namespace

spin_sampler::~spin_sampler() {
  for (auto& [tid, from] : sources_) {
    if (from.ring != nullptr) munmap(from.ring, (pages + 1) * page);
    if (from.fd >= 0) close(from.fd);
  }
}

bool spin_sampler::spins_at(int pid, unsigned long address) {
#if defined(__x86_64__)
  const auto [place, is_new] = known_.try_emplace({pid, address}, false);
  if (!is_new) return place->second;
  unsigned char code[48];
  iovec local{code, sizeof code};
  iovec remote{reinterpret_cast<void*>(address - 24), sizeof code};
  const ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  place->second = n > 0 && has_spin_loop(code, static_cast<std::size_t>(n));
  return place->second;
#else
  (void)pid, (void)address;
  return false;
#endif
}

void spin_sampler::collect(source& from) {
  auto* head = static_cast<perf_event_mmap_page*>(from.ring);
  const char* data = static_cast<const char*>(from.ring) + page;
  const auto end = std::atomic_ref(head->data_head).load(std::memory_order_acquire);
  auto at = head->data_tail;
  while (at + sizeof(perf_event_header) <= end) {
    perf_event_header record;
    const auto copy = [&](void* into, std::uint64_t position, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i)
        static_cast<char*>(into)[i] = data[(position + i) % (pages * page)];
    };
    copy(&record, at, sizeof record);
    if (record.size == 0) break;
    if (record.type == PERF_RECORD_SAMPLE) {
      std::uint64_t address = 0;
      copy(&address, at + sizeof record, sizeof address);
      ++samples_;
      if (known_.size() < 4096 && spins_at(from.pid, address)) ++spinning_;
    }
    at += record.size;
  }
  std::atomic_ref(head->data_tail).store(end, std::memory_order_release);
}

void spin_sampler::look(process_tree& tree, double now) {
#if defined(__x86_64__)
  if (refused_ || now < next_) return;
  next_ = now + 0.5;
  for (auto& [tid, from] : sources_) collect(from);
  for (auto& process : tree.processes()) {
    if (!process->alive) continue;
    for (auto& thread : process->threads) {
      if (!thread.alive || sources_.size() >= at_most || sources_.contains(thread.tid)) continue;
      if (thread.run + thread.queue < 0.3 * (now - thread.born)) continue;
      perf_event_attr what{};
      what.size = sizeof what;
      what.type = PERF_TYPE_SOFTWARE;
      what.config = PERF_COUNT_SW_CPU_CLOCK;
      what.freq = 1;
      what.sample_freq = 49;
      what.sample_type = PERF_SAMPLE_IP;
      what.exclude_kernel = 1;
      what.exclude_hv = 1;
      const auto fd = static_cast<int>(
          syscall(SYS_perf_event_open, &what, thread.tid, -1, -1, PERF_FLAG_FD_CLOEXEC));
      if (fd < 0) {
        refused_ = sources_.empty();
        continue;
      }
      void* ring = mmap(nullptr, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (ring == MAP_FAILED) {
        close(fd);
        refused_ = true;
        return;
      }
      sources_[thread.tid] = {fd, ring, process->pid, 0};
    }
  }
#else
  (void)tree, (void)now;
#endif
}

double spin_sampler::share() const {
  return samples_ < 20 ? -1 : static_cast<double>(spinning_) / static_cast<double>(samples_);
}

}  // namespace plait::detail
