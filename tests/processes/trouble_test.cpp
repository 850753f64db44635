// What breaks on the way to a worker and back: codecs that throw, exit or crash at each of the four
// places where one runs; crashes and limits during a shutdown; what a call leaves in its worker.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "plait/processes.hpp"
#include "plait/testing/gate.hpp"

namespace {

using plait::process_pool_executor;

enum class place { nowhere, arguments_out, arguments_in, execution, result_out, result_in };
enum class act { throws, exits, crashes };

// A value whose codec misbehaves at one place.
struct trouble {
  place where = place::nowhere;
  act what = act::throws;
  pid_t program = getpid();
  void strike_at(place in_the_program, place in_a_worker) const {
    if (where != (getpid() == program ? in_the_program : in_a_worker)) return;
    if (what == act::exits) std::_Exit(5);
    if (what == act::crashes) raise(SIGKILL);
    throw std::range_error("cannot be coded");
  }
};

// The same behind so many bytes that were already on their way.
struct loaded {
  trouble t;
  std::string load;
};

// Counts the objects of this process.
struct counted {
  counted() { ++alive; }
  counted(const counted&) { ++alive; }
  ~counted() { --alive; }
  static inline std::atomic<int> alive = 0;
};

}  // namespace

template <>
struct plait::codec<trouble> {
  static void encode(encoder& to, const trouble& t) {
    t.strike_at(place::arguments_out, place::result_out);
    to.write_plain(t);
  }
  static trouble decode(decoder& from) {
    const auto t = from.read_plain<trouble>();
    t.strike_at(place::result_in, place::arguments_in);
    return t;
  }
};
template <>
struct plait::codec<loaded> {
  static void encode(encoder& to, const loaded& l) {
    codec<std::string>::encode(to, l.load);
    codec<trouble>::encode(to, l.t);
  }
  static loaded decode(decoder& from) {
    auto load = codec<std::string>::decode(from);
    return {codec<trouble>::decode(from), std::move(load)};
  }
};
template <>
struct plait::codec<counted> {
  static void encode(encoder& to, const counted&) { to.write_plain(0); }
  static counted decode(decoder& from) {
    from.read_plain<int>();
    return {};
  }
};

