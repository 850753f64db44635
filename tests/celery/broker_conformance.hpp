// What every broker and backend promises, whatever it keeps its messages in. A store takes part with
//
//   struct my_store {
//     my_store();                 // an empty one
//     bool available() const;     // false: the tests are skipped
//     std::string url() const;    // several transports may be opened on it
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mine, BrokerConformance, my_store);
//
// A queue in RabbitMQ (`static constexpr bool is_rabbitmq = true`) cannot promise all of it: a lease
// lasts as long as its connection, not a time; what is given back counts as handed out; and rpc:// sends
// results to one client instead of keeping them. What it promises instead has tests of its own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "celery/transport.hpp"
#include "celery/wall_clock.hpp"
#include "plait/coroutines.hpp"

namespace broker_conformance {

using namespace std::chrono_literals;
namespace seam = plait::celery::detail;
using plait::task;

inline seam::parcel parcel_of(std::string envelope, std::string queue = "celery",
                              int priority = 0) {
  return {std::move(envelope), std::move(queue), priority};
}

// GCC 12 cannot have braces in what is awaited: these make the vectors.
template <class T, class... More>
std::vector<T> just(T first, More... more) {
  return {std::move(first), std::move(more)...};
}
inline std::vector<std::string> queues(std::string name = "celery") { return {std::move(name)}; }
inline std::vector<seam::ending> ended(std::string tag) {
  std::vector<seam::ending> one(1);
  one[0].tag = std::move(tag);
  return one;
}
inline seam::stored_result result_of(std::string id, std::string state) {
  return {std::move(id), state, "{\"status\": \"" + state + "\"}"};
}

inline std::vector<std::string> envelopes(const std::vector<seam::delivery>& all) {
  std::vector<std::string> texts;
  for (const auto& d : all) texts.push_back(d.envelope);
  return texts;
}

using texts = std::vector<std::string>;

template <class Store>
constexpr bool is_rabbitmq = requires {
  requires Store::is_rabbitmq;
};

template <class Future>
task<bool> throws_cancelled(Future f) {
  try {
    static_cast<void>(co_await std::move(f));
  } catch (const plait::cancelled_error&) {
    co_return true;
  }
  co_return false;
}

template <class Store>
class BrokerConformance : public testing::Test {
 protected:
  // Runs body(a, b) on a loop of its own with two transports of the store.
  template <class F>
  void with_two(F body) {
    if (!store_.available()) GTEST_SKIP() << "the store is not there";
    plait::run(run(body, store_.url()));
  }
  Store store_;

 private:
  template <class F>
  static task<> run(F& body, std::string url) {
    auto a = co_await seam::open_transport(url);
    auto b = co_await seam::open_transport(url);
    std::exception_ptr failed;
    try {
      co_await plait::timeout(20s, body(*a, *b));
    } catch (...) {
      failed = std::current_exception();
    }
    co_await a->close();
    co_await b->close();
    if (failed != nullptr) std::rethrow_exception(failed);
  }
};
TYPED_TEST_SUITE_P(BrokerConformance);

TYPED_TEST_P(BrokerConformance, AMessageComesBackByteForByteAndOnce) {
  const std::string odd("{\"body\": \"\xc3\xa9 \\u0000\"}");
  this->with_two([&](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of(odd)));
    const auto got = co_await b.broker().reserve(queues(), 10, 60s);
    EXPECT_EQ(envelopes(got), just<std::string>(odd));
    EXPECT_EQ(got[0].deliveries, 1u);
    EXPECT_EQ(got[0].queue, "celery");
    EXPECT_FALSE(co_await plait::move_on_after(20ms, a.broker().reserve(queues(), 1, 60s)));
    co_await b.broker().finish(ended(got[0].tag));
    const auto left = co_await a.broker().lengths(queues());
    EXPECT_EQ(left[0].waiting + left[0].leased + left[0].dead, 0u);
  });
}

TYPED_TEST_P(BrokerConformance, OneWhoSleepsIsWokenByAnother) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    const auto got = plait::spawn(b.broker().reserve(just<std::string>("other", "celery"), 1, 60s));
    co_await plait::sleep(10ms);  // asleep by now, or not: both must do
    co_await a.broker().publish(just(parcel_of("{\"n\":1}")));
    EXPECT_EQ(envelopes(co_await got), just<std::string>("{\"n\":1}"));
  });
}

