// tests/soak/traffic.hpp: what callers do with the engines, at random, and what they expect.
#pragma once

#include "house.hpp"

namespace soak {

struct all_tallies {
  tally threads{"threads"}, coroutines{"coroutines"}, processes{"processes"}, http{"http"};
  tally sqlite{"celery/sqlite"}, redis{"celery/redis"};
  std::vector<tally*> list() { return {&threads, &coroutines, &processes, &http, &sqlite, &redis}; }
};

using moment = std::chrono::steady_clock::time_point;
inline bool before(moment end) { return std::chrono::steady_clock::now() < end; }

inline std::uint64_t fibonacci(std::uint64_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

// ---- threads -------------------------------------------------------------------------------------

// Each call submits to its own pool and waits.
inline std::uint64_t forked(plait::thread_pool_executor& pool, std::uint64_t n) {
  if (n < 2) return n;
  auto other = pool.submit(forked, std::ref(pool), n - 1);
  const std::uint64_t here = forked(pool, n - 2);
  return here + other.get();
}

inline std::uint64_t until_stopped(const std::stop_token& stop) {
  for (int i = 0; i < 20 && !stop.stop_requested(); ++i) std::this_thread::sleep_for(1ms);
  if (stop.stop_requested()) throw plait::cancelled_error();
  return 20;
}

inline void use_threads(house& all, random_source random, moment end, tally& counted) {
  while (before(end)) {
    std::vector<plait::future<std::uint64_t>> calls;
    for (int i = 0; i < 32; ++i) {
      const auto n = 5 + random.below(8);
      switch (random.below(4)) {
        case 0:
          calls.push_back(all.threads.submit(forked, std::ref(all.threads), n));
          break;
        case 1:
          calls.push_back(all.threads.submit(until_stopped));
          if (random.one_in(2)) calls.back().cancel();
          break;
        case 2:
          calls.push_back(all.threads.submit([]() -> std::uint64_t { throw deliberate(); }));
          break;
        default: {
          const auto wanted = fibonacci(n);
          auto call = all.threads.submit(fibonacci, n);
          counted.settle(call, &wanted);
        }
      }
      if (!calls.empty() && random.one_in(16)) calls.pop_back();  // nobody asks for its end
    }
    for (auto call : plait::as_completed(calls)) counted.settle(call);
  }
}

// ---- coroutines ----------------------------------------------------------------------------------

inline task<> produce(plait::queue<int>& into, int count) {
  for (int i = 1; i <= count; ++i) co_await into.put(i);
  co_await into.put(0);
}
inline task<int> consume(plait::queue<int>& from) {
  int sum = 0;
  while (const int item = co_await from.get()) sum += item;
  co_return sum;
}
inline task<> fail_later(plait::duration after) {
  co_await plait::sleep(after);
  throw deliberate();
}

// One group of children, which ends in one of the ways in which a group can end.
inline task<> one_group(house& all, random_source random, tally& counted) {
  plait::queue<int> items{4};
  const int count = 1 + static_cast<int>(random.below(50));
  const auto ending = random.below(4);
  int sum = 0;
  auto body = [&](plait::task_group& group) -> task<> {
    group.start(produce, std::ref(items), count);
    for (int i = 0; i < 8; ++i)
      group.start(plait::sleep(std::chrono::microseconds(random.below(3000))));
    group.start(all.threads.submit(fibonacci, std::uint64_t{12}));
    if (ending == 0) group.start(fail_later, std::chrono::microseconds(random.below(2000)));
    sum = co_await consume(items);
    if (ending == 1) group.cancel();
    if (ending == 2) co_await plait::sleep(1h);  // the deadline ends it
  };
  try {
    co_await plait::timeout(20ms, plait::with_task_group(std::ref(body)));
    if (ending == 3 && sum != count * (count + 1) / 2) counted.complain("a wrong sum");
    ++counted.done;
  } catch (const plait::exception_group&) {
    ++counted.failed;
  } catch (...) {
    counted.count_exception();
  }
}

inline task<> many_groups(house& all, random_source random, moment end, tally& counted) {
  while (before(end)) {
    std::vector<task<>> side_by_side;
    for (int i = 0; i < 16; ++i) side_by_side.push_back(one_group(all, random.split(), counted));
    co_await plait::gather(std::move(side_by_side));
  }
}

inline void use_coroutines(house& all, random_source random, moment end, tally& counted) {
  plait::run(many_groups(all, random, end, counted));
}

// ---- processes -----------------------------------------------------------------------------------

inline std::uint64_t die(int how) {
  if (how == 0) std::abort();
  if (how == 1) raise(SIGKILL);
  _exit(3);
}
inline std::uint64_t loop_for_ever() {
  for (;;) pause();
}
inline std::string twice(const std::string& text) { return text + text; }

inline void use_processes(house& all, random_source random, moment end, tally& counted) {
  const std::string large(100'000, 'y'), larger = twice(large);
  while (before(end)) {
    std::vector<plait::future<std::uint64_t>> calls;
    std::vector<plait::future<std::string>> texts;
    for (int i = 0; i < 16; ++i) {
      switch (random.below(16)) {
        case 0:
          calls.push_back(all.processes.submit(die, static_cast<int>(random.below(3))));
          break;
        case 1:
          calls.push_back(all.processes.with({.timeout = 5ms}).submit(loop_for_ever));
          break;
        case 2:
          calls.push_back(all.processes.submit(loop_for_ever));
          all.processes.kill(calls.back());
          break;
        case 3:
          calls.push_back(all.processes.submit(fibonacci, std::uint64_t{15}));
          calls.back().cancel();
          break;
        case 4:
          texts.push_back(all.processes.submit(twice, large));
          break;
        default:
          calls.push_back(all.processes.with({.retries = 3}).submit(fibonacci, std::uint64_t{15}));
      }
    }
    for (auto& call : calls) counted.settle(call);
    for (auto& text : texts) counted.settle(text, &larger);
  }
}

// ---- http ----------------------------------------------------------------------------------------

inline task<> one_request(plait::http::client_session& session, std::string url,
                          random_source random, tally& counted) {
  try {
    const std::size_t size = random.below(random.one_in(8) ? 300'000 : 2'000);
    std::string wanted;
    plait::http::response answer;
    switch (random.below(4)) {
      case 0:
        wanted = std::string(size, 'z');
        answer = co_await session.post(url + "/echo",
                                       plait::http::request_options().with_content(wanted));
        break;
      case 1:
        answer = co_await plait::timeout(std::chrono::milliseconds(random.below(60)),
                                         session.get(url + "/slow"));
        break;
      default:
        wanted = std::string(size, 'x');
        answer = co_await session.get(url + "/bytes/" + std::to_string(size));
    }
    if (answer.status_code != 200 || answer.content != wanted)
      counted.complain("a wrong answer, " + std::to_string(answer.status_code));
    ++counted.done;
  } catch (...) {
    counted.count_exception();
  }
}

inline task<> many_requests(house& all, random_source random, moment end, tally& counted) {
  plait::http::client_session session;
  const std::string direct = all.server.url();
  const std::string cut = "http://127.0.0.1:" + std::to_string(all.cut.port());
  while (before(end)) {
    std::vector<task<>> side_by_side;
    for (int i = 0; i < 16; ++i) {
      side_by_side.push_back(
          one_request(session, random.one_in(3) ? cut : direct, random.split(), counted));
    }
    co_await plait::gather(std::move(side_by_side));
  }
}

inline void use_http(house& all, random_source random, moment end, tally& counted) {
  plait::run(many_requests(all, random, end, counted));
}

// ---- celery --------------------------------------------------------------------------------------

inline void use_celery(office& at, random_source random, moment end, tally& counted) {
  while (before(end)) {
    std::vector<plait::future<std::string>> texts;
    for (int i = 0; i < 8; ++i) {
      const int a = static_cast<int>(random.below(1000)), sum = a + 1;
      switch (random.below(3)) {
        case 0: {
          auto call = at.add_task().delay(a, 1);
          counted.settle(call, &sum);
          break;
        }
        case 1:
          texts.push_back(at.flaky_task().delay(std::string(random.below(100), 'q')));
          break;
        default:
          texts.push_back(at.flaky_task().delay(std::string("abcd")));
          texts.back().cancel();
      }
    }
    for (auto& text : texts) counted.settle(text);
  }
}

}  // namespace soak
