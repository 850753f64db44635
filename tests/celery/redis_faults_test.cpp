// A whole worker while its Redis misbehaves: it comes back by itself, and nothing is lost.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "celery/client.hpp"
#include "celery/redis/redis_backend.hpp"
#include "celery/redis/redis_broker.hpp"
#include "celery/redis/redis_control.hpp"
#include "celery/transport.hpp"
#include "celery/worker_engine.hpp"
#include "plait/celery.hpp"
#include "plait/net.hpp"
#include "redis_server.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;
namespace seam = plait::celery::detail;
using plait::task;

// A worker in threads on a loop of its own making, and who sends to it.
struct worker_on_redis {
  std::map<std::string, std::unique_ptr<seam::task_entry>> tasks;
  plait::thread_pool_executor threads{2};
  std::unique_ptr<seam::transport> transport, caller;
  plait::process_pool_executor* processes = nullptr;
  std::function<plait::process_pool_executor*()> new_processes;
  std::unique_ptr<seam::worker_engine> engine;
  plait::future<> running;

  task<> start(std::string url) {
    tasks.emplace("add", std::make_unique<seam::typed_entry<int (*)(int, int)>>(
                             "add", +[](int x, int y) { return x + y; }, task_options{}));
    if (transport == nullptr) transport = co_await seam::open_transport(url);
    caller = co_await seam::open_transport(url);
    worker_options options;
    options.concurrency = 2;
    options.queues = {"celery"};
    options.hostname = "celery@here";
    options.lease = 1s;
    options.max_deliveries = 100;
    seam::worker_engine::settings settings{options, 24h};
    settings.new_processes = new_processes;
    engine = std::make_unique<seam::worker_engine>(tasks, *transport, transport->backend(),
                                                   seam::engines{processes, &threads}, settings);
    running = plait::spawn(engine->run());
  }
  task<> stop() {
    engine->shutdown();
    co_await running;
    co_await transport->close();
    co_await caller->close();
  }
  static seam::parcel call(int i) {
    seam::outgoing_call one;
    one.task = "add";
    one.args = {value(i), value(1)};
    one.options.task_id = "call-" + std::to_string(i);
    return seam::parcel_of(seam::message_of(one), "celery", 0);
  }
  task<> send(int from, int to) {
    std::vector<seam::parcel> all;
    for (int i = from; i < to; ++i) all.push_back(call(i));
    co_await caller->broker().publish(std::move(all));
  }
  task<> expect_results(int from, int to) {
    for (int i = from; i < to; ++i) {
      const auto text = co_await caller->backend().wait("call-" + std::to_string(i));
      EXPECT_EQ(seam::decode_result(std::string_view(text)).result, value(i + 1));
    }
  }
};

TEST(RedisFaults, AServerKilledAndStartedAgainLosesNoCall) {
  redis_server own({"--appendonly", "yes", "--appendfsync", "always"});
  plait::run([](redis_server& mine) -> task<> {
    worker_on_redis w;
    co_await w.start(mine.url());
    co_await w.send(0, 100);
    co_await w.expect_results(0, 10);  // in the midst of it
    mine.stop();
    mine.start();
    co_await plait::timeout(20s, w.expect_results(0, 100));
    co_await w.stop();
  }(own));
}

// What a reserve saw of the task is old news when its eta has come.
TEST(RedisWorker, WhatIsRevokedBeforeItsEtaNeverBegins) {
  redis_server own;
  plait::run([](redis_server& server) -> task<> {
    worker_on_redis w;
    co_await w.start(server.url());
    seam::outgoing_call later;
    later.task = "add";
    later.args = {value(1), value(1)};
    later.options.task_id = "later";
    later.options.countdown = 1500ms;
    std::vector<seam::parcel> one;
    one.push_back(seam::parcel_of(seam::message_of(later), "celery", 0));
    co_await w.caller->broker().publish(std::move(one));
    const auto leased = [&w]() -> task<std::uint64_t> {
      std::vector<std::string> queues(1, "celery");
      const auto all = co_await w.caller->broker().lengths(std::move(queues));
      co_return all.at(0).leased;
    };
    for (;;) {
      const auto now = co_await leased();
      if (now == 1) break;
    }
    seam::result_meta meta;
    meta.task_id = "later";
    meta.status = "REVOKED";
    meta.result = seam::task_revoked("revoked").to_value();
    co_await w.caller->backend().store(seam::stored(meta, 1h));
    for (;;) {
      const auto now = co_await leased();
      if (now == 0) break;
      co_await plait::sleep(10ms);
    }
    const auto text = co_await w.caller->backend().get("later");
    EXPECT_EQ(seam::decode_result(std::string_view(*text)).status, "REVOKED");
    co_await w.stop();
  }(own));
}

TEST(RedisFaults, AWorkerOutlivesTheLossOfItsScripts) {
  plait::run([]() -> task<> {
    redis_server& server = redis_server::shared();
    plait::celery::redis::connection look(plait::celery::redis::parse_url(server.url()));
    co_await look.call(plait::celery::redis::command("FLUSHALL"));
    worker_on_redis w;
    co_await w.start(server.url());
    for (int i = 0; i < 20; ++i) {
      co_await w.send(i, i + 1);
      co_await look.call(plait::celery::redis::command("SCRIPT", "FLUSH"));
      co_await plait::timeout(20s, w.expect_results(i, i + 1));
    }
    co_await w.stop();
  }());
}

