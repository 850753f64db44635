#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "coroutines/poller.hpp"

// The ring
// --------
// Requests go into one ring shared with the kernel, their ends come out of another; io_uring_enter
// hands over what is new and waits. Each request carries 64 bits of ours, its tag, told apart by
// the two lowest:
//   pointer | 0    an io_operation: it lives until its end has come
//   slot << 2 | 1  the multishot poll of a readiness. The readiness may be gone when the report
//                  comes; its slot is free only when the poll's last report has come
//   2              nobody: the end of a cancellation
//   3              the poll of the wake-up descriptor
// A request belongs to the thread that handed it over: when that thread ends, the kernel cancels
// it. Since a loop may go on elsewhere, whatever ends as cancelled without our asking begins again.

namespace plait::detail {
namespace {

// Needs Linux 5.19: one flag below, the newest thing used here, makes older kernels say EINVAL.
constexpr unsigned setup_flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG;
constexpr unsigned features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
constexpr unsigned request_entries = 1024;  // more are handed over in between
constexpr unsigned report_entries = 8192;   // more wait in the kernel

constexpr std::uint64_t slot_tag = 1, nobody_tag = 2, wake_tag = 3;

template <class T>
T* at(void* ring, unsigned offset) noexcept {
  return reinterpret_cast<T*>(static_cast<char*>(ring) + offset);
}
unsigned load_acquire(const unsigned* p) noexcept { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
void store_release(unsigned* p, unsigned value) noexcept {
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

// A mapping of the ring's descriptor; null if there is no memory for it.
class mapping {
 public:
  mapping(int fd, std::size_t bytes, std::uint64_t what) noexcept
      : bytes_(bytes),
        start_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                    static_cast<off_t>(what))) {}
  ~mapping() {
    if (start_ != MAP_FAILED) munmap(start_, bytes_);
  }
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;
  void* get() const noexcept { return start_ == MAP_FAILED ? nullptr : start_; }

 private:
  std::size_t bytes_;
  void* start_;
};

class uring_poller final : public poller {
 public:
  uring_poller(int fd, const io_uring_params& p);
  ~uring_poller() override { close(fd_); }
  bool usable() const noexcept { return rings_.get() != nullptr && entries_.get() != nullptr; }
  // Once, when usable.
  void begin_polling_wakes() noexcept;

  poller_kind kind() const noexcept override { return poller_kind::io_uring; }
  void add(readiness& r) override;
  void watch(readiness& r) noexcept override;
  void remove(readiness& r) noexcept override;
  void begin(io_operation& call) noexcept override;
  void cancel(io_operation& call) noexcept override;
  bool wait(duration longest) noexcept override;

 private:
  struct slot {
    readiness* owner;  // null: gone, or free
    unsigned next_free;
    bool polling;  // a last report is still to come
  };
  io_uring_sqe& next_request(std::uint8_t opcode, int fd, std::uint64_t tag) noexcept;
  void poll_for(int fd, std::uint64_t tag) noexcept;
  void cancel(std::uint64_t tag) noexcept;
  void free_slot(unsigned index) noexcept;
  unsigned unsubmitted() const noexcept { return tail_ - load_acquire(request_head_); }
  int enter(unsigned at_least, const __kernel_timespec* longest) noexcept;
  void flush() noexcept;
  bool take_reports() noexcept;
  void take(const io_uring_cqe& report) noexcept;
  void take_slot(unsigned index, const io_uring_cqe& report) noexcept;

