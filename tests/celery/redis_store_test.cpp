// Redis as broker, result backend and control channel, on a real server.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>
#include <set>

#include "celery/redis/json_field.hpp"
#include "celery/redis/redis_broker.hpp"
#include "celery/transport.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/coroutines.hpp"
#include "plait/testing/seed.hpp"
#include "redis_server.hpp"
#include "virtual_run.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery::detail;
using plait::task;
using plait::celery::redis::command;
using plait::celery::redis::connection;
using plait::celery::redis::parse_url;
using plait::celery::redis::value;
using hand_out = broker::hand_out;

// Named: GCC 12 compiles no list in braces inside a co_await.
const std::vector<std::string> celery = {"celery"}, other = {"other"}, x_and_y = {"x", "y"},
                               celery_and_nothing = {"celery", "nothing"};

// As kombu writes them.
std::string envelope(const std::string& tag, int priority = 0, const std::string& body = "W10=") {
  return R"({"body": ")" + body +
         R"(", "content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", )"
         R"("task": "add", "id": ")" +
         tag +
         R"(", "retries": 0, "big": 123456789012345678901234567890, "empty": []}, "properties": {)"
         R"("correlation_id": "c", "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": )" +
         std::to_string(priority) + R"(, "body_encoding": "base64", "delivery_tag": ")" + tag +
         R"("}})";
}
parcel mail(const std::string& tag, const std::string& queue = "celery", int priority = 0) {
  return {envelope(tag, priority), queue, priority};
}

// `test` with an empty server: its transport, and a connection to look behind it.
template <class F>
void with_redis(F test, const std::string& query = "") {
  plait::run([](F& body, std::string url) -> task<> {
    connection look(parse_url(url));
    co_await look.call(command("FLUSHALL"));
    auto opened = co_await open_transport(url);
    co_await body(*opened, look);
    co_await opened->close();
  }(test, redis_server::shared().url() + query));
}
task<std::vector<std::string>> tags_of(broker& b, std::vector<std::string> queues,
                                       std::size_t at_most) {
  auto got = co_await b.reserve(std::move(queues), at_most, 60s);
  std::vector<std::string> names;
  for (const auto& each : got)
    names.push_back(
        each.envelope.substr(each.envelope.rfind(": \"") + 3,
                             each.envelope.rfind("\"}}") - each.envelope.rfind(": \"") - 3));
  co_return names;
}
task<std::int64_t> count(connection& look, const char* verb, const std::string& key) {
  const value v = co_await look.call(command(verb, key));
  co_return v.as_integer();
}

TEST(RedisBroker, KeepsWhatKombuKeeps) {
  with_redis([](transport& t, connection& look) -> task<> {
    std::vector<parcel> two;
    two.push_back(mail("a"));
    two.push_back(mail("b", "celery", 5));
    co_await t.broker().publish(std::move(two));
    const value bound = co_await look.call(command("SMEMBERS", "_kombu.binding.celery"));
    EXPECT_EQ(bound.items.at(0).text,
              "celery\x06\x16\x06\x16"
              "celery");
    const auto second = co_await count(look, "LLEN",
                                       "celery\x06\x16"
                                       "3");
    EXPECT_EQ(second, 1);
    auto got = co_await t.broker().reserve(celery, 1, 60s);
    EXPECT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].envelope, envelope("a"));  // byte for byte
    EXPECT_EQ(got[0].deliveries, 1u);
    const value held = co_await look.call(command("HGET", "unacked", "a"));
    EXPECT_EQ(held.as_text(), "[" + envelope("a") + ",\"\",\"celery\"]");
    const auto scored = co_await look.call(command("ZSCORE", "unacked_index", "a"));
    EXPECT_FALSE(scored.is_null());
    std::vector<ending> over;
    over.push_back({.tag = got[0].tag});
    co_await t.broker().finish(std::move(over));
    for (const char* key : {"unacked", "plait:deliveries"}) {
      const auto left = co_await count(look, "HLEN", key);
      EXPECT_EQ(left, 0) << key;
    }
    for (const char* key : {"unacked_index", "plait:leases"}) {
      const auto left = co_await count(look, "ZCARD", key);
      EXPECT_EQ(left, 0) << key;
    }
  });
}

