// A worker, its store and its callers: what happens to a call, whatever goes wrong.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include "celery/client.hpp"
#include "celery/transport.hpp"
#include "celery/worker_engine.hpp"
#include "plait/celery.hpp"
#include "plait/testing/temporary_folder.hpp"
#include "virtual_run.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;
namespace seam = plait::celery::detail;
using plait::task;

// GCC 12 cannot have braces in what is awaited.
template <class... Values>
list of(Values... values) {
  return {value(values)...};
}

// One engine on a loop in virtual time, with threads and coroutines for its calls.
struct bench {
  std::map<std::string, std::unique_ptr<seam::task_entry>> tasks;
  plait::thread_pool_executor threads{2};
  std::unique_ptr<seam::transport> transport;
  std::unique_ptr<seam::worker_engine> engine;
  plait::future<> running;
  unsigned max_deliveries = 3;
  seam::result_backend* results = nullptr;  // the transport's

  template <class F>
  void add(const std::string& name, F f, task_options options = {}) {
    tasks.emplace(name, std::make_unique<seam::typed_entry<F>>(name, std::move(f), options));
  }
  task<> open() {
    static int count = 0;
    transport = co_await seam::open_transport("memory:worker" + std::to_string(++count));
  }
  void start() {
    worker_options options;
    options.concurrency = 2;
    options.queues = {"celery"};
    options.hostname = "celery@here";
    options.max_deliveries = max_deliveries;
    engine = std::make_unique<seam::worker_engine>(
        tasks, *transport, results != nullptr ? *results : transport->backend(),
        seam::engines{nullptr, &threads}, seam::worker_engine::settings{options, 24h});
    running = plait::spawn(engine->run());
  }
  task<> stop() {
    engine->shutdown();
    co_await running;
  }
  static seam::task_message message(std::string name, std::string id, list args) {
    seam::task_message m;
    m.task = std::move(name);
    m.id = m.root_id = std::move(id);
    m.args = std::move(args);
    return m;
  }
  task<> publish(const seam::task_message& m) {
    std::vector<seam::parcel> one;
    one.push_back(seam::parcel_of(m, "celery", 0));
    co_await transport->broker().publish(std::move(one));
  }
  task<seam::result_meta> result(std::string id) {
    const auto text = co_await transport->backend().wait(std::move(id));
    co_return seam::decode_result(std::string_view(text));
  }
  task<seam::result_meta> call(seam::task_message m) {
    co_await publish(m);
    co_return co_await result(m.id);
  }
  task<std::size_t> messages() {
    const auto all = co_await transport->broker().lengths({});
    std::size_t n = 0;
    for (const auto& q : all) n += q.waiting + q.leased;
    co_return n;
  }
  task<std::vector<seam::dead_message>> dead() {
    co_return co_await transport->broker().dead("celery", 100);
  }
};

task<int> nap(int seconds) {
  co_await plait::sleep(std::chrono::seconds(seconds));
  co_return seconds;
}

// Runs program(bench) in virtual time; the engine is started by it and stopped here.
template <class F>
void with_bench(F program) {
  bench b;
  virtual_run([&]() -> task<> {
    co_await b.open();
    co_await program(b);
    if (b.engine != nullptr) co_await b.stop();
    co_await b.transport->close();
    b.engine.reset();
    b.running = {};
    b.transport.reset();
  });
}

std::string error_of(const seam::result_meta& m) {
  return m.failure().qualified_name() + ": " + m.failure().message();
}

TEST(CeleryWorker, ACallsResultIsStoredAndItsMessageIsGone) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    const auto m = co_await b.call(bench::message("add", "t1", of(2, 3)));
    EXPECT_EQ(m.status, "SUCCESS");
    EXPECT_EQ(m.result, value(5));
    co_await let_others_run();
    EXPECT_EQ(co_await b.messages(), 0u);
  });
}

TEST(CeleryWorker, CoroutinesRunOnItsLoop) {
  with_bench([](bench& b) -> task<> {
    b.add("nap", &nap);
    b.start();
    const auto begin = virtual_now();
    const auto m = co_await b.call(bench::message("nap", "t1", of(600)));
    EXPECT_EQ(m.result, value(600));
    EXPECT_GE(virtual_now() - begin, 600s);
    EXPECT_EQ(b.engine->counts().leases_lost, 0u);  // ten leases long, and renewed
  });
}

