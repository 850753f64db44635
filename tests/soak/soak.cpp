// tests/soak/soak.cpp: every engine at once under faults, for as long as you like; then this process
// has to hold what it held before.
//
//   soak [--seconds 120] [--seed N] [--leak KIND] [--only ENGINE]
//
// A house of engines is lived in twice for warming up, then measured; then a third is lived in for
// the time that was asked for, torn down, and measured again. A life is made of laps: callers use
// all engines while worker processes are killed, connections cut and Redis is killed and started
// anew. Whatever was called has ended at the end of a lap.
//
// Fails:    more or fewer descriptors, threads or children than before; 2 % more memory in use, or
//           more resident (see ledger.hpp) than 1 MB and what lies scattered of a tenth of the most that
//           was in use, which has a bound, while a leak has none; a call that does not end; a wrong value; an
//           engine that got nothing done.
// --leak:   descriptor, thread, child, heap, mapping or value: does that on purpose, after warming up.
//           Each check can fail.
// --only:   three callers of this engine, as the tally names it, and none of the others: for a look at a
//           fault that was found.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "ledger.hpp"
#include "traffic.hpp"

extern char** environ;

namespace soak {
namespace {

struct wishes {
  int seconds = 120;
  std::uint64_t seed = 0;
  std::string leak = {}, only = {};
};

// A worker process: the child of a pool's supervisor, which is our child.
bool kill_a_worker(random_source& random) {
  const auto all = descendants();
  std::vector<int> workers;
  for (const process& each : all)
    if (each.parent != getpid() && each.what[0] != 'Z') workers.push_back(each.pid);
  if (workers.empty()) return false;
  return kill(workers[random.below(workers.size())], SIGKILL) == 0;
}

struct faults {
  std::uint64_t workers_killed = 0, redis_restarts = 0;
};

void one_lap(house& all, random_source random, std::chrono::milliseconds length,
             all_tallies& counted, faults& done, const std::string& only) {
  const moment end = std::chrono::steady_clock::now() + length;
  std::vector<std::jthread> callers;
  const auto start = [&](auto use, auto& engine, tally& of) {
    const int times = only.empty() ? 1 : only == of.engine ? 3 : 0;
    for (int i = 0; i < times; ++i) {
      callers.emplace_back([&engine, use, end, &of, own = random.split()] {
        try {
          use(engine, own, end, of);
        } catch (...) {
          of.count_exception();
        }
      });
    }
  };
  start(use_threads, all, counted.threads);
  start(use_coroutines, all, counted.coroutines);
  start(use_processes, all, counted.processes);
  start(use_http, all, counted.http);
  start(use_celery, all.by_sqlite, counted.sqlite);
  start(use_celery, all.by_redis, counted.redis);
  const bool restart = random.one_in(2);
  const moment when = end - length / 2;
  for (bool restarted = !restart; before(end);) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random.below(200)));
    done.workers_killed += kill_a_worker(random);
    if (!restarted && !before(when)) {
      all.redis.stop(SIGKILL);
      all.redis.start();
      ++done.redis_restarts;
      restarted = true;
    }
  }
}

void live(random_source& random, std::chrono::seconds span, std::chrono::milliseconds lap,
          all_tallies& counted, faults& done, std::vector<std::size_t>& heaps,
          const std::string& only) {
  house all(random.split(), counted.sqlite, counted.redis);
  const moment end = std::chrono::steady_clock::now() + span;
  do {
    one_lap(all, random.split(), lap, counted, done, only);
    heaps.push_back(mallinfo2().uordblks + mallinfo2().hblkhd);
  } while (before(end));
}

// Redis writes its file anew in a child of its own, which is ours when Redis is killed meanwhile. No
// other Redis is there between two lives.
void bury_orphans_of_redis() {
  for (const process& each : descendants())
    if (each.parent == getpid() && each.what.ends_with("(redis-server)"))
      waitpid(each.pid, nullptr, WNOHANG);
}

// Threads and processes take a moment to be gone from /proc; memory that is given back by a thread
// at its end too.
ledger settled(const ledger* expected = nullptr) {
  ledger now = ledger::take();
  for (int i = 0; i < 50; ++i) {
    std::this_thread::sleep_for(100ms);
    bury_orphans_of_redis();
    ledger next = ledger::take();
    const bool still = next.holds_the_same(now) && next.resident == now.resident;
    now = std::move(next);
    if (still && i >= 5 && (expected == nullptr || now.holds_the_same(*expected))) break;
  }
  return now;
}

int the_child = 0;
void leak(const std::string& what, std::size_t heap) {
  if (what == "descriptor") open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (what == "thread") std::thread([] { pause(); }).detach();
  if (what == "heap") std::memset(std::malloc(heap / 20), 1, heap / 20);
  if (what == "mapping") {
    constexpr std::size_t bytes = 4 << 20;
    std::memset(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1,
                bytes);
  }
  if (what == "value") ++tally::wrong;
  if (what == "child") {
    char name[] = "sleep", time[] = "600";
    char* words[] = {name, time, nullptr};
    posix_spawnp(&the_child, name, nullptr, nullptr, words, environ);
  }
}

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e6; }

