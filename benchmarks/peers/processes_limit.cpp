// Hand-written limits for the process pool's rows: forked workers that answer in shared memory. No
// futures, no queue, no supervision.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <new>

#include "../process_workloads.hpp"

namespace {

using workloads::milliseconds_since;
using workloads::triple_plus_one;

constexpr const char* name = "shared_memory";
constexpr std::uint32_t depth = 64;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, nullptr, nullptr,
          0);
}

enum class wait_by { spinning, sleeping };

// A counter that one side raises and the other waits for. Raising wakes only a side that sleeps.
struct counter {
  std::atomic<std::uint32_t> value{0};
  std::atomic<std::uint32_t> sleeping{0};

  void raise() {
    value.fetch_add(1);
    if (sleeping.load() != 0) futex(value, FUTEX_WAKE, 1);
  }

  std::uint32_t wait_beyond(std::uint32_t seen, wait_by how) {
    for (;;) {
      const std::uint32_t now = value.load(std::memory_order_acquire);
      if (now != seen) return now;
      if (how == wait_by::spinning) {
        __builtin_ia32_pause();
        continue;
      }
      sleeping.store(1);
      futex(value, FUTEX_WAIT, seen);
      sleeping.store(0);
    }
  }
};

struct channel {  // one worker's calls and results, one producer and one consumer each way
  alignas(64) counter submitted;
  alignas(64) counter finished;
  alignas(64) int values[depth];
};

template <class T>
T* map_shared(int descriptor, std::size_t bytes) {
  const int flags = MAP_SHARED | (descriptor < 0 ? MAP_ANONYMOUS : 0);
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (pages == MAP_FAILED) fail("mmap");
  return static_cast<T*>(pages);
}

template <class Function>
void serve(channel& calls, wait_by how, Function function) {
  for (std::uint32_t done = 0;;) {
    const std::uint32_t submitted = calls.submitted.wait_beyond(done, how);
    for (; done != submitted; ++done) {
      calls.values[done % depth] = function(calls.values[done % depth]);
      calls.finished.raise();
    }
  }
}

class worker {
 public:
  template <class Function>
  worker(wait_by how, Function function)
      : calls_(new (map_shared<channel>(-1, sizeof(channel))) channel), how_(how), pid_(fork()) {
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(*calls_, how, function);
  }
  explicit worker(wait_by how) : worker(how, triple_plus_one) {}

  ~worker() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(calls_, sizeof(channel));
  }

  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  pid_t pid() const { return pid_; }
  channel& calls() { return *calls_; }

  void post(int argument) {
    calls_->values[posted_++ % depth] = argument;
    calls_->submitted.raise();
  }

  int call(int argument) {
    const std::uint32_t slot = posted_ % depth;
    post(argument);
    calls_->finished.wait_beyond(posted_ - 1, how_);
    return calls_->values[slot];
  }

 private:
  channel* calls_;
  wait_by how_;
  pid_t pid_;
  std::uint32_t posted_ = 0;
};

void round_trip(const measurement::arguments& given) {
  worker one{wait_by::spinning};
  workloads::round_trips(given, name, given.n_or(20'000), workloads::pace::back_to_back,
                         [&](int i) { return one.call(i); });
}

void asleep(const measurement::arguments& given) {
  worker one{wait_by::sleeping};
  workloads::round_trips(given, name, given.n_or(500), workloads::pace::after_a_pause,
                         [&](int i) { return one.call(i); });
}

// Two workers, up to 64 calls in flight at each; whoever has nothing to do sleeps.
void calls(const measurement::arguments& given) {
  const long n = given.n_or(20'000);
  worker workers[2] = {worker{wait_by::sleeping}, worker{wait_by::sleeping}};
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    for (auto& one : workers) one.call(1);
    const measurement::stopwatch watch;
    long posted = 0;
    long done = 0;
    std::uint32_t in_flight[2] = {0, 0};
    std::uint32_t seen[2] = {workers[0].calls().finished.value, workers[1].calls().finished.value};
    for (int turn = 0; done < n; turn ^= 1) {
      for (; in_flight[turn] < depth && posted < n; ++in_flight[turn])
        workers[turn].post(static_cast<int>(posted++ & 0xffff));
      if (in_flight[turn] == 0) continue;
      const auto finished =
          workers[turn].calls().finished.wait_beyond(seen[turn], wait_by::sleeping);
      done += finished - seen[turn];
      in_flight[turn] -= finished - seen[turn];
      seen[turn] = finished;
    }
    return watch.read();
  });
  measurement::report(given.mode, name, static_cast<double>(n), best,
                      {{"per_second", static_cast<double>(n) / best.seconds}});
}