TEST(CeleryWorker, WhatThrowsIsAFailureThatSaysWhat) {
  with_bench([](bench& b) -> task<> {
    b.add("bad", [](std::string name) -> int { throw std::invalid_argument("no " + name); });
    b.start();
    const auto m = co_await b.call(bench::message("bad", "t1", of("sense")));
    EXPECT_EQ(m.status, "FAILURE");
    EXPECT_EQ(error_of(m), "ValueError: no sense");
  });
}

TEST(CeleryWorker, WrongArgumentsAreTypeErrorsAndUnknownTasksNotRegistered) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    const auto few = co_await b.call(bench::message("add", "t1", of(2)));
    EXPECT_EQ(few.failure().type, "TypeError");
    const auto text = co_await b.call(bench::message("add", "t2", of(2, "three")));
    EXPECT_EQ(text.failure().type, "TypeError");
    const auto unknown = co_await b.call(bench::message("sub", "t3", of(2, 3)));
    EXPECT_EQ(unknown.failure().type, "NotRegistered");
    co_await let_others_run();
    EXPECT_EQ(co_await b.messages(), 0u);
  });
}

TEST(CeleryWorker, AMalformedMessageIsDeadAndTheWorkerLives) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    std::vector<seam::parcel> bad;
    for (const char* text : {"", "no JSON", "{}", "[1]", "null", "{\"body\": 1}"})
      bad.emplace_back(text, "celery");
    co_await b.transport->broker().publish(bad);
    const auto m = co_await b.call(bench::message("add", "t1", of(2, 3)));
    EXPECT_EQ(m.status, "SUCCESS");
    const auto dead = co_await b.dead();
    EXPECT_EQ(dead.size(), bad.size());
    for (const auto& d : dead) EXPECT_TRUE(d.reason.starts_with("malformed: ")) << d.reason;
  });
}

TEST(CeleryWorker, ARetryComesLaterAndCounts) {
  with_bench([](bench& b) -> task<> {
    b.add("flaky",
          [](plait::celery::context& self) -> unsigned {
            if (self.retries() < 2) self.retry({.countdown = 100s});
            return self.retries();
          },
          {.max_retries = 2});
    b.start();
    const auto begin = virtual_now();
    const auto m = co_await b.call(bench::message("flaky", "t1", {}));
    EXPECT_EQ(m.result, value(2));
    EXPECT_GE(virtual_now() - begin, 200s);
    EXPECT_EQ(b.engine->counts().retried, 2u);
  });
}

TEST(CeleryWorker, AutomaticRetriesEndInTheFailureItself) {
  with_bench([](bench& b) -> task<> {
    b.add("bad", []() -> int { throw std::invalid_argument("still"); },
          {.max_retries = 4, .autoretry = true, .retry_delay = 1s, .retry_backoff = true});
    b.start();
    const auto m = co_await b.call(bench::message("bad", "t1", {}));
    EXPECT_EQ(error_of(m), "ValueError: still");
    EXPECT_EQ(b.engine->counts().retried, 4u);
  });
}

TEST(CeleryWorker, AnEtaIsKeptAndTheExpiredAreRevoked) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    auto later = bench::message("add", "t1", of(2, 3));
    later.eta = seam::datetime_of(virtual_now().time_since_epoch() / 1ms + 3'600'000);
    auto late = bench::message("add", "t2", of(2, 3));
    late.expires = seam::datetime_of(virtual_now().time_since_epoch() / 1ms - 1);
    const auto begin = virtual_now();
    const auto expired = co_await b.call(late);
    EXPECT_EQ(expired.status, "REVOKED");
    const auto m = co_await b.call(later);
    EXPECT_EQ(m.result, value(5));
    EXPECT_GE(virtual_now() - begin, 3600s);
  });
}

task<bool> has_come(std::int64_t microseconds) {
  co_return virtual_now().time_since_epoch() / 1us >= microseconds;
}

TEST(CeleryWorker, NothingBeginsAMicrosecondBeforeItsEta) {
  with_bench([](bench& b) -> task<> {
    b.add("has_come", has_come);
    b.start();
    const std::int64_t eta = virtual_now().time_since_epoch() / 1us + 300'999;
    auto m = bench::message("has_come", "t1", of(eta));
    m.eta = datetime{.at = datetime::instant(std::chrono::microseconds(eta))};
    const auto done = co_await b.call(m);
    EXPECT_EQ(done.result, value(true));
  });
}