  int fd_;
  mapping rings_, entries_;
  unsigned *request_head_ = nullptr, *request_tail_ = nullptr, *request_flags_ = nullptr;
  unsigned *report_head_ = nullptr, *report_tail_ = nullptr;
  unsigned request_mask_ = 0, report_mask_ = 0;
  io_uring_sqe* requests_ = nullptr;
  const io_uring_cqe* reports_ = nullptr;
  unsigned tail_ = 0;  // of the requests that are written
  bool woken_ = false;
  std::vector<slot> slots_;
  static constexpr unsigned none = ~0u;
  unsigned free_ = none;
};

uring_poller::uring_poller(int fd, const io_uring_params& p)
    : fd_(fd),
      rings_(fd,
             std::max<std::size_t>(p.sq_off.array + p.sq_entries * sizeof(unsigned),
                                   p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe)),
             IORING_OFF_SQ_RING),
      entries_(fd, p.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES) {
  if (!usable()) return;
  void* ring = rings_.get();
  request_head_ = at<unsigned>(ring, p.sq_off.head);
  request_tail_ = at<unsigned>(ring, p.sq_off.tail);
  request_flags_ = at<unsigned>(ring, p.sq_off.flags);
  request_mask_ = *at<unsigned>(ring, p.sq_off.ring_mask);
  auto* order = at<unsigned>(ring, p.sq_off.array);
  for (unsigned i = 0; i < p.sq_entries; ++i) order[i] = i;
  report_head_ = at<unsigned>(ring, p.cq_off.head);
  report_tail_ = at<unsigned>(ring, p.cq_off.tail);
  report_mask_ = *at<unsigned>(ring, p.cq_off.ring_mask);
  reports_ = at<const io_uring_cqe>(ring, p.cq_off.cqes);
  requests_ = static_cast<io_uring_sqe*>(entries_.get());
}

void uring_poller::begin_polling_wakes() noexcept { poll_for(wake_fd(), wake_tag); }

// The ring itself would take anything, and say only later what is wrong with it.
void uring_poller::add(readiness& r) {
  struct stat what {};
  int error = fstat(r.fd(), &what) == 0 ? 0 : errno;
  if (error == 0 && (S_ISREG(what.st_mode) || S_ISDIR(what.st_mode))) error = EPERM;
  if (error != 0) throw_cannot_watch(error);
  if (free_ == none) {
    slots_.push_back({nullptr, none, false});
    free_ = static_cast<unsigned>(slots_.size() - 1);
  }
  const unsigned index = std::exchange(free_, slots_[free_].next_free);
  slots_[index].owner = &r;
  set_slot(r, index);
}

void uring_poller::watch(readiness& r) noexcept {
  set_watched(r);
  const unsigned index = slot_of(r);
  slots_[index].polling = true;
  poll_for(r.fd(), std::uint64_t{index} << 2 | slot_tag);
}

void uring_poller::remove(readiness& r) noexcept {
  const unsigned index = slot_of(r);
  slots_[index].owner = nullptr;
  if (slots_[index].polling) {
    cancel(std::uint64_t{index} << 2 | slot_tag);
  } else {
    free_slot(index);
  }
  // At once, not with the next wait: a request in the kernel keeps the descriptor's file open, and
  // the other end would not hear that it is closed.
  if (unsubmitted() != 0) flush();
}

void uring_poller::free_slot(unsigned index) noexcept {
  slots_[index].polling = false;
  slots_[index].next_free = std::exchange(free_, index);
}

void uring_poller::begin(io_operation& call) noexcept {
  static constexpr std::uint8_t opcodes[] = {IORING_OP_RECV, IORING_OP_SEND, IORING_OP_READ,
                                             IORING_OP_WRITE, IORING_OP_FSYNC};
  auto& request = next_request(opcodes[static_cast<unsigned>(call.call())], call.fd(),
                               reinterpret_cast<std::uintptr_t>(&call));
  if (call.call() == io_call::sync) return;
  request.addr = reinterpret_cast<std::uintptr_t>(call.memory());
  request.len = static_cast<std::uint32_t>(std::min<std::size_t>(call.bytes(), INT32_MAX));
  if (call.call() == io_call::read || call.call() == io_call::write) {
    request.off = call.offset();
    return;
  }
  if (call.call() == io_call::send) request.msg_flags = MSG_NOSIGNAL;
  if (call.expects_to_wait()) request.ioprio = IORING_RECVSEND_POLL_FIRST;
}

void uring_poller::cancel(io_operation& call) noexcept {
  cancel(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&call)));
}

void uring_poller::cancel(std::uint64_t tag) noexcept {
  next_request(IORING_OP_ASYNC_CANCEL, -1, nobody_tag).addr = tag;
}

void uring_poller::poll_for(int fd, std::uint64_t tag) noexcept {
  auto& request = next_request(IORING_OP_POLL_ADD, fd, tag);
  request.len = IORING_POLL_ADD_MULTI;
  request.poll32_events = POLLIN | (tag == wake_tag ? 0 : POLLOUT | POLLRDHUP);
}