TEST(RedisBroker, TakesPrioritiesFirstAndQueuesInTurn) {
  with_redis([](transport& t, connection&) -> task<> {
    std::vector<parcel> all;
    for (const char* name : {"x1", "x2", "x3", "x4"}) all.push_back(mail(name, "x"));
    for (const char* name : {"y1", "y2"}) all.push_back(mail(name, "y"));
    all.push_back(mail("late", "x", 9));
    all.push_back(mail("middle", "y", 4));
    co_await t.broker().publish(std::move(all));
    const auto first = co_await tags_of(t.broker(), x_and_y, 4);
    const std::multiset<std::string> seen(first.begin(), first.end());
    EXPECT_EQ(seen, (std::multiset<std::string>{"x1", "x2", "y1", "y2"}));
    const auto rest = co_await tags_of(t.broker(), x_and_y, 10);
    EXPECT_EQ(rest, (std::vector<std::string>{"x3", "x4", "middle", "late"}));
  });
}

TEST(RedisBroker, KnowsTheQueuesThatSomebodyHasSentTo) {
  with_redis([](transport& t, connection& look) -> task<> {
    std::vector<parcel> some;
    for (const char* queue : {"x", "y", "y"}) some.push_back(mail("m", queue));
    co_await t.broker().publish(std::move(some));
    co_await look.call(command("SADD", "_kombu.binding.celery.pidbox", "\x06\x16\x06\x16mine"));
    for (int i = 0; i < 3000; ++i) co_await look.call(command("SET", std::to_string(i), "x"));
    std::vector<std::string> all;
    const auto lengths = co_await t.broker().lengths(std::move(all));
    EXPECT_EQ(lengths.size(), 2u);
    EXPECT_EQ(lengths.at(0).queue, "x");
    EXPECT_EQ(lengths.at(1).queue, "y");
    EXPECT_EQ(lengths.at(1).waiting, 2u);
  });
}

TEST(RedisBroker, WaitsAsleepAndWakesForAnyOfItsQueues) {
  with_redis([](transport& t, connection& look) -> task<> {
    for (const char* list : {"x",
                             "y\x06\x16"
                             "9"}) {
      auto waiting = plait::spawn(t.broker().reserve(x_and_y, 1, 60s));
      for (int i = 0; i < 20; ++i) co_await look.call(command("PING"));
      EXPECT_FALSE(waiting.done());
      co_await look.call(command("LPUSH", list, envelope(list)));
      const auto got = co_await waiting;
      EXPECT_EQ(got.size(), 1u);
    }
    const value tracked = co_await look.call(command("INFO", "clients"));
    EXPECT_EQ(tracked.text.find("tracking_clients:0"), std::string::npos);
  });
}

TEST(RedisBroker, AStoppedReserveStrandsNothing) {
  with_redis([](transport& t, connection& look) -> task<> {
    for (int turns = 0; turns < 12; ++turns) {
      auto waiting = plait::spawn(t.broker().reserve(celery, 1, 60s));
      for (int i = 0; i < turns; ++i) co_await plait::sleep(0ms);
      std::vector<parcel> one;
      one.push_back(mail("t" + std::to_string(turns)));
      co_await t.broker().publish(std::move(one));
      waiting.cancel();
      std::string tag;
      try {
        const auto got = co_await waiting;
        tag = got.at(0).tag;
      } catch (const plait::cancelled_error&) {
      }
      if (tag.empty()) {
        const auto got = co_await t.broker().reserve(celery, 1, 60s);
        EXPECT_EQ(got.at(0).deliveries, 1u);
        tag = got.at(0).tag;
      }
      std::vector<ending> over;
      over.push_back({.tag = tag});
      co_await t.broker().finish(std::move(over));
      const auto left = co_await count(look, "HLEN", "unacked");
      EXPECT_EQ(left, 0) << turns;
    }
  });
}