TYPED_TEST_P(BrokerConformance, OrderIsByPriorityAndThenByTime) {
  this->with_two([](seam::transport& a, seam::transport&) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}", "celery", 9), parcel_of("{\"n\":2}"),
                                     parcel_of("{\"n\":3}", "celery", 3), parcel_of("{\"n\":4}")));
    texts order;
    for (int i = 0; i < 4; ++i)
      for (const auto& d : co_await a.broker().reserve(queues(), 1, 60s))
        order.push_back(d.envelope);
    EXPECT_EQ(order, just<std::string>("{\"n\":2}", "{\"n\":4}", "{\"n\":3}", "{\"n\":1}"));
  });
}

TYPED_TEST_P(BrokerConformance, AReserveTakesNoMoreThanItAskedFor) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    std::vector<seam::parcel> ten;
    for (int i = 0; i < 10; ++i) ten.push_back(parcel_of("{\"n\":" + std::to_string(i) + "}"));
    co_await a.broker().publish(ten);
    const auto first = co_await a.broker().reserve(queues(), 3, 60s);
    const auto second = co_await b.broker().reserve(queues(), 100, 60s);
    EXPECT_EQ(first.size(), 3u);
    EXPECT_EQ(second.size(), 7u);
    std::set<std::string> tags;
    for (const auto& d : first) tags.insert(d.tag);
    for (const auto& d : second) tags.insert(d.tag);
    EXPECT_EQ(tags.size(), 10u);
  });
}

TYPED_TEST_P(BrokerConformance, AnEndedLeaseComesBackAsADeliveryMore) {
  if (is_rabbitmq<TypeParam>) GTEST_SKIP() << "a lease lasts as long as its connection";
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}")));
    const auto lost = co_await a.broker().reserve(queues(), 1, 50ms);
    const auto again = co_await b.broker().reserve(queues(), 1, 60s);
    EXPECT_EQ(envelopes(again), envelopes(lost));
    EXPECT_EQ(again.at(0).deliveries, 2u);
    // The first one is too late for everything.
    const auto nobodys = co_await a.broker().renew(just(lost.at(0).tag), 60s);
    EXPECT_EQ(nobodys, just(lost[0].tag));
    co_await a.broker().finish(ended(lost[0].tag));
    co_await a.broker().restore(just(lost[0].tag), seam::broker::hand_out::counts);
    const auto lengths = co_await b.broker().lengths(queues());
    EXPECT_EQ(lengths[0].leased, 1u);
    const auto lost_now = co_await b.broker().renew(just(again[0].tag), 60s);
    EXPECT_TRUE(lost_now.empty());
  });
}

TYPED_TEST_P(BrokerConformance, ARenewedLeaseDoesNotEnd) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}")));
    const auto mine = co_await a.broker().reserve(queues(), 1, 400ms);
    const auto lost = co_await a.broker().renew(just(mine.at(0).tag), 60s);
    EXPECT_TRUE(lost.empty());
    EXPECT_FALSE(co_await plait::move_on_after(600ms, b.broker().reserve(queues(), 1, 60s)));
  });
}

TYPED_TEST_P(BrokerConformance, WhatIsRestoredIsTheNext) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}"), parcel_of("{\"n\":2}")));
    const auto first = co_await a.broker().reserve(queues(), 1, 60s);
    co_await a.broker().restore(just(first.at(0).tag), seam::broker::hand_out::does_not_count);
    const auto again = co_await b.broker().reserve(queues(), 1, 60s);
    EXPECT_EQ(envelopes(again), envelopes(first));
    EXPECT_EQ(again.at(0).deliveries, is_rabbitmq<TypeParam> ? 2u : 1u);
    if (is_rabbitmq<TypeParam>) co_return;  // what counts comes back as the last: see amqp_test.cpp
    co_await b.broker().restore(just(again[0].tag), seam::broker::hand_out::counts);
    const auto third = co_await b.broker().reserve(queues(), 1, 60s);
    EXPECT_EQ(third.at(0).deliveries, 2u);
  });
}