TEST(RedisFaults, AServerThatIsFullSaysSoToWhoSends) {
  redis_server small({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
  plait::run([](redis_server& full) -> task<> {
    auto sender = co_await seam::open_transport(full.url());
    const std::string filling(100'000, 'x');
    std::string reason;
    int accepted = 0;
    for (; accepted < 1000 && reason.empty(); ++accepted) {
      try {
        std::vector<seam::parcel> one;
        one.emplace_back("{\"body\":\"" + filling + "\"}", "celery");
        co_await sender->broker().publish(std::move(one));
      } catch (const transport_error& e) {
        reason = e.what();
      }
    }
    EXPECT_NE(reason.find("OOM"), std::string::npos) << reason;
    const std::vector<std::string> queues = {"celery"};
    const auto lengths = co_await sender->broker().lengths(queues);
    EXPECT_EQ(lengths.at(0).waiting, static_cast<std::uint64_t>(accepted - 1));
    co_await sender->close();
  }(small));
}

// Stands between clients and the server. Connections that were there at silence() live on and carry
// nothing any more, in neither direction: a machine that is gone, or a firewall that has forgotten.
class proxy {
 public:
  explicit proxy(std::uint16_t to) : to_(to) {}
  std::uint16_t port() const { return door_.port(); }
  void silence() { silent_ = opened_; }
  int opened() const { return opened_; }
  task<> run() {
    auto handle = [this](plait::net::tcp_stream near) -> task<> {
      const int number = ++opened_;
      auto far = co_await plait::net::tcp_stream::connect("127.0.0.1", to_);
      auto both = [&](plait::task_group& group) -> task<> {
        group.start(&proxy::carry, this, number, std::ref(near), std::ref(far));
        group.start(&proxy::carry, this, number, std::ref(far), std::ref(near));
        co_return;
      };
      try {
        co_await plait::with_task_group(both);
      } catch (const plait::cancelled_error&) {
        throw;
      } catch (const std::exception&) {
        // one of them has gone
      }
    };
    co_await plait::net::serve(door_, handle);
  }

 private:
  task<> carry(int number, plait::net::tcp_stream& from, plait::net::tcp_stream& into) {
    std::string buffer(65536, '\0');
    for (;;) {
      const std::size_t came = co_await from.read_some(buffer);
      if (came == 0) throw std::runtime_error("closed");
      if (number <= silent_) co_await never_.wait();
      co_await into.write_all(std::string_view(buffer).substr(0, came));
    }
  }
  std::uint16_t to_;
  plait::net::tcp_listener door_ = plait::net::tcp_listener::bind("127.0.0.1", 0);
  plait::event never_;
  int opened_ = 0, silent_ = 0;
};

// Redis with less patience than the URL gives.
class impatient final : public seam::transport {
 public:
  explicit impatient(const plait::celery::redis::connection_options& server)
      : broker_(server, {}), backend_(server, {}, 30s), control_(server, {}, 30s) {}
  seam::broker& broker() override { return broker_; }
  seam::result_backend& backend() override { return backend_; }
  seam::control_channel& control() override { return control_; }
  task<> close() override {
    control_.close();
    backend_.close();
    broker_.close();
    co_return;
  }

 private:
  plait::celery::redis::redis_broker broker_;
  plait::celery::redis::redis_backend backend_;
  plait::celery::redis::redis_control control_;
};

TEST(RedisFaults, AConnectionThatCarriesNothingAnyMoreIsReplaced) {
  redis_server own;
  plait::run([](redis_server& server) -> task<> {
    proxy between(server.port());
    auto carrying = plait::spawn(between.run());
    auto through = plait::celery::redis::parse_url(server.url());
    through.port = between.port();
    through.ping_every = 50ms;
    through.first_retry = 1ms;
    worker_on_redis w;
    w.transport = std::make_unique<impatient>(through);
    co_await w.start(server.url());
    for (int round = 0; round < 3; ++round) {
      co_await w.send(10 * round, 10 * round + 10);
      co_await plait::timeout(20s, w.expect_results(10 * round, 10 * round + 10));
      const int before = between.opened();
      between.silence();
      while (between.opened() == before) co_await plait::sleep(5ms);
    }
    co_await w.stop();
    carrying.cancel();
    try {
      co_await carrying;
    } catch (const plait::cancelled_error&) {
    }
  }(own));
}

// Its workers cannot start: whoever submits hears of it once three of them have failed.
TEST(CeleryWorkerPool, ABrokenPoolIsReplacedAndItsCallsGoBack) {
  plait::run([]() -> task<> {
    plait::process_pool_options hopeless{.max_workers = 1};
    hopeless.initializer = +[] { throw std::runtime_error("no room"); };
    plait::process_pool_executor broken(std::move(hopeless)), whole({.max_workers = 1});
    int replaced = 0;
    worker_on_redis w;
    w.transport = co_await seam::open_transport("memory:broken-pool");
    w.processes = &broken;
    w.new_processes = [&] {
      ++replaced;
      return &whole;
    };
    co_await w.start("memory:broken-pool");
    co_await w.send(0, 20);
    co_await plait::timeout(60s, w.expect_results(0, 20));
    EXPECT_EQ(replaced, 1);
    co_await w.stop();
  }());
}

}  // namespace