TEST(RedisBroker, WhatIsNotRenewedComesBackMarkedAndCounted) {
  with_redis([](transport& t, connection& look) -> task<> {
    std::vector<parcel> two;
    two.push_back(mail("kept"));
    two.push_back(mail("lost", "celery", 6));
    co_await t.broker().publish(std::move(two));
    auto got = co_await t.broker().reserve(celery, 2, 1ms);
    std::vector<std::string> renewed;
    renewed.push_back(got.at(0).tag);
    renewed.push_back("9:" + got.at(0).tag.substr(2));
    const auto gone = co_await t.broker().renew(renewed, 60s);
    EXPECT_EQ(gone, std::vector<std::string>{renewed[1]});
    auto& redis = dynamic_cast<plait::celery::redis::redis_broker&>(t.broker());
    std::int64_t swept = 0;
    while (swept == 0) swept = co_await redis.sweep();
    EXPECT_EQ(swept, 1);
    auto again = co_await t.broker().reserve(celery, 2, 60s);
    EXPECT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].deliveries, 2u);
    EXPECT_EQ(again[0].priority, 6);
    EXPECT_NE(again[0].envelope.find(R"("headers": {"redelivered": true, "lang")"),
              std::string::npos);
    EXPECT_NE(again[0].envelope.find(R"("delivery_info": {"redelivered": true, "exchange")"),
              std::string::npos);
    EXPECT_NE(again[0].envelope.find("123456789012345678901234567890"), std::string::npos);
    // Who lost the lease cannot end that of who has it now.
    std::vector<ending> stale;
    stale.push_back({.tag = got.at(1).tag});
    co_await t.broker().finish(std::move(stale));
    const auto held = co_await count(look, "HLEN", "unacked");
    EXPECT_EQ(held, 2);
  });
}

TEST(RedisBroker, LeavesOtherWorkersTheirTime) {
  with_redis(
      [](transport& t, connection& look) -> task<> {
        const value now = co_await look.call(command("TIME"));
        const auto second = now.items.at(0).as_integer();
        // As Python's worker registers, with blanks behind the commas.
        co_await look.call(
            command("HSET", "unacked", "young", "[" + envelope("young") + ", \"\", \"celery\"]"));
        co_await look.call(command("ZADD", "unacked_index", second - 100, "young"));
        co_await look.call(
            command("HSET", "unacked", "old", "[" + envelope("old") + ", \"ex\", \"key\"]"));
        co_await look.call(command("ZADD", "unacked_index", second - 1000, "old"));
        co_await look.call(command("SADD", "_kombu.binding.ex",
                                   "key\x06\x16\x06\x16"
                                   "other"));
        auto& redis = dynamic_cast<plait::celery::redis::redis_broker&>(t.broker());
        const auto swept = co_await redis.sweep();
        EXPECT_EQ(swept, 1);
        const auto waiting = co_await count(look, "LLEN", "other");
        EXPECT_EQ(waiting, 1);
      },
      "?visibility_timeout=500");
}

TEST(RedisBroker, GivesBackWhatAShutdownLeaves) {
  with_redis([](transport& t, connection&) -> task<> {
    std::vector<parcel> three;
    for (const char* name : {"a", "b", "c"}) three.push_back(mail(name));
    co_await t.broker().publish(std::move(three));
    const auto got = co_await t.broker().reserve(celery, 2, 60s);
    std::vector<std::string> tags;
    for (const auto& each : got) tags.push_back(each.tag);
    co_await t.broker().restore(tags, hand_out::does_not_count);
    const auto again = co_await t.broker().reserve(celery, 3, 60s);
    EXPECT_EQ(again.size(), 3u);
    EXPECT_EQ(again[0].envelope, envelope("a"));
    EXPECT_EQ(again[1].envelope, envelope("b"));
    EXPECT_EQ(again[0].deliveries, 1u);
  });
}