TYPED_TEST_P(BrokerConformance, WhatIsPublishedWithAnEndingIsThereWithIt) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}")));
    const auto mine = co_await a.broker().reserve(queues(), 1, 60s);
    auto ending = ended(mine.at(0).tag);
    ending[0].then = just(parcel_of("{\"n\":2}"));
    co_await a.broker().finish(ending);
    const auto next = co_await b.broker().reserve(queues(), 5, 60s);
    EXPECT_EQ(envelopes(next), just<std::string>("{\"n\":2}"));
  });
}

TYPED_TEST_P(BrokerConformance, TheDeadAreListedRetriedAndDropped) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    co_await a.broker().publish(just(parcel_of("{\"n\":1}"), parcel_of("{\"n\":2}")));
    const auto two = co_await a.broker().reserve(queues(), 2, 60s);
    std::vector<seam::ending> endings;
    for (const auto& d : two)
      endings.push_back({.tag = d.tag, .then = {}, .result = {}, .bury_because = "poison"});
    co_await a.broker().finish(endings);
    auto dead = co_await b.broker().dead("celery", 10);
    EXPECT_EQ(dead.size(), 2u);
    if (dead.size() != 2) co_return;
    std::sort(dead.begin(), dead.end(), [](auto& x, auto& y) { return x.envelope < y.envelope; });
    EXPECT_EQ(dead[0].envelope, "{\"n\":1}");
    EXPECT_EQ(dead[0].reason, "poison");
    EXPECT_GT(dead[0].died_at, 0);
    EXPECT_TRUE(co_await b.broker().retry_dead("celery", dead[0].id));
    EXPECT_FALSE(co_await b.broker().retry_dead("celery", dead[0].id));
    EXPECT_TRUE(co_await b.broker().drop_dead("celery", dead[1].id));
    const auto again = co_await a.broker().reserve(queues(), 5, 60s);
    EXPECT_EQ(envelopes(again), just<std::string>("{\"n\":1}"));
    EXPECT_EQ(again.at(0).deliveries, 1u);
    const auto lengths = co_await a.broker().lengths(queues());
    EXPECT_EQ(lengths[0].dead, 0u);
  });
}

TYPED_TEST_P(BrokerConformance, ASuccessNeverRegresses) {
  if (is_rabbitmq<TypeParam>) GTEST_SKIP() << "rpc:// keeps no results";
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    EXPECT_EQ(co_await a.backend().get("no-such-task"), std::nullopt);
    EXPECT_TRUE(co_await a.backend().store(result_of("t", "STARTED")));
    EXPECT_TRUE(co_await a.backend().store(result_of("t", "SUCCESS")));
    EXPECT_FALSE(co_await b.backend().store(result_of("t", "FAILURE")));
    EXPECT_EQ(co_await b.backend().get("t"), "{\"status\": \"SUCCESS\"}");
    EXPECT_EQ(co_await b.backend().wait("t"), "{\"status\": \"SUCCESS\"}");
    co_await a.backend().forget("t");
    EXPECT_EQ(co_await b.backend().get("t"), std::nullopt);
  });
}

TYPED_TEST_P(BrokerConformance, WhoWaitsForAResultHearsOfTheFinalOne) {
  if (is_rabbitmq<TypeParam>) GTEST_SKIP() << "rpc:// keeps no results";
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    const auto one = plait::spawn(b.backend().wait("t"));
    const auto two = plait::spawn(b.backend().wait("t"));
    const auto other = plait::spawn(b.backend().wait("u"));
    co_await plait::sleep(10ms);
    co_await a.backend().store(result_of("t", "STARTED"));
    co_await a.backend().store(result_of("t", "FAILURE"));
    EXPECT_EQ(co_await one, "{\"status\": \"FAILURE\"}");
    EXPECT_EQ(co_await two, "{\"status\": \"FAILURE\"}");
    EXPECT_FALSE(other.done());
    other.cancel();
    EXPECT_TRUE(co_await throws_cancelled(other));
  });
}

