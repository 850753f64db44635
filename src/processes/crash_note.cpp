#include "processes/crash_note.hpp"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>

#include "processes/module_table.hpp"

extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __msan_init();
}

namespace plait::detail {
namespace {

constexpr int watched[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr std::size_t stack_size = 128 * 1024;
// How far from the stack pointer an access still is one to the stack.
constexpr std::uint64_t below_stack = 64 * 1024, above_stack = 1024 * 1024;

crash_note* note_of_this_process = nullptr;
pid_t owner = 0;
struct sigaction before[std::size(watched)];
sigjmp_buf out_of_walk;

struct machine_state {
  std::uint64_t instruction = 0, stack = 0, frame = 0;
};
machine_state state_of(const void* context) noexcept {
  const auto& m = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<std::uint64_t>(m.gregs[REG_RIP]),
          static_cast<std::uint64_t>(m.gregs[REG_RSP]),
          static_cast<std::uint64_t>(m.gregs[REG_RBP])};
#elif defined(__aarch64__)
  return {m.pc, m.sp, m.regs[29]};
#else
  return {};
#endif
}

// What a call through a wild pointer would return to.
std::uint64_t return_address(const void* context, const machine_state& at) noexcept {
#if defined(__aarch64__)
  static_cast<void>(at);
  return static_cast<const ucontext_t*>(context)->uc_mcontext.regs[30];
#else
  static_cast<void>(context);
  std::uint64_t value = 0;
  const iovec to{&value, sizeof value};
  const iovec from{reinterpret_cast<void*>(at.stack), sizeof value};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof value ? value : 0;
#endif
}

void add(crash_note& note, std::uint64_t address) noexcept {
  note.tokens[note.frames++] = token_in_worker(address);
}

// The frames from the interrupted instruction outwards; those of the handler come first.
struct walk {
  crash_note& note;
  std::uint64_t instruction;
  bool inside = false;

  static _Unwind_Reason_Code step(_Unwind_Context* frame, void* self) noexcept {
    auto& w = *static_cast<walk*>(self);
    int exact = 0;
    const std::uint64_t address = _Unwind_GetIPInfo(frame, &exact);
    if (address == 0) return _URC_END_OF_STACK;
    if (!w.inside) {
      w.inside = address == w.instruction;
      return _URC_NO_REASON;  // the interrupted one is in the note already
    }
    add(w.note, exact != 0 ? address : address - 1);
    return w.note.frames < max_crash_frames ? _URC_NO_REASON : _URC_END_OF_STACK;
  }
};

// A broken stack may lead the walk astray: then it ends with what it has.
void leave_walk(int) noexcept { siglongjmp(out_of_walk, 1); }

void walk_stack(crash_note& note, const void* context, const machine_state& at) noexcept {
  add(note, at.instruction);
  struct sigaction escape {};
  escape.sa_handler = leave_walk;
  escape.sa_flags = SA_ONSTACK | SA_NODEFER;
  sigemptyset(&escape.sa_mask);
  struct sigaction segv, bus;
  sigaction(SIGSEGV, &escape, &segv);
  sigaction(SIGBUS, &escape, &bus);
  if (sigsetjmp(out_of_walk, 1) == 0) {
    sigset_t faults;
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
    // Nobody can unwind from where there is no code; its caller is the next best.
    if (token_in_worker(at.instruction) == at.instruction) {
      if (const auto caller = return_address(context, at)) add(note, caller - 1);
    } else {
      walk w{note, at.instruction};
      _Unwind_Backtrace(walk::step, &w);
    }
    pthread_sigmask(SIG_BLOCK, &faults, nullptr);
  }
  sigaction(SIGSEGV, &segv, nullptr);
  sigaction(SIGBUS, &bus, nullptr);
}

void write_note(crash_note& note, int signal_number, const siginfo_t& info,
                const void* context) noexcept {
  const machine_state at = state_of(context);
  note.signal = signal_number;
  note.has_address = info.si_code > 0 && signal_number != SIGABRT;
  note.address = note.has_address != 0 ? reinterpret_cast<std::uint64_t>(info.si_addr) : 0;
  note.on_overflow = signal_number == SIGSEGV && note.has_address != 0 &&
                     note.address + below_stack >= at.stack &&
                     note.address < at.stack + above_stack;
  note.frames = 0;
  walk_stack(note, context, at);
  note.whole.store(1, std::memory_order_release);
}

void on_crash(int signal_number, siginfo_t* info, void* context) noexcept {
  const auto* const which = std::find(std::begin(watched), std::end(watched), signal_number);
  const struct sigaction& old = before[which - watched];
  crash_note* note = getpid() == owner ? note_of_this_process : nullptr;
  if (note != nullptr) write_note(*note, signal_number, *info, context);
  if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) {
    if ((old.sa_flags & SA_SIGINFO) != 0)
      old.sa_sigaction(signal_number, info, context);
    else
      old.sa_handler(signal_number);
    return;
  }
  // The instruction faults again, or the signal waits until we return: both meet the old action.
  sigaction(signal_number, &old, nullptr);
  if (info->si_code <= 0) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal_number);
}

}  // namespace

bool has_sanitizer() noexcept {
  return __asan_init != nullptr || __tsan_init != nullptr || __msan_init != nullptr;
}

void watch_for_crashes(crash_note& note) noexcept {
  if (has_sanitizer()) return;
  void* stack =
      mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return;
  stack_t own{};
  own.ss_sp = stack;
  own.ss_size = stack_size;
  stack_t theirs{};
  sigaltstack(nullptr, &theirs);
  if ((theirs.ss_flags & SS_DISABLE) == 0 || sigaltstack(&own, nullptr) != 0)
    munmap(stack, stack_size);  // the program brought one
  note_of_this_process = &note;
  const bool is_installed = owner != 0;  // by the worker that forked the pool we are of
  owner = getpid();
  if (is_installed) return;
  struct sigaction ours {};
  ours.sa_sigaction = on_crash;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  for (std::size_t i = 0; i < std::size(watched); ++i) sigaction(watched[i], &ours, &before[i]);
}

}  // namespace plait::detail