TEST(CeleryWorker, TheLimitThatEndsACoroutineIsTheOneThatIsTold) {
  with_bench([](bench& b) -> task<> {
    b.add("nap", nap);
    b.start();
    auto hard = bench::message("nap", "t1", of(60));
    hard.limits.hard = seam::float_seconds(2);
    const auto after_hard = co_await b.call(hard);
    EXPECT_EQ(after_hard.failure().type, "TimeLimitExceeded");
    auto both = bench::message("nap", "t2", of(60));
    both.limits.hard = seam::float_seconds(2);
    both.limits.soft = seam::float_seconds(1);
    const auto after_soft = co_await b.call(both);
    EXPECT_EQ(after_soft.failure().type, "SoftTimeLimitExceeded");
  });
}

// Another's transport, whose second reserve fails after half a minute.
// Takes a second for a state that is not final, as one does whose connection has to be made anew.
class slow_backend final : public seam::result_backend {
 public:
  explicit slow_backend(seam::result_backend& of) : of_(of) {}
  task<bool> store(seam::stored_result r) override {
    if (r.state != "SUCCESS" && r.state != "FAILURE") {
      ++states;
      co_await plait::sleep(1s);
      if (fails) throw transport_error("it went");
    }
    co_return co_await of_.store(std::move(r));
  }
  task<std::optional<std::string>> get(std::string id) override { return of_.get(std::move(id)); }
  task<std::string> wait(std::string id) override { return of_.wait(std::move(id)); }
  task<> forget(std::string id) override { return of_.forget(std::move(id)); }
  task<> begin_chord(std::string group, std::size_t size) override {
    return of_.begin_chord(std::move(group), size);
  }
  task<std::optional<std::vector<std::string>>> end_chord_part(seam::chord_part part) override {
    return of_.end_chord_part(std::move(part));
  }
  int states = 0;
  bool fails = false;

 private:
  seam::result_backend& of_;
};

task<int> tells_much_and_fails(context& self) {
  for (int i = 0; i < 1000; ++i) self.update_state("PROGRESS", i);
  co_await plait::sleep(100ms);
  throw std::runtime_error("no");
}

TEST(CeleryWorker, NoStateComesBehindTheEndOfItsCall) {
  with_bench([](bench& b) -> task<> {
    slow_backend slow(b.transport->backend());
    b.results = &slow;
    b.add("fails", &tells_much_and_fails);
    b.start();
    const auto m = co_await b.call(bench::message("fails", "t1", of()));
    EXPECT_EQ(m.status, "FAILURE");
    co_await plait::sleep(1h);
    const auto kept = co_await slow.get("t1");
    EXPECT_EQ(seam::decode_result(std::string_view(*kept)).status, "FAILURE");
    EXPECT_EQ(slow.states, 1) << "they pile up";
    slow.fails = true;
    const auto other = co_await b.call(bench::message("fails", "t2", of()));
    EXPECT_EQ(other.status, "FAILURE");
    co_await b.stop();
    b.engine.reset();
  });
}

class moody_broker final : public seam::broker {
 public:
  explicit moody_broker(seam::broker& of) : of_(of) {}
  task<std::vector<seam::delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                            plait::duration lease) override {
    if (++reserves_ == 2) {
      co_await plait::sleep(30s);
      throw transport_error("out of patience");
    }
    co_return co_await of_.reserve(std::move(queues), at_most, lease);
  }
  task<> publish(std::vector<seam::parcel> p) override { return of_.publish(std::move(p)); }
  task<std::vector<std::string>> renew(std::vector<std::string> t, plait::duration l) override {
    return of_.renew(std::move(t), l);
  }
  task<> finish(std::vector<seam::ending> e) override { return of_.finish(std::move(e)); }
  task<> restore(std::vector<std::string> t, hand_out h) override {
    return of_.restore(std::move(t), h);
  }
  bool keeps(const seam::result_backend& b) const noexcept override { return of_.keeps(b); }
  task<std::vector<seam::queue_length>> lengths(std::vector<std::string> q) override {
    return of_.lengths(std::move(q));
  }
  task<std::vector<seam::dead_message>> dead(std::string q, std::size_t n) override {
    return of_.dead(std::move(q), n);
  }
  task<bool> retry_dead(std::string q, std::string id) override {
    return of_.retry_dead(std::move(q), std::move(id));
  }
  task<bool> drop_dead(std::string q, std::string id) override {
    return of_.drop_dead(std::move(q), std::move(id));
  }

 private:
  seam::broker& of_;
  int reserves_ = 0;
};
class moody_transport final : public seam::transport {
 public:
  explicit moody_transport(std::unique_ptr<seam::transport> of) : of_(std::move(of)) {}
  seam::broker& broker() override { return broker_; }
  seam::result_backend& backend() override { return of_->backend(); }
  seam::control_channel& control() override { return of_->control(); }
  task<> close() override { return of_->close(); }

