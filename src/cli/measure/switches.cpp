#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <thread>

#include "cli/measure/measurements.hpp"
#include "cli/measure/stopwatch.hpp"
#include "plait/coroutines.hpp"
#include "plait/processes.hpp"
#include "plait/threads.hpp"

namespace plait::cli {
namespace {

constexpr int warm_up_calls = 100;

// How often each thing is done, from the number of round trips that was asked for: what stays in
// this process more often, because it takes a fraction of the time.
struct repetitions {
  explicit repetitions(const measurement_options& options)
      : round_trips(static_cast<int>(std::clamp<std::size_t>(options.count, 100, 10'000'000))),
        loop_switches(100 * round_trips),
        loop_calls(10 * round_trips),
        big_calls(round_trips / 100) {}
  int round_trips, loop_switches, loop_calls, big_calls;
};

// A word that two threads or two processes hand to and fro; each sleeps in the kernel meanwhile.
class ball {
 public:
  void pass_to(int side) noexcept {
    side_.store(side);
    syscall(SYS_futex, &side_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  void await(int side) noexcept {
    for (int seen; (seen = side_.load()) != side;)
      syscall(SYS_futex, &side_, FUTEX_WAIT, seen, nullptr, nullptr, 0);
  }

 private:
  std::atomic<int> side_{0};
};

void play(ball& b, int my_side, int round_trips) {
  for (int i = 0; i < round_trips; ++i) {
    b.await(my_side);
    b.pass_to(1 - my_side);
  }
}

// Both players on one CPU: then each pass is one switch, and not the time to wake another CPU.
void stay_on_one_cpu() {
  cpu_set_t allowed, one;
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void allow_all_cpus(const cpu_set_t& before) { sched_setaffinity(0, sizeof before, &before); }

// A ball in memory that a forked process shares.
class shared_ball {
 public:
  shared_ball() {
    void* page =
        mmap(nullptr, sizeof(ball), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    ball_ = ::new (page) ball;
  }
  ~shared_ball() { munmap(ball_, sizeof(ball)); }
  shared_ball(const shared_ball&) = delete;
  shared_ball& operator=(const shared_ball&) = delete;
  ball& operator*() const noexcept { return *ball_; }

 private:
  ball* ball_;
};

double seconds_a_switch(const stopwatch& watch, int round_trips) {
  return watch.read().seconds / (2.0 * round_trips);
}

double switch_threads(int round_trips) {
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  stay_on_one_cpu();  // the thread below inherits it
  ball b;
  const stopwatch watch;
  std::thread other([&b, round_trips] { play(b, 1, round_trips); });
  play(b, 0, round_trips);
  other.join();
  const double result = seconds_a_switch(watch, round_trips);
  allow_all_cpus(before);
  return result;
}

double switch_processes(int round_trips) {
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  stay_on_one_cpu();
  const shared_ball b;
  const stopwatch watch;
  const pid_t other = fork();  // this process has no other thread yet
  if (other < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (other == 0) {
    play(*b, 1, round_trips);
    _exit(0);
  }
  play(*b, 0, round_trips);
  waitpid(other, nullptr, 0);
  const double result = seconds_a_switch(watch, round_trips);
  allow_all_cpus(before);
  return result;
}

task<> yield_often(int times) {
  for (int i = 0; i < times; ++i) co_await sleep(duration::zero());
}

task<double> switch_tasks(int switches) {
  const stopwatch watch;
  co_await gather(yield_often(switches / 2), yield_often(switches / 2));
  co_return watch.read().seconds / switches;
}

task<int> answer(int n) { co_return n; }

task<double> call_tasks(int calls) {
  const stopwatch watch;
  for (int i = 0; i < calls; ++i) co_await spawn(answer(i));
  co_return watch.read().seconds / calls;
}

int same(int n) { return n; }

template <class Pool>
double call_executor(Pool& pool, int calls) {
  for (int i = 0; i < warm_up_calls; ++i) pool.submit(same, i).get();
  const stopwatch watch;
  for (int i = 0; i < calls; ++i) pool.submit(same, i).get();
  return watch.read().seconds / calls;
}

// A call that is given 1 MiB. Whoever shares memory is handed a reference, a worker gets a copy.
constexpr std::size_t shared_bytes = std::size_t{1} << 20;

std::size_t size_of(const std::string& text) { return text.size(); }
std::size_t size_behind(const std::string* text) { return text->size(); }

template <class Pool>
double share_by_reference(Pool& pool, int calls) {
  const std::string text(shared_bytes, 'x');
  const stopwatch watch;
  for (int i = 0; i < calls; ++i) pool.submit(size_behind, &text).get();
  return watch.read().seconds / calls;
}

double share_by_copy(process_pool_executor& pool, int calls) {
  const std::string text(shared_bytes, 'x');
  pool.submit(size_of, text).get();  // the first one makes room
  const stopwatch watch;
  for (int i = 0; i < calls; ++i) pool.submit(size_of, text).get();
  return watch.read().seconds / calls;
}

task<std::size_t> size_later(const std::string& text) { co_return text.size(); }

task<double> share_with_tasks(int calls) {
  const std::string text(shared_bytes, 'x');
  const stopwatch watch;
  for (int i = 0; i < calls; ++i) co_await spawn(size_later(text));
  co_return watch.read().seconds / calls;
}

}  // namespace

nlohmann::json measure_switch_threads(const measurement_options& options) {
  const repetitions times(options);
  const double a_switch = switch_threads(times.round_trips);
  thread_pool_executor pool{1};
  const double a_call = call_executor(pool, times.round_trips);
  return {{"switch_seconds", a_switch},
          {"call_seconds", a_call},
          {"share_seconds", share_by_reference(pool, times.big_calls)}};
}

nlohmann::json measure_switch_coroutines(const measurement_options& options) {
  const repetitions times(options);
  return {{"switch_seconds", run(switch_tasks(times.loop_switches))},
          {"call_seconds", run(call_tasks(times.loop_calls))},
          {"share_seconds", run(share_with_tasks(times.big_calls))}};
}

nlohmann::json measure_switch_workers(const measurement_options& options) {
  const repetitions times(options);
  const double a_switch = switch_processes(times.round_trips);
  process_pool_executor pool{1};
  const double a_call = call_executor(pool, times.round_trips);
  return {{"switch_seconds", a_switch},
          {"call_seconds", a_call},
          {"share_seconds", share_by_copy(pool, times.big_calls)}};
}

}  // namespace plait::cli
