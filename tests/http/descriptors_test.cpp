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

TEST(Descriptors, WithoutALimitTheErrorSaysWhatToDo) {
  const lowered_limit limit(64);
  run_with_server(http::httpbin(), [](std::string url) -> plait::task<> {
    http::client_session session;
    std::vector<plait::future<http::response>> gets;
    for (int i = 0; i < 100; ++i) gets.push_back(plait::spawn(session.get(url + "/delay/0.05")));
    int good = 0, told = 0;
    for (auto& get : gets) {
      try {
        const auto response = co_await get;
        good += response.status_code == 200;
      } catch (const http::connect_error& error) {
        told += std::string(error.what()).find("raise it with ulimit -n") != std::string::npos;
      }
    }
    EXPECT_GT(good, 0);
    EXPECT_EQ(good + told, 100);
  });
}

}  // namespace