 private:
  std::unique_ptr<seam::transport> of_;
  moody_broker broker_{of_->broker()};
};

// Once the second request for messages had failed, nobody woke the first, which waited for it.
TEST(CeleryWorker, IsNotDeafWhenItsSecondReserveFails) {
  with_bench([](bench& b) -> task<> {
    b.transport = std::make_unique<moody_transport>(std::move(b.transport));
    b.add("add", [](int x, int y) { return x + y; });
    // As many as it takes at once, which give up their places at once.
    for (const char* id : {"a", "b", "c", "d"}) {
      const auto unknown = bench::message("none", id, of());
      co_await b.publish(unknown);
    }
    b.start();
    co_await plait::sleep(60s);
    auto answer = b.call(bench::message("add", "now", of(1, 2)));
    const auto m = co_await plait::move_on_after(60s, std::move(answer));
    EXPECT_TRUE(m && m->result == value(3));
  });
}

TEST(CeleryWorker, WhatWasRevokedNeverBegins) {
  with_bench([](bench& b) -> task<> {
    std::atomic<int> runs = 0;
    b.add("count", [&runs] { return ++runs; });
    co_await b.publish(bench::message("count", "t1", {}));
    seam::result_meta meta;
    meta.task_id = "t1";
    meta.status = "REVOKED";
    meta.result = seam::task_revoked("revoked").to_value();
    co_await b.transport->backend().store(seam::stored(meta, 1h));
    b.start();
    const auto after = co_await b.call(bench::message("count", "t2", {}));
    EXPECT_EQ(after.result, value(1));
    co_await let_others_run();
    EXPECT_EQ(co_await b.messages(), 0u);
  });
}

TEST(CeleryWorker, ASecondDeliveryOfASuccessIsNotRunAgain) {
  with_bench([](bench& b) -> task<> {
    std::atomic<int> runs = 0;
    b.add("count", [&runs] { return ++runs; });
    co_await b.publish(bench::message("count", "t1", {}));
    // Some worker ran it, stored its result, and died before it could say so.
    std::vector<std::string> queues{"celery"};
    auto lost = b.transport->broker().reserve(queues, 1, 1s);
    static_cast<void>(co_await std::move(lost));
    seam::result_meta meta;
    meta.task_id = "t1";
    meta.status = "SUCCESS";
    co_await b.transport->backend().store(seam::stored(meta, 1h));
    b.start();
    co_await plait::sleep(10s);
    EXPECT_EQ(runs, 0);
    EXPECT_EQ(co_await b.messages(), 0u);
  });
}

TEST(CeleryWorker, PoisonStopsAtMaxDeliveries) {
  with_bench([](bench& b) -> task<> {
    std::atomic<int> runs = 0;
    b.add("count", [&runs] { return ++runs; });
    co_await b.publish(bench::message("count", "t1", {}));
    std::vector<std::string> queues{"celery"};
    for (int i = 0; i < 3; ++i) {
      auto lost = b.transport->broker().reserve(queues, 1, 1s);
      static_cast<void>(co_await std::move(lost));
      co_await plait::sleep(2s);
    }
    b.start();
    const auto m = co_await b.result("t1");
    EXPECT_EQ(m.failure().type, "WorkerLostError");
    EXPECT_EQ(runs, 0);
    const auto dead = co_await b.dead();
    EXPECT_EQ(dead.size(), 1u);
  });
}

TEST(CeleryWorker, AWarmShutdownFinishesWhatRunsAndGivesTheRestBack) {
  with_bench([](bench& b) -> task<> {
    b.add("nap", &nap);
    for (int i = 0; i < 10; ++i)
      co_await b.publish(bench::message("nap", "t" + std::to_string(i), of(10)));
    b.start();
    co_await plait::sleep(1s);
    b.engine->shutdown();
    co_await b.running;
    EXPECT_EQ(b.engine->counts().succeeded, 2u);
    const auto left = co_await b.transport->broker().lengths({});
    EXPECT_EQ(left.at(0).waiting, 8u);
    EXPECT_EQ(left.at(0).leased, 0u);
    b.start();
    for (int i = 0; i < 10; ++i) {
      const auto m = co_await b.result("t" + std::to_string(i));
      EXPECT_EQ(m.status, "SUCCESS");
    }
  });
}

