// The process pool's rows: round trips, throughput, starts, large arrays, crashes, and a parent
// that is killed.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <plait/processes.hpp>
#include <span>

#include "process_workloads.hpp"

namespace {

using measurement::wall_now;
using workloads::milliseconds_since;
using workloads::pace;
using workloads::triple_plus_one;

constexpr const char* name = "plait";

int die(int) { std::abort(); }

void pause_ms(long milliseconds) {
  const timespec span{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  nanosleep(&span, nullptr);
}

void round_trip(const measurement::arguments& given) {
  plait::process_pool_executor pool{given.workers};
  workloads::round_trips(given, name, given.n_or(20'000), pace::back_to_back,
                         [&](int i) { return pool.submit(triple_plus_one, i).get(); });
}

void asleep(const measurement::arguments& given) {
  plait::process_pool_executor pool{given.workers};
  workloads::round_trips(given, name, given.n_or(500), pace::after_a_pause,
                         [&](int i) { return pool.submit(triple_plus_one, i).get(); });
}

void calls(const measurement::arguments& given) {
  const long n = given.n_or(20'000);
  plait::process_pool_executor pool{given.workers};
  std::vector<int> items(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int>(i);
  pool.map(triple_plus_one, std::vector<int>(100, 1)).to_vector();  // the workers are up
  const measurement::lap best = measurement::best_of(given.repeats, [&] {
    const measurement::stopwatch watch;
    const std::vector<int> results = pool.map(triple_plus_one, items).to_vector();
    const measurement::lap taken = watch.read();
    for (std::size_t i = 0; i < items.size(); ++i)
      if (results[i] != triple_plus_one(items[i])) std::abort();
    return taken;
  });
  measurement::report(given.mode, name, static_cast<double>(n), best,
                      {{"per_second", static_cast<double>(n) / best.seconds}});
}

double begin_and_stay() {
  const double begun = wall_now();
  pause_ms(100);
  return begun;
}

// Every call holds its worker, so that the next one needs a new worker: from submit to its
// beginning.
void start_worker(const measurement::arguments& given) {
  constexpr int workers = 16;
  constexpr timespec short_while{0, 50'000};
  plait::process_pool_executor pool{workers};
  pool.submit(triple_plus_one, 1).get();
  std::vector<double> submitted;
  std::vector<plait::future<double>> begun;
  const measurement::stopwatch whole;
  for (int i = 0; i < workers; ++i) {
    submitted.push_back(wall_now());
    begun.push_back(pool.submit(begin_and_stay));
    while (pool.statistics().queued != 0) nanosleep(&short_while, nullptr);
  }
  std::vector<double> milliseconds;
  for (std::size_t i = 1; i < workers; ++i)  // the first found the worker that was there
    milliseconds.push_back((begun[i].get() - submitted[i]) * 1e3);
  measurement::report(given.mode, name, workers - 1, whole.read(),
                      {{"ms", workloads::median(milliseconds)}});
}

void start_pool(const measurement::arguments& given) {
  workloads::median_of(given, name, given.n_or(20), "ms", [&] {
    const double before = wall_now();
    plait::process_pool_executor pool{given.workers};
    pool.submit(triple_plus_one, 1).get();
    return milliseconds_since(before);
  });
}

double first_and_last(const std::vector<double>& values) { return values.front() + values.back(); }
double ends_of_span(std::span<const double> values) { return values.front() + values.back(); }
double ends_of_shared(const plait::shared_array<double>& values) {
  return values[0] + values[values.size() - 1];
}

// The call's own making of the vector is not the way back, so it is made once and kept.
std::vector<double> kept_doubles(long n) {
  static const std::vector<double> kept(static_cast<std::size_t>(n), 1.5);
  return kept;
}

// 64 MiB of doubles as a shared_array, as an argument that the call reads where it arrived, as one
// that becomes a vector of its own, and as a result.
void array(const measurement::arguments& given) {
  plait::process_pool_executor pool{given.workers};
  const std::vector<double> values(static_cast<std::size_t>(workloads::array_doubles), 1.5);
  const plait::shared_array<double> shared(values);
  std::vector<double> zero_copy;
  std::vector<double> one_copy;
  std::vector<double> as_vector;
  std::vector<double> as_result;
  const measurement::stopwatch whole;
  for (int i = 0; i < 9; ++i) {
    double before = wall_now();
    if (pool.submit(ends_of_shared, shared).get() != 3.0) std::abort();
    zero_copy.push_back(milliseconds_since(before));
    before = wall_now();
    if (pool.submit(ends_of_span, values).get() != 3.0) std::abort();
    one_copy.push_back(milliseconds_since(before));
    before = wall_now();
    if (pool.submit(first_and_last, values).get() != 3.0) std::abort();
    as_vector.push_back(milliseconds_since(before));
    before = wall_now();
    if (pool.submit(kept_doubles, workloads::array_doubles).get().back() != 1.5) std::abort();
    as_result.push_back(milliseconds_since(before));
  }
  const double copied = workloads::median(one_copy);
  const double memcpy_ms = workloads::memcpy_milliseconds();
  measurement::report(given.mode, name, 9, whole.read(),
                      {{"zero_copy_ms", workloads::median(zero_copy)},
                       {"one_copy_ms", copied},
                       {"of_memcpy", copied / memcpy_ms},
                       {"vector_of_memcpy", workloads::median(as_vector) / memcpy_ms},
                       {"result_of_memcpy", workloads::median(as_result) / memcpy_ms}});
}

// One worker, so that the next result has to come from its successor.
void crash(const measurement::arguments& given) {
  const long n = given.n_or(50);
  plait::process_pool_executor pool{1};
  std::vector<double> to_error;
  std::vector<double> to_result;
  const measurement::stopwatch whole;
  for (long i = 0; i < n; ++i) {
    pool.submit(triple_plus_one, 1).get();
    const double before = wall_now();
    try {
      pool.submit(die, 0).get();
      std::abort();
    } catch (const plait::worker_crashed&) {
      to_error.push_back(milliseconds_since(before));
    }
    pool.submit(triple_plus_one, 1).get();
    to_result.push_back(milliseconds_since(before));
  }
  measurement::report(
      given.mode, name, static_cast<double>(n), whole.read(),
      {{"error_ms", workloads::median(to_error)}, {"next_ms", workloads::median(to_result)}});
}

// How often each call began, in a memfd of the parent that the workers map.
class begin_counts {
 public:
  explicit begin_counts(std::size_t calls)
      : descriptor_(memfd_create("begin_counts", 0)), bytes_(calls) {
    if (descriptor_ < 0 || ftruncate(descriptor_, static_cast<off_t>(calls)) != 0) std::abort();
    counts_ = map(descriptor_, bytes_);
  }
  ~begin_counts() {
    munmap(counts_, bytes_);
    close(descriptor_);
  }
  begin_counts(const begin_counts&) = delete;
  begin_counts& operator=(const begin_counts&) = delete;

  int descriptor() const { return descriptor_; }
  int of(std::size_t call) const { return counts_[call].load(); }

  // In a worker: the call has begun. A worker serves one set of counts only.
  static void note(int parent, int descriptor, int calls, int call) {
    static std::atomic<unsigned char>* const counts = [&] {
      char path[64];
      std::snprintf(path, sizeof path, "/proc/%d/fd/%d", parent, descriptor);
      return map(open(path, O_RDWR | O_CLOEXEC), static_cast<std::size_t>(calls));
    }();
    ++counts[call];
  }

 private:
  static std::atomic<unsigned char>* map(int descriptor, std::size_t bytes) {
    void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (pages == MAP_FAILED) std::abort();
    return static_cast<std::atomic<unsigned char>*>(pages);
  }

  int descriptor_;
  std::size_t bytes_;
  std::atomic<unsigned char>* counts_;
};

bool is_deadly(int call) { return call % 100 == 37; }

int maybe_die(int parent, int descriptor, int calls, int call) {
  begin_counts::note(parent, descriptor, calls, call);
  if (!is_deadly(call)) return triple_plus_one(call);
  switch (call / 100 % 3) {
    case 0:
      std::abort();
    case 1:
      _exit(3);
    default:
      kill(getpid(), SIGKILL);
  }
  return 0;
}

// Futures with the wrong outcome, calls that never began, calls that began twice.
long wrong_outcomes(int workers) {
  constexpr int calls = 20'000;
  begin_counts counts{calls};
  plait::process_pool_executor pool{workers};
  std::vector<plait::future<int>> futures;
  for (int i = 0; i < calls; ++i)
    futures.push_back(pool.submit(maybe_die, getpid(), counts.descriptor(), calls, i));
  long bad = 0;
  for (int i = 0; i < calls; ++i) {
    bool right = false;
    try {
      right = futures[static_cast<std::size_t>(i)].get() == triple_plus_one(i) && !is_deadly(i);
    } catch (const plait::worker_crashed&) {
      right = is_deadly(i);
    } catch (const std::exception&) {
    }
    bad += !right || counts.of(static_cast<std::size_t>(i)) != 1;
  }
  return bad;
}

void deadly(const measurement::arguments& given) {
  const long runs = given.n_or(5);
  long bad = 0;
  const measurement::stopwatch watch;
  for (long i = 0; i < runs; ++i) bad += wrong_outcomes(given.workers);
  measurement::report(given.mode, name, static_cast<double>(runs), watch.read(),
                      {{"bad", static_cast<double>(bad)}});
}

int hang(int seconds) {
  pause_ms(1000L * seconds);
  return 0;
}

// Hanging workers; prints when they run, then waits to be killed.
void parent(const measurement::arguments& given) {
  plait::process_pool_executor pool{given.workers};
  std::vector<plait::future<int>> hanging;
  for (int i = 0; i < given.workers; ++i) hanging.push_back(pool.submit(hang, 20));
  for (int i = 0; i < 1000; ++i) {
    if (pool.statistics().workers == static_cast<std::size_t>(given.workers)) break;
    pause_ms(1);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  pause_ms(20'000);
}

}  // namespace

int main(int argc, char** argv) {
  const rlimit no_core_files{0, 0};
  setrlimit(RLIMIT_CORE, &no_core_files);
  return measurement::run_mode(argc, argv,
                               {{"round_trip", round_trip},
                                {"asleep", asleep},
                                {"calls", calls},
                                {"start_worker", start_worker},
                                {"start_pool", start_pool},
                                {"array", array},
                                {"crash", crash},
                                {"deadly", deadly},
                                {"parent", parent}});
}