// Prints each check; the number of those that failed.
int judge(const ledger& first, const ledger& last, std::size_t most_heap, all_tallies& counted,
          const std::string& only) {
  int failed = 0;
  const auto check = [&](const char* what, bool good, const std::string& detail) {
    std::printf("%-12s %s%s\n", what, good ? "ok     " : "FAILED ", detail.c_str());
    failed += !good;
  };
  const auto lists = [&](const char* what, const auto& before_it, const auto& after_it) {
    check(what, before_it == after_it,
          std::to_string(before_it.size()) + " before, " + std::to_string(after_it.size()) +
              " after" + difference(before_it, after_it));
  };
  lists("descriptors", first.descriptors, last.descriptors);
  lists("threads", first.threads, last.threads);
  lists("children", first.children, last.children);
  const auto bytes = [&](const char* what, std::size_t old, std::size_t now, std::size_t more) {
    char text[80];
    std::snprintf(text, sizeof text, "%.3f MB before, %.3f MB after", megabytes(old),
                  megabytes(now));
    check(what, now <= old + more, text);
  };
  bytes("heap", first.heap, last.heap, first.heap / 50);
  bytes("resident", first.resident, last.resident, 1'000'000 + most_heap / 10);
  check("values", tally::wrong == 0, std::to_string(tally::wrong) + " wrong");
  for (const tally* each : counted.list()) {
    const bool is_used = only.empty() || only == each->engine;
    if (is_used && each->done == 0) check(each->engine, false, "nothing was done");
  }
  return failed;
}

int soak(const wishes& wanted) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  plait::set_unhandled_exception_handler([](const plait::unhandled_exception&) noexcept {});
  std::printf("soak: --seconds %d --seed %llu\n", wanted.seconds,
              static_cast<unsigned long long>(wanted.seed));
  random_source random(wanted.seed);
  all_tallies warming, counted;
  faults ignored, done;
  std::vector<std::size_t> heaps;
  heaps.reserve(100'000);
  const auto warm_up = std::chrono::seconds(std::min(20, wanted.seconds / 8));
  ledger first;
  const auto lap = wanted.leak.empty() ? 2500ms : 300ms;
  for (int i = 0; i < 2; ++i) {
    live(random, warm_up, lap, warming, ignored, heaps, wanted.only);
    first = settled();
    std::printf("warmed up: heap %.3f MB, resident %.2f MB\n", megabytes(first.heap),
                megabytes(first.resident));
  }
  leak(wanted.leak, first.heap);
  heaps.clear();
  live(random, std::chrono::seconds(wanted.seconds) - std::min(2 * warm_up, 40s), lap, counted,
       done, heaps, wanted.only);
  const ledger last = settled(&first);

  std::printf("%zu laps; %llu worker processes killed, %llu times Redis\n", heaps.size(),
              static_cast<unsigned long long>(done.workers_killed),
              static_cast<unsigned long long>(done.redis_restarts));
  for (const tally* each : counted.list()) each->print();
  const std::size_t third = (heaps.size() + 2) / 3;
  std::printf(
      "heap in use between laps, at most: %.2f MB in the first third, %.2f MB in the last\n",
      megabytes(*std::max_element(heaps.begin(), heaps.begin() + static_cast<long>(third))),
      megabytes(*std::max_element(heaps.end() - static_cast<long>(third), heaps.end())));
  const int failed =
      judge(first, last, *std::max_element(heaps.begin(), heaps.end()), counted, wanted.only);
  if (the_child > 0) kill(the_child, SIGKILL);
  std::printf("soak: %s\n", failed == 0 ? "all is as it was" : "FAILED");
  std::fflush(nullptr);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace soak

int main(int argc, char** argv) {
  // Stacks of ended threads are given back at once, and threads share two arenas: else it depends on
  // who ran when how much free memory lies about. The C library reads this when a program starts.
  if (getenv("GLIBC_TUNABLES") == nullptr) {
    setenv("GLIBC_TUNABLES", "glibc.pthread.stack_cache_size=0:glibc.malloc.arena_max=2", 1);
    execv("/proc/self/exe", argv);
  }
  soak::wishes wanted{.seed = std::random_device{}()};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], next = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--seconds")
      wanted.seconds = std::max(1, std::atoi(next.c_str()));
    else if (word == "--seed")
      wanted.seed = std::strtoull(next.c_str(), nullptr, 0);
    else if (word == "--leak")
      wanted.leak = next;
    else if (word == "--only")
      wanted.only = next;
    else {
      std::fprintf(stderr, "soak [--seconds 120] [--seed N] [--leak KIND] [--only ENGINE]\n");
      return 2;
    }
    ++i;
  }
  return soak::soak(wanted);
}