namespace {

trouble pass_on(trouble t) { return t; }
int twice(int n) { return 2 * n; }
int pass_then_exit(std::string gate_name) {
  plait::testing::gate::pass(gate_name);
  std::_Exit(3);
}

TEST(Trouble, ArgumentsThatCannotBeEncodedFailTheSubmitAndNobodyElse) {
  process_pool_executor pool{1};
  const auto before = pool.submit(twice, 1);
  EXPECT_THROW(pool.submit(pass_on, trouble{place::arguments_out}), std::range_error);
  EXPECT_EQ(before.get(), 2);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST(Trouble, ACodecThatThrowsFailsItsOwnCallWhereverItRuns) {
  process_pool_executor pool{1};
  for (const auto where : {place::arguments_in, place::result_out, place::result_in}) {
    const auto fails = pool.submit(pass_on, trouble{where});
    const auto behind = pool.submit(twice, 2);
    EXPECT_THROW(fails.get(), std::range_error) << static_cast<int>(where);
    EXPECT_EQ(behind.get(), 4);
  }
  EXPECT_EQ(pool.statistics().crashed, 0u);
}

TEST(Trouble, ACodecThatEndsTheWorkerCostsItsOwnCall) {
  process_pool_executor pool{1};
  for (const auto where : {place::arguments_in, place::result_out})
    for (const auto what : {act::exits, act::crashes}) {
      const auto dies = pool.submit(pass_on, trouble{where, what});
      const auto behind = pool.submit(twice, 2);
      EXPECT_THROW(dies.get(), plait::worker_crashed) << static_cast<int>(where);
      EXPECT_EQ(behind.get(), 4);
    }
}

TEST(Trouble, ShutdownAfterArgumentsThatCouldNotBeEncodedEnds) {  // CPython bpo-39104
  process_pool_executor pool{2};
  pool.submit(twice, 1).get();
  EXPECT_THROW(pool.submit(pass_on, trouble{place::arguments_out}), std::range_error);
  pool.shutdown();
}

TEST(Trouble, AWorkerThatDiesDuringAShutdownDoesNotHoldItUp) {
  process_pool_executor pool{2};
  const plait::testing::gate gate;
  const auto dies = pool.submit(pass_then_exit, gate.name());
  gate.wait_for_arrival();
  const auto other = pool.submit(twice, 1);
  std::thread closer([&] { pool.shutdown(); });
  other.wait();
  gate.open();
  closer.join();
  EXPECT_THROW(dies.get(), plait::worker_crashed);
  EXPECT_EQ(other.get(), 2);
}

// CPython gh-119592 and gh-132969: workers at their limit were not replaced during a shutdown.
TEST(Trouble, AShutdownWorksOffItsBacklogWithWorkersThatAreReplaced) {
  for (const std::size_t workers : {1, 2, 4}) {
    process_pool_executor pool{{.max_workers = workers, .max_tasks_per_child = 1}};
    std::vector<plait::future<int>> calls;
    for (int i = 0; i < 12; ++i) calls.push_back(pool.submit(twice, i));
    const auto fails = pool.submit([]() -> int { throw std::range_error("one that fails"); });
    calls.push_back(pool.submit(twice, 12));
    pool.shutdown();
    for (int i = 0; i < 13; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), 2 * i);
    EXPECT_THROW(fails.get(), std::range_error);
  }
}

TEST(Trouble, NothingOfACallIsLeftInItsWorker) {
  {  // who decodes a result lets go of its own copy behind the future's end
    process_pool_executor pool{1};
    for (int i = 0; i < 5; ++i) {
      pool.submit([](const counted&) { return counted(); }, counted()).get();
      EXPECT_EQ(pool.submit([] { return counted::alive.load(); }).get(), 0);
    }
  }
  EXPECT_EQ(counted::alive, 0);
}

TEST(Trouble, AnIdleWorkerIsUsedBeforeAnotherIsStarted) {
  process_pool_executor pool{4};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.submit(twice, i).get(), 2 * i);
  EXPECT_EQ(pool.statistics().started, 1u);
}

// CPython's test_deadlock and gh-94777 as one table: what goes wrong, where, with how much under way.
using trouble_case = std::tuple<place, act, std::size_t>;
class EveryTrouble : public testing::TestWithParam<trouble_case> {};

loaded run_into(loaded l) {
  if (l.t.where == place::execution) l.t.strike_at(place::nowhere, place::execution);
  return l;
}

TEST_P(EveryTrouble, CostsItsOwnCallAndNothingHangs) {
  const auto [where, what, bytes] = GetParam();
  process_pool_executor pool{2};
  const loaded good{{}, std::string(bytes, 'g')};
  std::vector<plait::future<loaded>> others;
  for (int i = 0; i < 3; ++i) others.push_back(pool.submit(run_into, good));
  const loaded bad{{where, what}, std::string(bytes, 'b')};
  if (where == place::arguments_out) {
    EXPECT_THROW(pool.submit(run_into, bad), std::range_error);
  } else {
    const auto fails = pool.submit(run_into, bad);
    for (int i = 0; i < 3; ++i) others.push_back(pool.submit(run_into, good));
    if (what == act::throws)
      EXPECT_THROW(fails.get(), std::range_error);
    else
      EXPECT_THROW(fails.get(), plait::worker_crashed);
  }
  for (auto& f : others) EXPECT_EQ(f.get().load, good.load);
  pool.shutdown();
}
// In this program only what throws can be survived.
INSTANTIATE_TEST_SUITE_P(InAWorker, EveryTrouble,
                         testing::Combine(testing::Values(place::arguments_in, place::execution,
                                                          place::result_out),
                                          testing::Values(act::throws, act::exits, act::crashes),
                                          testing::Values(0u, 20'000u, 3'000'000u)));
INSTANTIATE_TEST_SUITE_P(InTheProgram, EveryTrouble,
                         testing::Combine(testing::Values(place::arguments_out, place::result_in),
                                          testing::Values(act::throws),
                                          testing::Values(0u, 20'000u, 3'000'000u)));

}  // namespace