// Blank but for its first words; to be filled in before anything else happens here.
io_uring_sqe& uring_poller::next_request(std::uint8_t opcode, int fd, std::uint64_t tag) noexcept {
  while (unsubmitted() > request_mask_) {
    flush();
    if (unsubmitted() > request_mask_) take_reports();  // the kernel wants room for those first
  }
  auto& request = requests_[tail_ & request_mask_];
  std::memset(&request, 0, sizeof request);
  request.opcode = opcode;
  request.fd = fd;
  request.user_data = tag;
  ++tail_;
  return request;
}

// Hands over what is written and, with `at_least`, waits for that many reports.
int uring_poller::enter(unsigned at_least, const __kernel_timespec* longest) noexcept {
  store_release(request_tail_, tail_);
  io_uring_getevents_arg more{};
  more.ts = reinterpret_cast<std::uintptr_t>(longest);
  const long done = syscall(SYS_io_uring_enter, fd_, unsubmitted(), at_least,
                            IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &more, sizeof more);
  return done >= 0 ? 0 : errno;
}

// Fails only for want of kernel memory, or while reports wait that have no place: what is not taken
// stays in the ring and goes with the next call.
void uring_poller::flush() noexcept { enter(0, nullptr); }

bool uring_poller::wait(duration longest) noexcept {
  woken_ = false;
  const bool found = take_reports();
  if (longest == duration::zero() || found) {
    const bool kernel_has_more =
        (load_acquire(request_flags_) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
    if (unsubmitted() == 0 && !kernel_has_more) return woken_;
    flush();
  } else if (longest == duration::max()) {
    enter(1, nullptr);
  } else {
    const __kernel_timespec span{.tv_sec = longest.count() / 1'000'000'000,
                                 .tv_nsec = longest.count() % 1'000'000'000};
    enter(1, &span);
  }
  take_reports();
  return woken_;
}

// Whether there were any.
bool uring_poller::take_reports() noexcept {
  unsigned head = *report_head_;
  const unsigned first = head;
  while (head != load_acquire(report_tail_)) {
    const io_uring_cqe report = reports_[head & report_mask_];
    store_release(report_head_, ++head);
    take(report);
    head = *report_head_;  // taking one may have had to make room for a request
  }
  return head != first;
}

void uring_poller::take(const io_uring_cqe& report) noexcept {
  const std::uint64_t tag = report.user_data;
  if (tag == nobody_tag) return;
  if (tag == wake_tag) {
    if (drain_wake()) woken_ = true;
    if ((report.flags & IORING_CQE_F_MORE) == 0) begin_polling_wakes();
  } else if ((tag & slot_tag) != 0) {
    take_slot(static_cast<unsigned>(tag >> 2), report);
  } else {
    auto& call = *reinterpret_cast<io_operation*>(static_cast<std::uintptr_t>(tag));
    const bool more = call.call() != io_call::receive || report.res <= 0 ||
                      (report.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    call.ended(report.res, more);
  }
}

void uring_poller::take_slot(unsigned index, const io_uring_cqe& report) noexcept {
  slot& s = slots_[index];
  const bool last = (report.flags & IORING_CQE_F_MORE) == 0;
  if (s.owner == nullptr) {
    if (last) free_slot(index);
    return;
  }
  if (report.res >= 0) {
    poller::report(*s.owner, static_cast<unsigned>(report.res));
  } else if (report.res != -ECANCELED) {  // not a thing to be polled: let the system call say it
    poller::report(*s.owner, POLLERR);
    s.polling = false;
    return;
  }
  if (last) poll_for(s.owner->fd(), report.user_data);
}

}  // namespace

std::unique_ptr<poller> open_uring_poller() {
  io_uring_params parameters{};
  parameters.flags = setup_flags;
  parameters.cq_entries = report_entries;
  const int fd = static_cast<int>(syscall(SYS_io_uring_setup, request_entries, &parameters));
  if (fd == -1) return nullptr;
  auto ring = std::make_unique<uring_poller>(fd, parameters);
  if ((parameters.features & features) != features || !ring->usable()) return nullptr;
  ring->begin_polling_wakes();
  return ring;
}

}  // namespace plait::detail