TEST(CeleryWorker, AChainGoesOnAndAFailureEndsAllOfIt) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) {
      if (x + y > 100) throw std::out_of_range("too much");
      return x + y;
    });
    b.start();
    const auto chained = [](std::string prefix, int first) {
      auto m = bench::message("add", prefix + "1", of(first, 1));
      signature second{.task = "add", .args = {10}, .options = {{"task_id", prefix + "2"}}};
      signature third{.task = "add", .args = {100}, .options = {{"task_id", prefix + "3"}}};
      m.embed.chain = {third, second};
      return m;
    };
    co_await b.publish(chained("a", -50));
    const auto good = co_await b.result("a3");
    EXPECT_EQ(good.result, value(61));
    co_await b.publish(chained("b", 200));
    const auto bad = co_await b.result("b3");
    EXPECT_EQ(error_of(bad), "IndexError: too much");
  });
}

TEST(CeleryWorker, AChordsBodyGetsAllResultsInOrder) {
  with_bench([](bench& b) -> task<> {
    b.add("twice", [](int x) { return 2 * x; });
    b.add("sum", [](std::vector<int> all) {
      int s = 0;
      for (const int one : all) s = 10 * s + one;
      return s;
    });
    co_await b.transport->backend().begin_chord("g", 3);
    for (int i = 0; i < 3; ++i) {
      auto m = bench::message("twice", "part" + std::to_string(i), of(i + 1));
      m.group = "g";
      m.group_index = i;
      m.embed.chord = signature{.task = "sum", .options = {{"task_id", "body"}}};
      co_await b.publish(m);
    }
    b.start();
    const auto m = co_await b.result("body");
    EXPECT_EQ(m.result, value(246));
  });
}

TEST(CeleryWorker, RemoteControlIsAnswered) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    co_await let_others_run();
    seam::control_request r;
    r.method = "registered";
    r.ticket = "ticket";
    r.reply_to = seam::control_request::address{"reply.celery.pidbox", "me"};
    co_await b.transport->control().broadcast(seam::encode_envelope(seam::encode_request(r)));
    const auto text = co_await b.transport->control().next_reply("me");
    const auto reply = seam::decode_reply(seam::decode_envelope(text));
    EXPECT_EQ(reply.node, "celery@here");
    EXPECT_EQ(reply.answer, value(list{"add"}));
  });
}

std::vector<plait::time_point> begun;  // when calls of begin_now() did
task<int> begin_now() {
  begun.push_back(plait::event_loop::current().now());
  co_return 1;
}

// The events that come until `last` has, without those of the worker itself.
task<std::vector<seam::event>> events_until(seam::control_channel& from, std::string last) {
  std::vector<seam::event> all;
  while (all.empty() || all.back().type != last) {
    const auto next = co_await from.next_event();
    for (auto& e : seam::decode_events(seam::decode_envelope(next.second))) all.push_back(e);
  }
  co_return all;
}

task<value> asked(seam::transport& through, std::string method, dict arguments) {
  seam::control_request r;
  r.method = method;
  r.arguments = std::move(arguments);
  r.ticket = "ticket";
  r.reply_to = seam::control_request::address{"reply.celery.pidbox", "me"};
  co_await through.control().broadcast(seam::encode_envelope(seam::encode_request(r)));
  const auto text = co_await through.control().next_reply("me");
  co_return seam::decode_reply(seam::decode_envelope(text)).answer;
}

