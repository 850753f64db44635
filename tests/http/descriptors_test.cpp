// More requests than the process may have descriptors.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "servers.hpp"

namespace {

namespace http = plait::http;

class lowered_limit {
 public:
  explicit lowered_limit(rlim_t descriptors) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = descriptors;
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~lowered_limit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// The server runs short as well: it backs off, and serves everybody in the end.
TEST(Descriptors, ASessionWithALimitGetsEverythingWithFewOfThem) {
  const lowered_limit limit(64);
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session({.limit = 20});
    std::vector<plait::task<http::response>> gets;
    for (int i = 0; i < 300; ++i) gets.push_back(session.get(url + "/get"));
    const auto responses = co_await plait::gather(std::move(gets));
    EXPECT_EQ(responses.size(), 300u);
  });
}

// Both in one process with a hundred descriptors: the server's idle connections make room, where once
// the session kept what the others waited for.
plait::task<> many_at_once(std::string url) {
  http::client_session session({.limit = 60});
  std::vector<plait::task<http::response>> gets;
  for (int i = 0; i < 60; ++i) gets.push_back(session.get(url + "/delay/0.01"));
  const auto responses = co_await plait::gather(std::move(gets));
  EXPECT_EQ(responses.size(), 60u);
}
TEST(Descriptors, AServerWithoutThemSparesItsIdleConnections) {
  const lowered_limit limit(100);
  run_with_server(http::httpbin(), many_at_once);
}

// Nobody accepts: the kernel takes the connections, and they are held.
plait::task<> more_than_there_are() {
  auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
  const std::string url = "http://" + listener.local_endpoint().to_string();
  http::client_session session;
  std::vector<plait::future<http::response>> gets;
  for (int i = 0; i < 100; ++i) gets.push_back(plait::spawn(session.get(url)));
  for (int i = 0; i < 10; ++i) co_await plait::sleep(plait::duration::zero());
  int told = 0, waiting = 0;
  for (auto& get : gets) {
    if (!get.done()) {
      ++waiting;
      get.cancel();
    }
    try {
      co_await get;
      ADD_FAILURE() << "nobody answered";
    } catch (const http::connect_error& error) {
      EXPECT_STREQ(error.what(), "no file descriptors left (limit 64): raise it with ulimit -n");
      ++told;
    } catch (const plait::cancelled_error&) {
    }
  }
  EXPECT_GE(told, 100 - 64);
  EXPECT_EQ(told + waiting, 100);
}
TEST(Descriptors, WithoutALimitTheErrorSaysWhatToDo) {
  const lowered_limit limit(64);
  plait::run(more_than_there_are());
}

}  // namespace
