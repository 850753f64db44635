#include "inspect/thread_stack.hpp"

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace plait::detail {
namespace {

constexpr std::size_t most_frames = 64;
constexpr long patience = 500'000'000;  // ns, less than a second

// The question and its answer. Whoever moves `state` on from `asked` has the rest: the thread to
// answer, or the asker to give up. A signal that comes late finds no question.
struct question {
  enum : unsigned { none, asked, answering, answered };
  std::atomic<unsigned> state{none};
  std::atomic<int> thread{0};
  std::size_t count = 0;
  const void* frames[most_frames];
  sem_t done;
};
question the_question;
std::mutex one_at_a_time;
std::atomic<int> signal_number{0};

std::uintptr_t instruction_of(const void* context) noexcept {
  const auto& m = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(m.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<std::uintptr_t>(m.pc);
#else
  static_cast<void>(m);
  return 0;
#endif
}

// The frames from the interrupted instruction outwards; those of the handler come first.
struct walk {
  std::uintptr_t instruction;
  bool inside = false;

  static _Unwind_Reason_Code step(_Unwind_Context* frame, void* self) noexcept {
    auto& w = *static_cast<walk*>(self);
    int exact = 0;
    const std::uintptr_t address = _Unwind_GetIPInfo(frame, &exact);
    if (address == 0) return _URC_END_OF_STACK;
    if (!w.inside && address != w.instruction) return _URC_NO_REASON;
    w.inside = true;
    auto& q = the_question;
    q.frames[q.count++] = reinterpret_cast<const void*>(exact != 0 ? address : address - 1);
    return q.count < most_frames ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
};

// Async-signal-safe: it takes no lock and no memory. (The unwinder finds its tables without a lock
// since glibc 2.35; before, with one that the interrupted thread may hold itself, but nobody else
// for long.)
void answer(int, siginfo_t*, void* context) noexcept {
  const int before = errno;
  auto& q = the_question;
  unsigned expected = question::asked;
  if (q.thread.load(std::memory_order_relaxed) == static_cast<int>(syscall(SYS_gettid)) &&
      q.state.compare_exchange_strong(expected, question::answering, std::memory_order_acq_rel)) {
    walk w{instruction_of(context)};
    _Unwind_Backtrace(walk::step, &w);
    q.state.store(question::answered, std::memory_order_release);
    sem_post(&q.done);
  }
  errno = before;
}

bool is_ours(int number) noexcept {
  struct sigaction now {};
  return sigaction(number, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         now.sa_sigaction == answer;
}

// A signal that is blocked would lie in wait for whoever takes signals by sigwait().
bool is_blocked(int tid, int number) noexcept {
  char path[64], text[4096];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[std::max<ssize_t>(n, 0)] = 0;
  const char* line = std::strstr(text, "SigBlk:");
  return line == nullptr || (std::strtoull(line + 7, nullptr, 16) >> (number - 1) & 1) != 0;
}

_Unwind_Reason_Code stop_at_once(_Unwind_Context*, void*) noexcept { return _URC_END_OF_STACK; }

}  // namespace

void prepare_to_ask_for_stacks() noexcept {
  const std::lock_guard hold(one_at_a_time);
  if (signal_number.load() != 0) return;
  sem_init(&the_question.done, 0, 0);
  _Unwind_Backtrace(stop_at_once, nullptr);  // what the unwinder sets up once, it does here
  struct sigaction ours {};
  ours.sa_sigaction = answer;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  for (int number = SIGRTMAX - 1; number >= SIGRTMIN; --number) {
    struct sigaction now {};
    if (sigaction(number, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 ||
        now.sa_handler != SIG_DFL)
      continue;
    if (sigaction(number, &ours, nullptr) != 0) continue;
    signal_number.store(number);
    return;
  }
}

std::vector<const void*> stack_of_thread(int tid) {
  const std::lock_guard hold(one_at_a_time);
  const int number = signal_number.load();
  if (number == 0 || !is_ours(number) || is_blocked(tid, number)) return {};
  auto& q = the_question;
  q.count = 0;
  q.thread.store(tid, std::memory_order_relaxed);
  q.state.store(question::asked, std::memory_order_release);
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += patience;
  if (until.tv_nsec >= 1'000'000'000) ++until.tv_sec, until.tv_nsec -= 1'000'000'000;
  bool told = syscall(SYS_tgkill, getpid(), tid, number) == 0;
  while (told && sem_timedwait(&q.done, &until) != 0)
    if (errno != EINTR) told = false;
  if (!told) {
    unsigned expected = question::asked;
    if (q.state.compare_exchange_strong(expected, question::none, std::memory_order_acq_rel))
      return {};
    while (sem_wait(&q.done) != 0) {  // it has begun, and will be done in a moment
    }
  }
  std::vector<const void*> frames;
  if (q.state.load(std::memory_order_acquire) == question::answered)
    frames.assign(q.frames, q.frames + q.count);
  q.state.store(question::none, std::memory_order_relaxed);
  return frames;
}

}  // namespace plait::detail