TEST(RedisBroker, FinishesInOneStep) {
  with_redis([](transport& t, connection& look) -> task<> {
    std::vector<parcel> one;
    one.push_back(mail("first"));
    co_await t.broker().publish(std::move(one));
    const auto got = co_await t.broker().reserve(celery, 1, 60s);
    EXPECT_TRUE(t.broker().keeps(t.backend()));
    std::vector<ending> over(1);
    over[0].tag = got.at(0).tag;
    over[0].then.push_back(mail("next", "other", 3));
    over[0].result = stored_result("id", "SUCCESS", R"({"status": "SUCCESS"})");
    co_await t.broker().finish(std::move(over));
    const auto meta = co_await t.backend().get("id");
    EXPECT_EQ(meta, R"({"status": "SUCCESS"})");
    const auto next = co_await tags_of(t.broker(), other, 1);
    EXPECT_EQ(next, std::vector<std::string>{"next"});
    const value bound = co_await look.call(command("SCARD", "_kombu.binding.other"));
    EXPECT_EQ(bound.as_integer(), 1);
  });
}

TEST(RedisBroker, BuriesListsRetriesAndDrops) {
  with_redis([](transport& t, connection& look) -> task<> {
    co_await look.call(command("LPUSH", "celery", "this is no JSON"));
    co_await look.call(command("LPUSH", "celery", "[1]"));
    co_await look.call(command("LPUSH", "celery", envelope("poison", 3)));
    const auto got = co_await t.broker().reserve(celery, 5, 60s);
    EXPECT_EQ(got.size(), 2u);  // what is JSON is for the worker to judge
    EXPECT_EQ(got.at(0).envelope, "[1]");
    std::vector<ending> over;
    for (const auto& each : got) over.push_back({.tag = each.tag, .bury_because = "bad\nluck"});
    co_await t.broker().finish(std::move(over));
    const auto lengths = co_await t.broker().lengths(celery_and_nothing);
    EXPECT_EQ(lengths.at(0).dead, 3u);
    EXPECT_EQ(lengths.at(0).leased, 0u);
    EXPECT_EQ(lengths.at(1).dead, 0u);
    const auto dead = co_await t.broker().dead("celery", 10);
    EXPECT_EQ(dead.size(), 3u);
    EXPECT_EQ(dead[0].reason, "not a JSON object");
    EXPECT_EQ(dead[0].envelope, "this is no JSON");
    EXPECT_EQ(dead[2].reason, "bad luck");
    EXPECT_EQ(dead[2].envelope, envelope("poison", 3));
    EXPECT_GT(dead[2].died_at, 1'500'000'000'000);
    const bool retried = co_await t.broker().retry_dead("celery", dead[2].id);
    const bool dropped = co_await t.broker().drop_dead("celery", dead[1].id);
    const bool twice = co_await t.broker().retry_dead("celery", dead[2].id);
    EXPECT_TRUE(retried && dropped);
    EXPECT_FALSE(twice);
    const auto back = co_await t.broker().reserve(celery, 1, 60s);
    EXPECT_EQ(back.at(0).deliveries, 1u);
    EXPECT_EQ(back.at(0).priority, 3);
  });
}

TEST(RedisBroker, TellsTwoMessagesWithOneTagApart) {
  with_redis([](transport& t, connection&) -> task<> {
    std::vector<parcel> two;
    two.push_back(mail("same"));
    two.push_back(mail("same"));
    co_await t.broker().publish(std::move(two));
    const auto got = co_await t.broker().reserve(celery, 5, 60s);
    EXPECT_EQ(got.size(), 2u);
    EXPECT_NE(got.at(0).tag, got.at(1).tag);
    const auto lengths = co_await t.broker().lengths(celery);
    EXPECT_EQ(lengths.at(0).leased, 2u);
  });
}