TYPED_TEST_P(BrokerConformance, AChordCountsEachPartOnce) {
  if (is_rabbitmq<TypeParam>) GTEST_SKIP() << "rpc:// keeps no results";
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    const auto part = [](const char* id, int index) {
      return seam::chord_part{"g", id, index, "[1,\"" + std::string(id) + "\",\"SUCCESS\",1]"};
    };
    co_await a.backend().begin_chord("g", 3);
    EXPECT_EQ(co_await a.backend().end_chord_part(part("z", 0)), std::nullopt);
    EXPECT_EQ(co_await b.backend().end_chord_part(part("y", 2)), std::nullopt);
    EXPECT_EQ(co_await b.backend().end_chord_part(part("y", 2)), std::nullopt);  // delivered twice
    const auto all = co_await b.backend().end_chord_part(part("x", 1));
    EXPECT_TRUE(all);
    if (!all) co_return;
    EXPECT_EQ(*all, just<std::string>(part("z", 0).entry, part("x", 1).entry, part("y", 2).entry));
    // The worker that was last died before it could send the body: the next one gets them again.
    EXPECT_EQ(co_await a.backend().end_chord_part(part("x", 1)), all);
    EXPECT_EQ(co_await a.backend().end_chord_part(part("z", 0)), std::nullopt);
    // It has sent the body: what comes once more changes nothing.
    co_await b.backend().close_chord("g");
    EXPECT_EQ(co_await a.backend().end_chord_part(part("x", 1)), std::nullopt);
    EXPECT_EQ(co_await a.backend().end_chord_part(part("y", 2)), std::nullopt);
  });
}

TYPED_TEST_P(BrokerConformance, ASavedGroupIsFoundAgain) {
  if (is_rabbitmq<TypeParam>) GTEST_SKIP() << "rpc:// keeps no results";
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    EXPECT_EQ(co_await a.backend().restore_group("g"), std::nullopt);
    co_await a.backend().save_group("g", "{\"result\": []}", 60s);
    EXPECT_EQ(co_await b.backend().restore_group("g"), "{\"result\": []}");
  });
}

TYPED_TEST_P(BrokerConformance, ControlAndRepliesArrive) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    const auto request = plait::spawn(b.control().next_request());
    const auto reply = plait::spawn(a.control().next_reply("oid-1"));
    while (!request.done()) {  // nothing is kept for who subscribes later
      co_await a.control().broadcast("{\"q\":1}");
      co_await plait::sleep(5ms);
    }
    EXPECT_EQ(co_await request, "{\"q\":1}");
    while (!reply.done()) {
      co_await b.control().reply("reply.celery.pidbox", "oid-1", "{\"a\":1}");
      co_await plait::sleep(5ms);
    }
    EXPECT_EQ(co_await reply, "{\"a\":1}");
  });
}

TYPED_TEST_P(BrokerConformance, AStoppedReserveLeavesNothingBehind) {
  this->with_two([](seam::transport& a, seam::transport& b) -> task<> {
    for (int i = 0; i < 20; ++i) {
      auto waiting = plait::spawn(b.broker().reserve(queues(), 1, 600s));
      for (int turns = 0; turns < i; ++turns) co_await plait::sleep(plait::duration::zero());
      co_await a.broker().publish(just(parcel_of("{\"n\":1}")));
      waiting.cancel();
      std::vector<seam::delivery> got;
      if (const bool stopped = co_await throws_cancelled(waiting); stopped) {
        got = co_await a.broker().reserve(queues(), 1, 600s);  // given back, or never taken
      } else {
        got = co_await waiting;
      }
      EXPECT_EQ(got.size(), 1u);
      if (got.size() != 1) co_return;
      EXPECT_LE(got[0].deliveries, is_rabbitmq<TypeParam> ? 2u : 1u);
      co_await a.broker().finish(ended(got[0].tag));
    }
  });
}

REGISTER_TYPED_TEST_SUITE_P(BrokerConformance, AMessageComesBackByteForByteAndOnce,
                            OneWhoSleepsIsWokenByAnother, OrderIsByPriorityAndThenByTime,
                            AReserveTakesNoMoreThanItAskedFor, AnEndedLeaseComesBackAsADeliveryMore,
                            ARenewedLeaseDoesNotEnd, WhatIsRestoredIsTheNext,
                            WhatIsPublishedWithAnEndingIsThereWithIt,
                            TheDeadAreListedRetriedAndDropped, ASuccessNeverRegresses,
                            WhoWaitsForAResultHearsOfTheFinalOne, AChordCountsEachPartOnce,
                            ASavedGroupIsFoundAgain, ControlAndRepliesArrive,
                            AStoppedReserveLeavesNothingBehind);

}  // namespace broker_conformance