TEST(CeleryWorker, ItsQueuesAreAddedToAndTakenFromWhileItRuns) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    const auto send_to = [&](std::string queue, std::string id) -> task<> {
      std::vector<seam::parcel> one;
      one.push_back(seam::parcel_of(bench::message("add", id, of(1, 2)), queue, 0));
      co_await b.transport->broker().publish(std::move(one));
    };
    co_await send_to("more", "a");
    const dict more{{"queue", "more"}}, usual{{"queue", "celery"}}, nothing;
    auto said = co_await asked(*b.transport, "add_consumer", more);
    EXPECT_EQ(said, value(dict{{"ok", "add consumer more"}}));
    const auto first = co_await b.result("a");
    EXPECT_EQ(first.result, value(3));
    said = co_await asked(*b.transport, "active_queues", nothing);
    const auto* queues = said.get_if<list>();
    EXPECT_TRUE(queues != nullptr && queues->size() == 2);
    for (const dict* each : {&more, &usual}) {
      said = co_await asked(*b.transport, "cancel_consumer", *each);
      EXPECT_TRUE(said.get_if<dict>()->find("ok") != nullptr);
    }
    co_await send_to("more", "b");
    co_await send_to("celery", "c");
    co_await plait::sleep(10s);
    const auto waiting = co_await b.messages();
    EXPECT_EQ(waiting, 2u);
    co_await asked(*b.transport, "add_consumer", usual);
    const auto last = co_await b.result("c");
    EXPECT_EQ(last.status, "SUCCESS");
    said = co_await asked(*b.transport, "add_consumer", nothing);
    EXPECT_TRUE(said.get_if<dict>()->find("error") != nullptr);
  });
}

TEST(CeleryWorker, TimeLimitsAreSetFromAfar) {
  with_bench([](bench& b) -> task<> {
    b.add("nap", nap);
    b.start();
    const dict five{{"task_name", "nap"}, {"hard", 5.0}, {"soft", value()}};
    auto said = co_await asked(*b.transport, "time_limit", five);
    EXPECT_EQ(said, value(dict{{"ok", "time limits set successfully"}}));
    const auto late = co_await b.call(bench::message("nap", "a", of(60)));
    EXPECT_NE(error_of(late).find("TimeLimitExceeded"), std::string::npos) << error_of(late);
    const dict none{{"task_name", "nap"}};
    co_await asked(*b.transport, "time_limit", none);
    const auto whole = co_await b.call(bench::message("nap", "b", of(60)));
    EXPECT_EQ(whole.status, "SUCCESS");
    const dict nobody{{"task_name", "nobody"}, {"hard", 5}},
        wrong{{"task_name", "nap"}, {"hard", -1}};
    said = co_await asked(*b.transport, "time_limit", nobody);
    EXPECT_EQ(said, value(dict{{"error", "unknown task"}}));
    said = co_await asked(*b.transport, "time_limit", wrong);
    EXPECT_TRUE(said.get_if<dict>()->find("error") != nullptr);
  });
}

TEST(CeleryWorker, ACallIsFoundByItsIdAndTerminatedWhileItRuns) {
  with_bench([](bench& b) -> task<> {
    b.add("nap", nap);
    b.start();
    co_await b.publish(bench::message("nap", "long", of(600)));
    co_await plait::sleep(1s);
    const dict ids{{"ids", "long"}}, id{{"task_id", "long"}, {"signal", "TERM"}}, nothing,
        unknown{{"task_id", "nobody's"}};
    auto said = co_await asked(*b.transport, "query_task", ids);
    const value* found = said.get_if<dict>()->find("long");
    EXPECT_TRUE(found != nullptr && found->get_if<list>()->front() == value("active"));
    said = co_await asked(*b.transport, "terminate", id);
    EXPECT_EQ(said, value(dict{{"ok", "terminate: long"}}));
    const auto ended = co_await b.result("long");
    EXPECT_EQ(ended.status, "REVOKED");
    said = co_await asked(*b.transport, "terminate", unknown);
    EXPECT_EQ(said, value(dict{{"ok", "terminate: tasks unknown"}}));
    said = co_await asked(*b.transport, "revoke", unknown);
    EXPECT_EQ(said, value(dict{{"ok", "tasks nobody's flagged as revoked"}}));
    said = co_await asked(*b.transport, "hello", nothing);
    const value* ids_of_revoked = said.get_if<dict>()->find("revoked");
    EXPECT_TRUE(ids_of_revoked != nullptr && ids_of_revoked->find("nobody's") != nullptr);
    for (const char* tells : {"stats", "conf", "report", "clock", "dump_active", "scheduled"}) {
      said = co_await asked(*b.transport, tells, nothing);
      EXPECT_TRUE(said.get_if<list>() != nullptr || said.find("error") == nullptr) << tells;
    }
    said = co_await asked(*b.transport, "pool_grow", nothing);
    EXPECT_TRUE(said.find("error") != nullptr);
  });
}