task<bool> put(result_backend& in, std::string id, std::string state, std::string meta,
               plait::duration expires = 24h) {
  return in.store({std::move(id), std::move(state), std::move(meta), expires});
}

TEST(RedisBackend, ASuccessNeverRegresses) {
  with_redis([](transport& t, connection& look) -> task<> {
    auto& results = t.backend();
    const auto store = [&](std::string state) {
      return put(results, "t", state, R"({"status": ")" + state + R"("})");
    };
    for (const char* state : {"STARTED", "RETRY", "FAILURE", "SUCCESS"}) {
      const bool stored = co_await store(state);
      EXPECT_TRUE(stored) << state;
    }
    for (const char* state : {"FAILURE", "STARTED", "SUCCESS"}) {
      const bool stored = co_await store(state);
      EXPECT_FALSE(stored) << state;
    }
    const auto ttl = co_await count(look, "TTL", "celery-task-meta-t");
    EXPECT_GT(ttl, 86'000);
    co_await results.forget("t");
    const auto none = co_await results.get("t");
    EXPECT_FALSE(none.has_value());
    co_await put(results, "e", "SUCCESS", "{}", 0s);
    const auto kept = co_await count(look, "TTL", "celery-task-meta-e");
    EXPECT_EQ(kept, -1);
  });
}

TEST(RedisBackend, SeveralWaitForOneResultBeforeAndAfterItIsThere) {
  with_redis([](transport& t, connection& look) -> task<> {
    auto& results = t.backend();
    const std::string meta = R"({"result": {"status": "FAILURE"}, "status": "SUCCESS"})";
    auto early = plait::spawn(results.wait("t")), second = plait::spawn(results.wait("t"));
    auto stopped = plait::spawn(results.wait("t"));
    for (int i = 0; i < 5; ++i) co_await look.call(command("PING"));
    stopped.cancel();
    // Not final, whatever is in the result.
    co_await put(results, "t", "STARTED",
                 R"({"result": {"status": "SUCCESS"}, "status": "STARTED"})");
    for (int i = 0; i < 5; ++i) co_await look.call(command("PING"));
    EXPECT_FALSE(early.done());
    co_await put(results, "t", "SUCCESS", meta);
    EXPECT_EQ(co_await early, meta);
    EXPECT_EQ(co_await second, meta);
    const auto late = co_await results.wait("t");
    EXPECT_EQ(late, meta);
    const value subscribed = co_await look.call(command("PUBSUB", "NUMSUB", "celery-task-meta-t"));
    EXPECT_EQ(subscribed.items.at(1).as_integer(), 0);
  });
}

TEST(RedisBackend, CountsEachPartOfAChordOnce) {
  with_redis([](transport& t, connection& look) -> task<> {
    auto& results = t.backend();
    co_await results.begin_chord("g", 3);
    const auto part = [&](int i, std::string result) {
      const std::string id = "p" + std::to_string(i);
      return results.end_chord_part(
          {"g", id, i, "[1, \"" + id + "\", \"SUCCESS\", " + result + "]"});
    };
    auto ended = co_await part(2, "20");
    EXPECT_FALSE(ended.has_value());
    ended = co_await part(0, "0");
    EXPECT_FALSE(ended.has_value());
    ended = co_await part(0, "99");  // ran twice
    EXPECT_FALSE(ended.has_value());
    for (int times = 0; times < 2; ++times) {  // the last is told again
      ended = co_await part(1, "10");
      EXPECT_TRUE(ended.has_value());
      if (!ended) continue;
      EXPECT_EQ(ended->size(), 3u);
      EXPECT_EQ(ended->at(0), R"([1, "p0", "SUCCESS", 0])");
    }
    ended = co_await part(2, "20");
    EXPECT_FALSE(ended.has_value());
    co_await results.close_chord("g");  // the body is in the queue
    ended = co_await part(1, "10");
    EXPECT_FALSE(ended.has_value());
    const auto gone = co_await count(look, "EXISTS", "celery-taskset-meta-g.s");
    EXPECT_EQ(gone, 0);
  });
}

TEST(RedisControl, CarriesRequestsRepliesAndEvents) {
  with_redis([](transport& worker, connection& look) -> task<> {
    auto asker = co_await open_transport(redis_server::shared().url());
    auto request = plait::spawn(worker.control().next_request());
    auto event = plait::spawn(asker->control().next_event());
    auto answer = plait::spawn(asker->control().next_reply("oid"));
    for (const char* channel : {"/0.celery.pidbox", "/0.celeryev/x"})
      for (std::int64_t heard = 0; heard == 0;)
        heard = (co_await look.call(command("PUBLISH", channel, "hello"))).as_integer();
    for (std::int64_t bound = 0; bound == 0;)
      bound = co_await count(look, "SCARD", "_kombu.binding.reply.celery.pidbox");
    EXPECT_EQ(co_await request, "hello");
    co_await asker->control().broadcast("ping");
    const auto ping = co_await worker.control().next_request();
    EXPECT_EQ(ping, "ping");
    co_await worker.control().reply("reply.celery.pidbox", "oid", "pong");
    EXPECT_EQ(co_await answer, "pong");
    const auto first = co_await event;
    EXPECT_EQ(first.first, "x");
    co_await worker.control().emit("worker.heartbeat", "beat");
    const auto beat = co_await asker->control().next_event();
    EXPECT_EQ(beat.first, "worker.heartbeat");
    EXPECT_EQ(beat.second, "beat");
    // A request that names where its answer goes opens that before it leaves.
    control_request asks{.method = "ping", .ticket = "t"};
    asks.reply_to = control_request::address{"reply.celery.pidbox", "second"};
    co_await asker->control().broadcast(encode_envelope(encode_request(asks)));
    co_await worker.control().reply("reply.celery.pidbox", "second", "pong again");
    const auto again = co_await asker->control().next_reply("second");
    EXPECT_EQ(again, "pong again");
    co_await asker->close();
    const auto bound = co_await count(look, "SCARD", "_kombu.binding.reply.celery.pidbox");
    EXPECT_EQ(bound, 0);
  });
}

TEST(RedisTransport, SaysThatNobodyIsThereAndWhatAUrlLacks) {
  plait::run([]() -> task<> {
    const bool refused = co_await throws<std::invalid_argument>(open_transport("redis://h:port"));
    EXPECT_TRUE(refused);
  }());
  virtual_run([]() -> task<> {
    const bool told =
        co_await throws<plait::celery::transport_error>(open_transport("redis://127.0.0.1:1"));
    EXPECT_TRUE(told);
  });
}

TEST(RedisTransport, WarnsOfAServerThatEvicts) {
  redis_server small({"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"});
  plait::run([](redis_server& own) -> task<> {
    plait::celery::redis::redis_broker b(parse_url(own.url()), {});
    const auto warning = co_await b.warning();
    EXPECT_NE(warning.find("allkeys-lru"), std::string::npos) << warning;
  }(small));
}

// Messages that were accepted outlast what kills who works on them.
TEST(RedisBroker, NothingIsLostToTwentyKills) {
  constexpr int messages = 4000, kills = 20, batch = 16;
  const std::string url = redis_server::shared().url();
  with_redis([&](transport& t, connection&) -> task<> {
    std::vector<parcel> all;
    for (int i = 0; i < messages; ++i) all.push_back(mail("m" + std::to_string(i)));
    co_await t.broker().publish(std::move(all));
  });
  // Reserves, writes what it did to the ledger, and finishes, until it is killed or nothing is left.
  const auto work = [&url]() -> task<> {
    plait::celery::redis::redis_broker queues(parse_url(url), {.sweep_every = 50ms});
    connection ledger(parse_url(url));
    for (;;) {
      auto got = co_await plait::move_on_after(100ms, queues.reserve(celery, batch, 100ms));
      if (!got) {
        const auto lengths = co_await queues.lengths(celery);
        if (lengths.at(0).waiting + lengths.at(0).leased == 0) break;
        continue;
      }
      command done("RPUSH", "ledger");
      std::vector<ending> over;
      for (const auto& each : *got) {
        done.add(each.envelope.substr(each.envelope.rfind("\"m") + 1));
        over.push_back({.tag = each.tag});
      }
      co_await ledger.call(std::move(done));
      co_await queues.finish(std::move(over));
    }
  };
  plait::testing::random_source chance;
  bool is_empty = false;
  for (int i = 0; i <= kills || !is_empty; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      plait::run(work());
      _exit(0);
    }
    if (i < kills) {
      usleep(static_cast<useconds_t>(2'000 +
                                     chance.below(28'000)));  // how far it comes does not matter
      kill(child, SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    is_empty = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ASSERT_TRUE(is_empty || WIFSIGNALED(status));
    ASSERT_LT(i, kills + 5);
  }
  plait::run([](std::string to) -> task<> {
    connection look(parse_url(to));
    const value ledger = co_await look.call(command("LRANGE", "ledger", 0, -1));
    std::map<std::string, int> times;
    for (const auto& each : ledger.as_array()) ++times[each.text];
    EXPECT_EQ(times.size(), static_cast<std::size_t>(messages));
    // Twice at most what was under way at a kill, or slower than its lease on a loaded machine.
    std::printf("%zu of %d messages were handed out again\n", ledger.items.size() - times.size(),
                messages);
    for (const char* key : {"unacked", "plait:deliveries"}) {
      const auto left = co_await count(look, "HLEN", key);
      EXPECT_EQ(left, 0) << key;
    }
  }(url));
}

// The server goes while its messages are under way, and comes back with what it had written down.
TEST(RedisBroker, OutlastsARestartOfTheServer) {
  redis_server own({"--appendonly", "yes", "--appendfsync", "always"});
  plait::run([](redis_server& mine) -> task<> {
    auto t = co_await open_transport(mine.url());
    std::vector<parcel> all;
    for (int i = 0; i < 50; ++i) all.push_back(mail("m" + std::to_string(i)));
    co_await t->broker().publish(std::move(all));
    auto got = co_await t->broker().reserve(celery, 25, 60s);
    mine.stop();
    // Its acknowledgements wait for the server, as does who wants more.
    std::vector<ending> over;
    for (const auto& each : got) over.push_back({.tag = each.tag});
    auto finished = plait::spawn(t->broker().finish(std::move(over)));
    auto more = plait::spawn(t->broker().reserve(celery, 50, 60s));
    co_await let_others_run();
    mine.start();
    co_await finished;
    const auto rest = co_await more;
    EXPECT_EQ(rest.size(), 25u);
    const auto lengths = co_await t->broker().lengths(celery);
    EXPECT_EQ(lengths.at(0).waiting, 0u);
    EXPECT_EQ(lengths.at(0).leased, 25u);
    co_await t->close();
  }(own));
}

TEST(JsonField, FindsWhatIsOutermost) {
  using plait::celery::redis::text_field;
  EXPECT_EQ(text_field(R"({"status": "A"})", "status"), "A");
  EXPECT_EQ(text_field(R"( {"x":{"status":"B"},"y":["status","z"],"status" :"A\"b"})", "status"),
            R"(A\"b)");
  for (const char* none :
       {"", "[]", "null", R"({"x": "status"})", R"({"status": 1})", R"({"status": "A)",
        R"({"status)", R"(["status", "A"])", "}}}", R"("status": "A")"})
    EXPECT_EQ(text_field(none, "status"), std::nullopt) << none;
}

}  // namespace