// From the request to the new worker's sign of life.
void start_worker(const measurement::arguments& given) {
  workloads::median_of(given, "fork", given.n_or(100), "ms", [] {
    const double before = measurement::wall_now();
    worker one{wait_by::sleeping};
    one.call(1);
    return milliseconds_since(before);
  });
}

// A fresh image of this program, which answers its first call.
void start_pool(const measurement::arguments& given) {
  workloads::median_of(given, "posix_spawn", given.n_or(20), "ms", [] {
    const double before = measurement::wall_now();
    const int memory = memfd_create("channel", 0);
    if (memory < 0 || ftruncate(memory, sizeof(channel)) != 0) fail("memfd_create");
    auto* calls = new (map_shared<channel>(memory, sizeof(channel))) channel;
    calls->values[0] = 5;
    calls->submitted.raise();
    char program[] = "/proc/self/exe";
    char mode[] = "answer_first_call";
    char descriptor[16];
    std::snprintf(descriptor, sizeof descriptor, "%d", memory);
    char* const arguments[] = {program, mode, descriptor, nullptr};
    pid_t child = -1;
    if (posix_spawn(&child, program, nullptr, nullptr, arguments, environ) != 0)
      fail("posix_spawn");
    calls->finished.wait_beyond(0, wait_by::sleeping);
    const double taken = milliseconds_since(before);
    if (calls->values[0] != triple_plus_one(5)) std::abort();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    munmap(calls, sizeof(channel));
    close(memory);
    return taken;
  });
}

void answer_first_call(const measurement::arguments& given) {
  auto* calls = map_shared<channel>(static_cast<int>(given.n), sizeof(channel));
  serve(*calls, wait_by::sleeping, triple_plus_one);
}

// A death is known when its pidfd is readable; then a new worker answers.
void crash(const measurement::arguments& given) {
  std::vector<double> to_error;
  std::vector<double> to_result;
  const long n = given.n_or(50);
  const measurement::stopwatch whole;
  for (long i = 0; i < n; ++i) {
    worker doomed{wait_by::sleeping, [](int) -> int {
                    prctl(PR_SET_DUMPABLE, 0);
                    std::abort();
                  }};
    pollfd death{static_cast<int>(syscall(SYS_pidfd_open, doomed.pid(), 0)), POLLIN, 0};
    const double before = measurement::wall_now();
    doomed.post(1);
    poll(&death, 1, 5000);
    to_error.push_back(milliseconds_since(before));
    worker successor{wait_by::sleeping};
    successor.call(1);
    to_result.push_back(milliseconds_since(before));
    close(death.fd);
  }
  measurement::report(
      given.mode, "pidfd", static_cast<double>(n), whole.read(),
      {{"error_ms", workloads::median(to_error)}, {"next_ms", workloads::median(to_result)}});
}

// 64 MiB of doubles in memory that both sides have mapped and touched. The worker answers when it
// has read the first and the last of them.
void array(const measurement::arguments& given) {
  constexpr auto count = static_cast<std::size_t>(workloads::array_doubles);
  auto* arena = map_shared<double>(-1, count * sizeof(double));
  std::vector<double> source(count, 1.5);
  const auto copy = [&] { std::memcpy(arena, source.data(), count * sizeof(double)); };
  copy();
  worker one{wait_by::sleeping, [arena](int) {
               double sum = 0;
               static bool touched = false;
               for (std::size_t i = 0; !touched && i < count; i += 512) sum += arena[i];
               touched = true;
               return static_cast<int>(arena[0] + arena[count - 1] + sum * 0);
             }};
  if (one.call(0) != 3) std::abort();
  std::vector<double> zero_copy;
  std::vector<double> one_copy;
  const measurement::stopwatch whole;
  for (int i = 0; i < 9; ++i) {
    double before = measurement::wall_now();
    one.call(0);
    zero_copy.push_back(milliseconds_since(before));
    before = measurement::wall_now();
    copy();
    one.call(0);
    one_copy.push_back(milliseconds_since(before));
  }
  const double copied = workloads::median(one_copy);
  const double memcpy_ms = workloads::memcpy_milliseconds();
  measurement::report(given.mode, name, 9, whole.read(),
                      {{"zero_copy_ms", workloads::median(zero_copy)},
                       {"one_copy_ms", copied},
                       {"of_memcpy", copied / memcpy_ms}});
}

}  // namespace

int main(int argc, char** argv) {
  return measurement::run_mode(argc, argv,
                               {{"round_trip", round_trip},
                                {"asleep", asleep},
                                {"calls", calls},
                                {"start_worker", start_worker},
                                {"start_pool", start_pool},
                                {"answer_first_call", answer_first_call},
                                {"crash", crash},
                                {"array", array}});
}