TEST(CeleryWorker, MonitorsHearOfEachCallOnceTheyAsk) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.add("bad", [](int) -> int { throw std::invalid_argument("no good"); });
    b.start();
    auto first = events_until(b.transport->control(), "worker-online");
    const auto online = plait::spawn(std::move(first));
    co_await let_others_run();
    const dict nothing;
    const auto enabled = co_await asked(*b.transport, "enable_events", nothing);
    EXPECT_EQ(enabled, value(dict{{"ok", "task events enabled"}}));
    const auto hello = co_await online;
    EXPECT_EQ(hello.size(), 1u) << "nothing before";
    EXPECT_EQ(hello.back().hostname, "celery@here");
    auto rest = events_until(b.transport->control(), "task-failed");
    const auto calls = plait::spawn(std::move(rest));
    co_await let_others_run();
    auto good = bench::message("add", "one", of(1, 2));
    co_await b.call(good);
    auto bad = bench::message("bad", "two", of(1));
    co_await b.call(bad);
    std::vector<std::string> types;
    const auto heard = co_await calls;
    for (const auto& e : heard)
      if (e.type.starts_with("task-")) types.push_back(e.type);
    const std::vector<std::string> wanted = {"task-received", "task-started", "task-succeeded",
                                             "task-received", "task-started", "task-failed"};
    EXPECT_EQ(types, wanted);
    auto heartbeat = events_until(b.transport->control(), "worker-heartbeat");
    const auto beats = co_await std::move(heartbeat);
    EXPECT_EQ(*beats.back().fields.find("processed"), value(2));
    auto last = events_until(b.transport->control(), "worker-offline");
    const auto goodbye = plait::spawn(std::move(last));
    co_await let_others_run();
    co_await b.stop();
    const auto farewell = co_await goodbye;
    EXPECT_EQ(farewell.back().type, "worker-offline");
    b.start();  // with_bench() ends it
  });
}

TEST(CeleryWorker, CallsOfALimitedTaskBeginOneAfterTheOther) {
  with_bench([](bench& b) -> task<> {
    begun.clear();
    task_options often;
    often.rate_limit = "10/s";
    b.add("slow", begin_now, often);
    b.start();
    const list none;
    for (char id = 'a'; id <= 'c'; ++id) {
      const auto m = bench::message("slow", std::string(1, id), none);
      co_await b.publish(m);
    }
    for (char id = 'a'; id <= 'c'; ++id) co_await b.result(std::string(1, id));
    EXPECT_EQ(begun.size(), 3u);
    if (begun.size() != 3u) co_return;
    EXPECT_EQ(begun[1] - begun[0], 100ms);
    EXPECT_EQ(begun[2] - begun[1], 100ms);
    dict change;
    change.set("task_name", "slow");
    change.set("rate_limit", 0);
    const auto off = co_await asked(*b.transport, "rate_limit", change);
    EXPECT_EQ(off, value(dict{{"ok", "rate limit disabled successfully"}}));
    change.set("task_name", "nobody's");
    const auto unknown = co_await asked(*b.transport, "rate_limit", change);
    EXPECT_EQ(unknown, value(dict{{"error", "unknown task"}}));
  });
}

TEST(CeleryRateLimit, IsANumberWithOrWithoutItsUnit) {
  EXPECT_EQ(seam::time_between(""), 0s);
  EXPECT_EQ(seam::time_between("0"), 0s);
  EXPECT_EQ(seam::time_between("4"), 250ms);
  EXPECT_EQ(seam::time_between("10/s"), 100ms);
  EXPECT_EQ(seam::time_between("10/m"), 6s);
  EXPECT_EQ(seam::time_between("0.5/h"), 2h);
  for (const char* wrong : {"x", "10/d", "10/", "-1", "1e999", "nan", "10 /s"})
    EXPECT_THROW(seam::time_between(wrong), std::invalid_argument) << wrong;
}

TEST(CeleryWorker, NobodyListensSoNothingIsTold) {
  with_bench([](bench& b) -> task<> {
    b.add("add", [](int x, int y) { return x + y; });
    b.start();
    auto any = events_until(b.transport->control(), "worker-online");
    const auto listening = plait::spawn(std::move(any));
    auto call = bench::message("add", "one", of(1, 2));
    co_await b.call(call);
    co_await plait::sleep(10s);
    EXPECT_FALSE(listening.done());
    listening.cancel();
  });
}

}  // namespace
