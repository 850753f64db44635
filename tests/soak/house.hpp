// tests/soak/house.hpp: every engine at once, as one program would live with them.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "celery/redis_server.hpp"
#include "plait/celery.hpp"
#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/net.hpp"
#include "plait/processes.hpp"
#include "plait/testing/seed.hpp"
#include "plait/testing/temporary_folder.hpp"
#include "plait/threads.hpp"
#include "tally.hpp"

namespace soak {

using plait::task;
using plait::testing::random_source;

inline int add(int a, int b) { return a + b; }
inline std::string flaky(std::string text) {
  if (text.size() % 3 == 0) throw std::runtime_error("deliberate");
  return text + text;
}

// An application, what it can do, and a worker for it on a thread.
class office {
 public:
  office(plait::celery::app_options options, tally& counted)
      : counted_(counted), app_(std::move(options)), worker_(make_worker()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  }
  ~office() {
    thread_.request_stop();
    worker_.shutdown();
  }
  plait::celery::app& app() { return app_; }
  const auto& add_task() const { return add_; }
  const auto& flaky_task() const { return flaky_; }

 private:
  plait::celery::worker make_worker() {
    plait::celery::worker_options options;
    options.concurrency = 2;
    options.lease = 3s;
    options.max_deliveries = 20;  // worker processes are killed often here
    options.max_tasks_per_child = 50;
    return app_.worker(std::move(options));
  }
  // Again after the broker was lost, as a service manager would.
  void work(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        worker_.run();
      } catch (...) {
        counted_.count_exception();
        std::this_thread::sleep_for(50ms);
      }
    }
  }

  tally& counted_;
  plait::celery::app app_;
  plait::celery::registered_task<int(int, int)> add_ = app_.task("soak.add", add);
  plait::celery::registered_task<std::string(std::string)> flaky_ =
      app_.task("soak.flaky", flaky, plait::celery::task_options{.max_retries = 0});
  plait::celery::worker worker_;
  std::jthread thread_;
};

// Hands a connection on, and cuts it after some bytes.
class scissors {
 public:
  scissors(std::uint16_t behind, std::uint64_t seed) : behind_(behind), random_(seed) {}
  std::uint16_t port() const { return listener_.port(); }
  task<> run() {
    return plait::net::serve(listener_,
                             [this](plait::net::tcp_stream s) { return hand_on(std::move(s)); });
  }

 private:
  task<> hand_on(plait::net::tcp_stream client) {
    try {
      auto server = co_await plait::net::tcp_stream::connect("127.0.0.1", behind_);
      std::uint64_t left = 1 + random_.below(random_.one_in(2) ? 2'000'000 : 20'000);
      co_await plait::race(pump(client, server, left), pump(server, client, left));
      if (random_.one_in(2)) client.reset();
    } catch (const plait::exception_group&) {  // both directions were cut from outside
    } catch (const plait::net::error&) {
    }
  }
  static task<> pump(plait::net::tcp_stream& from, plait::net::tcp_stream& to,
                     std::uint64_t& left) {
    std::vector<char> buffer(4096);
    while (left > 0) {
      const std::size_t got = co_await from.read_some(buffer);
      if (got == 0) co_return;
      const std::size_t some = std::min<std::uint64_t>(got, left);
      co_await to.write_all(std::string_view(buffer.data(), some));
      left -= some;
    }
  }

  std::uint16_t behind_;
  random_source random_;
  plait::net::tcp_listener listener_ = plait::net::tcp_listener::bind("127.0.0.1", 0);
};

inline plait::http::router make_routes() {
  plait::http::router routes;
  routes.get("/bytes/{n}", [](const plait::http::request& asked) {
    plait::http::response answer;
    answer.content = std::string(asked.path_parameter<std::size_t>("n"), 'x');
    return answer;
  });
  routes.post("/echo", [](plait::http::request asked) {
    plait::http::response answer;
    answer.content = std::move(asked.content);
    return answer;
  });
  routes.get("/slow", [](plait::http::request) -> task<plait::http::response> {
    co_await plait::sleep(30ms);
    co_return plait::http::response();
  });
  return routes;
}

struct house {
  explicit house(random_source random, tally& sqlite_counted, tally& redis_counted)
      : server(plait::http::server_options{.drain = plait::duration::zero()}, make_routes()),
        cut(server.port(), random.next()),
        by_sqlite({.broker = "sqlite:" + folder / "jobs.db" + "?synchronous=normal"},
                  sqlite_counted),
        by_redis({.broker = redis.url()}, redis_counted) {
    loop_thread = std::thread([this] { loop.run(); });
    serving = loop.submit([this] { return server.serve(); });
    cutting = loop.submit([this] { return cut.run(); });
  }
  ~house() {
    cutting.cancel();
    serving.cancel();
    plait::wait(std::vector{cutting, serving});
    loop.shutdown();
    loop_thread.join();
  }

  plait::testing::temporary_folder folder;
  redis_server redis{{"--appendonly", "yes", "--appendfsync", "always"}};
  plait::thread_pool_executor threads{4};
  plait::process_pool_executor processes{
      plait::process_pool_options{.max_workers = 2, .max_tasks_per_child = 500}};
  plait::event_loop loop;
  plait::http::server server;
  scissors cut;
  office by_sqlite, by_redis;
  std::thread loop_thread;
  plait::future<> serving, cutting;
};

}  // namespace soak
