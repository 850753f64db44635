// The seam: a transport of the test's own in the place of the network.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

// Takes a request and plays back an answer, a few bytes at a time.
class scripted_stream final : public http::byte_stream {
 public:
  scripted_stream(std::string answer, std::string& heard)
      : answer_(std::move(answer)), heard_(heard) {}
  std::optional<std::size_t> try_read(std::span<char> into) override {
    if (!std::exchange(awake_, false)) return std::nullopt;
    const std::size_t n = std::min({into.size(), answer_.size(), std::size_t{3}});
    std::copy_n(answer_.begin(), n, into.begin());
    answer_.erase(0, n);
    return n;
  }
  std::size_t try_write(std::string_view bytes) override {
    if (!std::exchange(awake_, false)) return 0;
    const std::size_t n = std::min<std::size_t>(bytes.size(), 5);
    heard_.append(bytes.substr(0, n));
    return n;
  }
  plait::task<> readable() override {
    awake_ = true;
    co_return;
  }
  plait::task<> writable() override {
    awake_ = true;
    co_return;
  }
  bool reusable() const noexcept override { return false; }

 private:
  std::string answer_;
  std::string& heard_;
  bool awake_ = false;
};

class scripted_transport final : public http::transport {
 public:
  explicit scripted_transport(std::string answer) : answer_(std::move(answer)) {}
  plait::task<std::unique_ptr<http::byte_stream>> connect(const http::url& to) override {
    connected_to += to.scheme() + "://" + to.authority() + " ";
    co_return std::make_unique<scripted_stream>(answer_, heard);
  }
  std::string connected_to, heard;

 private:
  std::string answer_;
};

TEST(Transport, TheClientSpeaksOverWhateverItIsGiven) {
  scripted_transport script("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello there");
  http::client_session session(
      {.user_agent = "t", .compression = http::compression::refuse, .transport = &script});
  const auto response = plait::run(session.get("https://example.org/path"));
  EXPECT_EQ(response.content, "hello there");
  EXPECT_EQ(script.connected_to, "https://example.org ");
  EXPECT_EQ(script.heard,
            "GET /path HTTP/1.1\r\nHost: example.org\r\nUser-Agent: t\r\nAccept: */*\r\n\r\n");
}

TEST(Transport, HeadersOfARequestComeOnceAndFramingIsOurs) {
  scripted_transport script("HTTP/1.1 204 No Content\r\n\r\n");
  http::client_session session({.headers = {{"Accept", "b/b"}, {"X", "all"}},
                                .compression = http::compression::refuse,
                                .transport = &script});
  plait::run(session.request("PUT", "http://h/",
                             http::request_options()
                                 .with_headers({{"x", "one"}, {"Content-Length", "99"}})
                                 .with_content("abc")));
  EXPECT_EQ(script.heard,
            "PUT / HTTP/1.1\r\nHost: h\r\nUser-Agent: plait/0.1\r\nAccept: b/b\r\nx: one\r\n"
            "Content-Length: 3\r\n\r\nabc");
}

// Takes every request and never answers.
class silent_stream final : public http::byte_stream {
 public:
  explicit silent_stream(plait::event& never) : never_(never) {}
  std::optional<std::size_t> try_read(std::span<char>) override { return std::nullopt; }
  std::size_t try_write(std::string_view bytes) override { return bytes.size(); }
  plait::task<> readable() override { co_await never_.wait(); }
  plait::task<> writable() override { co_return; }
  bool reusable() const noexcept override { return true; }

 private:
  plait::event& never_;
};
class silent_transport final : public http::transport {
 public:
  plait::task<std::unique_ptr<http::byte_stream>> connect(const http::url&) override {
    ++connections;
    co_return std::make_unique<silent_stream>(never_);
  }
  int connections = 0;

 private:
  plait::event never_;
};

plait::task<> wait_in_thousands() {
  constexpr std::size_t n = 2000, most_bytes = 2500;
  silent_transport silence;
  http::client_session session({.transport = &silence});
  std::vector<plait::future<http::response>> waiting;
  waiting.reserve(n);
  const auto before = mallinfo2().uordblks;
  for (std::size_t i = 0; i < n; ++i)
    waiting.push_back(plait::spawn(session.get("http://a.test/delay/1")));
  while (silence.connections < static_cast<int>(n)) co_await plait::sleep(0ms);
  co_await plait::sleep(0ms);
  EXPECT_LT((mallinfo2().uordblks - before) / n, most_bytes);
  for (auto& one : waiting) one.cancel();
  std::size_t cancelled = 0;
  for (auto& one : waiting) {
    try {
      co_await one;
    } catch (const plait::cancelled_error&) {
      ++cancelled;
    }
  }
  EXPECT_EQ(cancelled, n);
}
// It was 6.3 KB once, in nine frames, before anybody looked. (Sanitizers say 0, which is less.)
TEST(Transport, AWaitingRequestTakesLittleMemory) { plait::run(wait_in_thousands()); }

TEST(Transport, HttpsGoesOverTheNetworkToo) {
  http::client_session session;
  EXPECT_THROW(plait::run(session.get("https://127.0.0.1:1/")), http::connect_error);
}

}  // namespace
