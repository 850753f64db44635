// The advisor's rows: what auto_executor loses against the best of 17 fixed choices on 13 workloads, its
// learning included, and what a call costs on it.
//
//   auto_bench regret [ms a run, 3000] [cores, 2] [repeats, 2][:workload]     under 8 minutes
//   auto_bench submit_get [n [workers [laps]]]
//   auto_bench idle
//
// regret prints an R line for each workload and one at the end with the medians. All 17 are tried
// shortly; the best of the threads and the best of the loops then run as long as the executor does,
// in turn with it: once with the workload as blocking calls, once as coroutines. A regret is the share
// of the best fixed choice's calls that the executor did not get done in the same time, its learning
// included: `regret` of the form in which one would write the workload (a function if it only computes,
// else a coroutine) against all 17, `regret_awaiting` of coroutines against all 17, `regret_blocking`
// of functions against the 9 widths of a thread pool.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <plait/advise.hpp>
#include <plait/coroutines.hpp>
#include <plait/threads.hpp>
#include <random>
#include <ranges>
#include <thread>
#include <vector>

#include "thread_workloads.hpp"

namespace {

using namespace std::chrono_literals;
using plait::duration;
using plait::time_point;
using clock_type = std::chrono::steady_clock;

// --- What calls do ---------------------------------------------------------------------------------

double iterations_a_us = 0;

std::uint64_t iterate(double us) {
  std::uint64_t x = 1;
  const auto n = static_cast<std::uint64_t>(us * iterations_a_us);
  for (std::uint64_t i = 0; i < n; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}
std::atomic<std::uint64_t> sink{0};
void compute(double us) { sink.store(iterate(us), std::memory_order_relaxed); }

void calibrate() {
  iterations_a_us = 1000;
  double best = 1e9;
  for (int i = 0; i < 40; ++i) {
    const double start = measurement::wall_now();
    compute(500);
    best = std::min(best, measurement::wall_now() - start);
  }
  iterations_a_us *= 500e-6 / best;
}

// Within 3 % of it.
duration about(duration d) {
  thread_local std::minstd_rand random{
      static_cast<unsigned>(clock_type::now().time_since_epoch().count())};
  return duration(static_cast<std::int64_t>(double(d.count()) *
                                            std::uniform_real_distribution<>(0.97, 1.03)(random)));
}
bool one_in_ten() {
  thread_local std::minstd_rand random{
      static_cast<unsigned>(clock_type::now().time_since_epoch().count())};
  return random() % 10 == 0;
}

// A service that takes 16 requests at once; others queue.
class capped_service {
 public:
  time_point ask() {
    const std::lock_guard hold(mutex_);
    auto& first = *std::min_element(free_.begin(), free_.end());
    first = std::max(first, clock_type::now()) + about(20ms);
    return first;
  }

 private:
  std::mutex mutex_;
  std::array<time_point, 16> free_{};
};
// One that takes everybody, and gets slower for each above 16.
class retrograde_service {
 public:
  time_point ask() {
    const double over = std::max(0, ++inside_ - 16);
    return clock_type::now() +
           duration(static_cast<std::int64_t>(double(about(20ms).count()) * (1 + 0.095 * over)));
  }
  void leave() { --inside_; }

 private:
  std::atomic<int> inside_{0};
};

// What all the calls of a run share. A run has its own.
struct scene {
  std::atomic<std::uint64_t> done{0};
  time_point half_time{};
  capped_service capped;
  retrograde_service retrograde;
  std::mutex lock;
};
// 64 MB that all of them read and write.
std::vector<std::uint64_t>& big() {
  static std::vector<std::uint64_t> words(8 << 20);
  return words;
}

// A step of a call: what is computed, then until when it waits.
struct step {
  std::function<void(scene&)> compute;
  std::function<time_point(scene&)> wait;  // none: it does not
  std::function<void(scene&)> after;
};
struct workload {
  const char* name;
  std::function<step(scene&)> next;
  // Over 1 MB of the call's own, with a pause after each where there are coroutines.
  int passes = 0;
  // How one would write it: a function if it only computes, else a coroutine.
  enum class form { function, coroutine } as = form::coroutine;
};

step computes(double us) {
  return {[us](scene&) { compute(us); }, nullptr, nullptr};
}
step waits(double us, duration how_long) {
  return {[us](scene&) { compute(us); },
          [how_long](scene&) { return clock_type::now() + about(how_long); }, nullptr};
}

std::vector<workload> all_workloads() {
  using enum workload::form;
  const auto always = [](step s) { return [s](scene&) { return s; }; };
  return {
      {"cpu_500us", always(computes(500)), 0, function},
      {"tiny_5us", always(computes(5)), 0, function},
      {"io_20ms", always(waits(2, 20ms))},
      {"io_100ms", always(waits(2, 100ms))},
      {"mix_2_18", always(waits(2000, 18ms))},
      {"mix_5_5", always(waits(5000, 5ms))},
      {"memory_1MB", always({}), 8, function},
      {"memory_64MB",
       always({[](scene&) {
                 auto& words = big();
                 thread_local std::minstd_rand random{std::random_device{}()};
                 const std::size_t span = words.size() / 16;
                 std::uint64_t sum = 0;
                 const std::size_t first = random() % 15 * span;
                 for (std::size_t i = first; i < first + span; ++i) sum += words[i]++;
                 sink.store(sum, std::memory_order_relaxed);
               },
               nullptr, nullptr}),
       0, function},
      {"upstream_cap_16",
       always({[](scene&) { compute(2); }, [](scene& s) { return s.capped.ask(); }, nullptr})},
      {"upstream_retrograde_16",
       always({[](scene&) { compute(2); }, [](scene& s) { return s.retrograde.ask(); },
               [](scene& s) { s.retrograde.leave(); }})},
      {"lock_held_80",
       always({[](scene& s) {
                 {
                   const std::lock_guard hold(s.lock);
                   compute(400);
                 }
                 compute(100);
               },
               nullptr, nullptr}),
       0, function},
      {"bimodal_90_10", [](scene&) { return one_in_ten() ? waits(5, 50ms) : computes(5); }},
      {"cpu_then_io",
       [](scene& s) { return clock_type::now() < s.half_time ? computes(500) : waits(2, 20ms); }},
  };
}

void pass_over(std::vector<std::uint64_t>& buffer) {
  for (auto& word : buffer) word = word * 3 + 1;
}

void call_blocking(const workload& w, scene& s) {
  const step now = w.next(s);
  if (now.compute) now.compute(s);
  if (now.wait) std::this_thread::sleep_until(now.wait(s));
  if (now.after) now.after(s);
  if (w.passes != 0) {
    std::vector<std::uint64_t> own(1 << 17);
    for (int i = 0; i < w.passes; ++i) pass_over(own);
    sink.store(own[7], std::memory_order_relaxed);
  }
  s.done.fetch_add(1, std::memory_order_relaxed);
}

plait::task<int> call_awaiting(const workload& w, scene& s) {
  const step now = w.next(s);
  if (now.compute) now.compute(s);
  if (now.wait) co_await plait::sleep(now.wait(s) - clock_type::now());
  if (now.after) now.after(s);
  if (w.passes != 0) {
    std::vector<std::uint64_t> own(1 << 17);
    for (int i = 0; i < w.passes; ++i) {
      pass_over(own);
      co_await plait::sleep(0ns);
    }
    sink.store(own[7], std::memory_order_relaxed);
  }
  s.done.fetch_add(1, std::memory_order_relaxed);
  co_return 1;
}

// --- Who runs them ---------------------------------------------------------------------------------

constexpr std::size_t window = 8192;

// Keeps calls waiting until the time is over; calls done by then.
template <class Executor, class Call>
double feed(Executor& executor, scene& s, double seconds, Call call) {
  const double end = measurement::wall_now() + seconds;
  std::atomic<bool> over{false};
  std::uint64_t done = 0;
  std::thread timer([&] {
    std::this_thread::sleep_for(std::chrono::duration<double>(end - measurement::wall_now()));
    done = s.done.load();
    over = true;
  });
  auto results =
      executor.map([&](int) { return call(); }, std::views::iota(0), {.buffersize = window});
  for (auto it = results.begin(); !over && it != results.end(); ++it) {
  }
  timer.join();
  return double(done);
}

double run_threads(const workload& w, std::size_t width, double seconds) {
  scene s;
  s.half_time = clock_type::now() + duration(static_cast<std::int64_t>(5e8 * seconds));
  plait::thread_pool_executor pool(width);
  return feed(pool, s, seconds, [&] { return call_blocking(w, s), 1; });
}

// So many calls at once on so many loops, whatever they do.
double run_tasks(const workload& w, std::size_t loops, std::size_t width, double seconds) {
  scene s;
  s.half_time = clock_type::now() + duration(static_cast<std::int64_t>(5e8 * seconds));
  plait::auto_executor executor({.min_tasks = width, .max_tasks = width, .cores = loops});
  return feed(executor, s, seconds, [&] { return call_awaiting(w, s); });
}

// The limit: so many coroutines on each of the loops, each one call after another, with nobody who
// submits them and no results.
double run_loops(const workload& w, std::size_t loops, std::size_t width, double seconds) {
  scene s;
  s.half_time = clock_type::now() + duration(static_cast<std::int64_t>(5e8 * seconds));
  std::atomic<bool> over{false};
  double done = 0;
  plait::event_loop_group group({.loops = loops});
  const auto again = [&]() -> plait::task<> {
    while (!over.load(std::memory_order_relaxed)) {
      co_await call_awaiting(w, s);
      co_await plait::sleep(0ns);  // others' turn
    }
  };
  for (std::size_t i = 0; i < width; ++i) group.submit(again);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  done = double(s.done.load());
  over = true;
  group.shutdown({.pending = plait::shutdown_options::pending_calls::cancel});
  return done;
}

struct chosen {
  double done = 0;
  plait::auto_report report;
};
chosen run_auto(const workload& w, bool as_coroutines, std::size_t cores, double seconds) {
  scene s;
  s.half_time = clock_type::now() + duration(static_cast<std::int64_t>(5e8 * seconds));
  // As wide as the widest fixed choice, and no wider.
  plait::auto_executor executor({.max_tasks = 1024, .cores = cores});
  chosen c;
  if (as_coroutines) {
    c.done = feed(executor, s, seconds, [&] { return call_awaiting(w, s); });
  } else {
    c.done = feed(executor, s, seconds, [&] { return call_blocking(w, s), 1; });
  }
  c.report = executor.report();
  return c;
}

struct choice {
  std::size_t loops, width;  // no loops: threads
  double rate = 0;
  double run(const workload& w, double seconds) const {
    return (loops == 0 ? run_threads(w, width, seconds) : run_tasks(w, loops, width, seconds)) /
           seconds;
  }
  std::string name() const {
    return (loops == 0 ? "threads" : std::to_string(loops) + "loops") + "/" + std::to_string(width);
  }
};

double limit_of(const workload& w, double seconds) {
  double best = 0;
  for (const std::size_t width : {16, 128, 512})
    best = std::max(best, run_loops(w, 2, width, seconds) / seconds);
  return best;
}

std::vector<choice> all_choices() {
  std::vector<choice> all;
  for (std::size_t n = 1; n <= 256; n *= 2) all.push_back({0, n});
  for (const std::size_t loops : {1, 2})
    for (const std::size_t width : {16, 64, 256, 1024}) all.push_back({loops, width});
  return all;
}

double median(std::vector<double> of) {
  std::sort(of.begin(), of.end());
  const std::size_t n = of.size();
  return n == 0 ? 0 : (of[(n - 1) / 2] + of[n / 2]) / 2;
}

struct regrets {
  std::vector<double> as_written, awaiting, blocking, two_threads, many_threads;
  double classified = 0;
};

void measure_one(const workload& w, double seconds, std::size_t cores, int repeats, regrets& sum) {
  auto choices = all_choices();
  const double shortly = std::min(seconds, 0.4);
  if (seconds < 0.1)  // nothing is to be measured
    std::erase_if(choices, [](const choice& c) { return c.width != 2 && c.width != 64; });
  for (auto& c : choices) c.rate = c.run(w, shortly);
  const auto better = [](const choice& a, const choice& b) { return a.rate < b.rate; };
  const auto first_loop =
      std::find_if(choices.begin(), choices.end(), [](auto& c) { return c.loops; });
  const choice threads = *std::max_element(choices.begin(), first_loop, better);
  const choice loops = *std::max_element(first_loop, choices.end(), better);
  double by_threads = 0, by_loops = 0, awaiting = 0, blocking = 0;
  plait::auto_report last_awaiting, last_blocking;
  for (int i = 0; i < repeats; ++i) {
    by_threads += threads.run(w, seconds) / repeats;
    const auto a = run_auto(w, true, cores, seconds);
    by_loops += loops.run(w, seconds) / repeats;
    const auto b = run_auto(w, false, cores, seconds);
    awaiting += a.done / seconds / repeats;
    blocking += b.done / seconds / repeats;
    last_awaiting = a.report;
    last_blocking = b.report;
  }
  const double best = std::max(by_threads, by_loops);
  const auto regret = [](double of, double ideal) {
    return ideal > 0 ? 100 * (1 - of / ideal) : 0;
  };
  const auto rate_of = [&](std::size_t width) {
    return std::find_if(choices.begin(), choices.end(), [&](auto& c) { return c.width == width; })
        ->rate;
  };
  const double ideal_shortly = std::max(threads.rate, loops.rate), limit = limit_of(w, shortly);
  sum.awaiting.push_back(regret(awaiting, best));
  sum.as_written.push_back(regret(w.as == workload::form::function ? blocking : awaiting, best));
  sum.blocking.push_back(regret(blocking, by_threads));
  sum.two_threads.push_back(regret(rate_of(2), ideal_shortly));
  sum.many_threads.push_back(regret(rate_of(64), ideal_shortly));
  sum.classified = std::max(sum.classified, double(last_blocking.blocking.classified_after));
  std::printf(
      "R bench=regret_%s impl=plait best=%s best_rate=%.0f best_threads=%s best_threads_rate=%.0f "
      "regret=%.1f regret_awaiting=%.1f regret_blocking=%.1f rate=%.0f rate_blocking=%.0f "
      "limit_rate=%.0f "
      "tasks=%zu threads=%zu "
      "classified=%llu two_threads=%.1f many_threads=%.1f\n",
      w.name, (by_threads > by_loops ? threads : loops).name().c_str(), best,
      threads.name().c_str(), by_threads, sum.as_written.back(), sum.awaiting.back(),
      sum.blocking.back(), awaiting, blocking, limit, last_awaiting.awaiting.width,
      last_blocking.blocking.width,
      static_cast<unsigned long long>(last_blocking.blocking.classified_after),
      sum.two_threads.back(), sum.many_threads.back());
  std::fflush(stdout);
}

void regret(const measurement::arguments& given) {
  calibrate();
  const double seconds = double(given.n_or(3000)) * 1e-3;
  regrets sum;
  const measurement::stopwatch watch;
  for (const auto& w : all_workloads()) {
    if (const auto colon = given.target.find(':');
        colon != std::string::npos && given.target.substr(colon + 1) != w.name)
      continue;
    measure_one(w, seconds, static_cast<std::size_t>(given.workers), std::max(1, given.repeats),
                sum);
  }
  const auto worst = [](const std::vector<double>& of) {
    return of.empty() ? 0 : *std::max_element(of.begin(), of.end());
  };
  measurement::report("regret", "plait", double(sum.as_written.size()), watch.read(),
                      {{"median", median(sum.as_written)},
                       {"worst", worst(sum.as_written)},
                       {"median_awaiting", median(sum.awaiting)},
                       {"worst_awaiting", worst(sum.awaiting)},
                       {"median_blocking", median(sum.blocking)},
                       {"worst_blocking", worst(sum.blocking)},
                       {"median_two_threads", median(sum.two_threads)},
                       {"worst_two_threads", worst(sum.two_threads)},
                       {"median_many_threads", median(sum.many_threads)},
                       {"worst_many_threads", worst(sum.many_threads)},
                       {"classified", sum.classified}});
}

void submit_get(const measurement::arguments& given) {
  const auto n = static_cast<std::size_t>(given.workers);
  plait::auto_executor executor({.min_threads = n, .max_threads = n});
  workloads::submit_then_get(
      given, "plait", [&](int i) { return executor.submit([i] { return i; }); },
      [](plait::future<int>& pending) { return pending.get(); });
}

void idle(const measurement::arguments& given) {
  plait::auto_executor executor;
  std::vector<int> items(1000);
  executor.map([](int x) { return x; }, items).to_vector();
  executor.map([](int x) -> plait::task<int> { co_return x; }, items).to_vector();
  workloads::idle_cpu(given, "plait");
}

}  // namespace

int main(int argc, char** argv) {
  measurement::keep_freed_memory();
  return measurement::run_mode(argc, argv,
                               {{"regret", regret}, {"submit_get", submit_get}, {"idle", idle}});
}
