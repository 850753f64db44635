// Blocking get(), on threads.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "plait/threads.hpp"
#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

TEST(Get, BlocksUntilTheResponseIsComplete) {
  const server_thread server(http::httpbin());
  const auto response = http::get(server.url() + "/bytes/100?seed=1");
  EXPECT_EQ(response.status_code, 200);
  EXPECT_EQ(response.content.size(), 100u);
  EXPECT_EQ(http::get(server.url() + "/bytes/100?seed=1").content, response.content);
}

TEST(Get, TakesOptions) {
  const server_thread server([](http::request asked) -> plait::task<http::response> {
    co_return http::response{.content = std::string(asked.headers.get("X-Mine"))};
  });
  EXPECT_EQ(http::get(server.url(), http::request_options().with_header("X-Mine", "yes")).content,
            "yes");
}

TEST(Get, CanBeSubmittedAndMapped) {
  const server_thread server(http::httpbin());
  plait::thread_pool_executor executor{4};
  std::vector<plait::future<http::response>> futures;
  for (int i = 0; i < 8; ++i)
    futures.push_back(executor.submit(http::get, server.url() + "/delay/0.05"));
  for (auto& future : futures) EXPECT_EQ(future.get().status_code, 200);
  const std::vector<std::string> urls(5, server.url() + "/status/204");
  for (const auto& response : executor.map(http::get, urls)) EXPECT_EQ(response.status_code, 204);
}

// To a name, from every worker of the pool at once: looking it up must not need a worker.
TEST(Get, WorksOnEveryThreadOfTheDefaultPoolAtOnce) {
  const server_thread server(http::httpbin());
  const std::string url = "http://localhost:" + server.url().substr(server.url().rfind(':') + 1);
  std::vector<plait::future<http::response>> futures;
  for (int i = 0; i < 16; ++i)
    futures.push_back(plait::default_thread_pool().submit(http::get, url + "/get"));
  for (auto& future : futures) EXPECT_EQ(future.get().status_code, 200);
}

TEST(Get, ASubmittedOneHearsOfCancel) {
  const server_thread server(http::httpbin());
  plait::thread_pool_executor executor{1};
  auto future = executor.submit(http::get, server.url() + "/delay/10");
  while (!future.running()) std::this_thread::yield();
  EXPECT_TRUE(future.cancel());
  EXPECT_THROW(future.get(), plait::cancelled_error);
  EXPECT_EQ(executor.submit(http::get, server.url() + "/get").get().status_code, 200)
      << "the thread's session is as good as before";
}

TEST(Get, ThrowsWhatTheSessionThrows) {
  const server_thread server(http::httpbin());
  EXPECT_THROW(http::get("nonsense"), http::invalid_url);
  EXPECT_THROW(http::get(server.url() + "/delay/10", http::request_options().with_timeout(20ms)),
               plait::timeout_error);
}

plait::task<> get_on_a_loop() {
  EXPECT_THROW(http::get("http://127.0.0.1:1/"), plait::would_deadlock);
  co_return;
}
TEST(Get, OnALoopItThrowsInsteadOfStoppingTheLoop) { plait::run(get_on_a_loop()); }

}  // namespace
