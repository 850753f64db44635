// A server's promises: a flow for each connection, a limit, an end in order, and nobody's fault but
// its own. In virtual time over memory, then over the kernel's sockets.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "plait/testing/unhandled_recorder.hpp"
#include "stream_kinds.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::serve;
using plait::testing::memory_stream;

template <class F>
auto virtual_run(F program) {
  plait::testing::virtual_clock clock;
  return plait::run(program(), {.clock = &clock});
}

// A listener of memory streams: what a class needs to be served.
class memory_listener {
 public:
  memory_stream connect() {
    auto [client, server] = plait::testing::memory_stream_pair();
    waiting_.put_nowait(std::move(server));
    return std::move(client);
  }
  plait::task<memory_stream> accept() {
    if (closed_) throw plait::net::listen_error("closed", {});
    ++accepting_;
    co_return co_await waiting_.get();
  }
  void close() noexcept { closed_ = true; }
  bool closed() const noexcept { return closed_; }
  int accepting() const noexcept { return accepting_; }

 private:
  plait::queue<memory_stream> waiting_;
  int accepting_ = 0;
  bool closed_ = false;
};

template <class Stream>
plait::task<> echo(Stream stream) {
  std::array<char, 100> buffer{};
  while (const std::size_t got = co_await stream.read_some(buffer))
    co_await stream.write_all({buffer.data(), got});
  co_await stream.shutdown_write();
}

template <class Stream>
plait::task<std::string> ask(Stream& to, std::string_view text) {
  co_await write_and_end(to, text);
  co_return co_await read_to_end(to);
}

plait::task<> end(plait::future<> serving) {
  serving.cancel();
  EXPECT_TRUE(co_await throws<plait::cancelled_error>(std::move(serving)));
}

TEST(Serve, EachConnectionHasAFlowOfItsOwn) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    auto serving = plait::spawn(serve(listener, echo<memory_stream>));
    std::vector<memory_stream> clients;
    for (int i = 0; i < 300; ++i) clients.push_back(listener.connect());
    for (auto& client : clients) {
      const std::string answer = co_await ask(client, "hello");
      EXPECT_EQ(answer, "hello");
    }
    co_await end(std::move(serving));
  });
}

TEST(Serve, AcceptsNoMoreThanItsLimitAtOnce) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    int now = 0, most = 0;
    const auto busy = [&](memory_stream stream) -> plait::task<> {
      most = std::max(most, ++now);
      co_await plait::sleep(1s);
      --now;
      stream.close();
    };
    auto serving = plait::spawn(serve(listener, busy, {.max_connections = 3}));
    std::vector<memory_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(listener.connect());
    co_await plait::sleep(500ms);
    EXPECT_EQ(now, 3);
    EXPECT_EQ(listener.accepting(), 3) << "the fourth is not even accepted";
    for (auto& client : clients) co_await read_to_end(client);
    EXPECT_EQ(most, 3);
    co_await end(std::move(serving));
  });
}

TEST(Serve, AStopWithoutGraceStopsConnectionsAndWaitsForThem) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    int begun = 0, cleaned = 0;
    const auto stubborn = [&](memory_stream) -> plait::task<> {
      ++begun;
      const auto clean_up = [&]() -> plait::task<> {
        co_await plait::sleep(1s);
        ++cleaned;
      };
      co_await plait::finally(plait::sleep(1h), clean_up);
    };
    auto serving = plait::spawn(serve(listener, stubborn));
    auto first = listener.connect(), second = listener.connect();
    co_await let_others_run();
    EXPECT_EQ(begun, 2);
    const auto before = plait::event_loop::current().now();
    co_await end(std::move(serving));
    EXPECT_TRUE(listener.closed());
    EXPECT_EQ(cleaned, 2);
    EXPECT_EQ(plait::event_loop::current().now() - before, 1s);
  });
}

TEST(Serve, AStopLetsConnectionsEndByThemselvesForAWhile) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    int finished = 0, stopped = 0;
    const auto work = [&](memory_stream stream) -> plait::task<> {
      std::array<char, 1> seconds{};
      co_await stream.read_some(seconds);
      try {
        co_await plait::sleep(std::chrono::seconds(seconds[0]));
        ++finished;
      } catch (const plait::cancelled_error&) {
        ++stopped;
      }
    };
    auto serving = plait::spawn(serve(listener, work, {.grace = 10s}));
    auto quick = listener.connect(), slow = listener.connect();
    co_await quick.write_all("\x05");
    co_await slow.write_all("\x7f");
    co_await let_others_run();
    const auto before = plait::event_loop::current().now();
    co_await end(std::move(serving));
    EXPECT_EQ(plait::event_loop::current().now() - before, 10s);
    EXPECT_EQ(finished, 1);
    EXPECT_EQ(stopped, 1);
  });
}

TEST(Serve, ItDoesNotWaitForTheGraceWhenEverybodyHasGone) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    auto serving = plait::spawn(serve(listener, echo<memory_stream>, {.grace = 1h}));
    auto client = listener.connect();
    co_await let_others_run();
    serving.cancel();
    co_await let_others_run();
    EXPECT_TRUE(listener.closed());
    EXPECT_FALSE(serving.done());
    const auto before = plait::event_loop::current().now();
    const std::string answer = co_await ask(client, "last words");
    EXPECT_EQ(answer, "last words");
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(std::move(serving)));
    EXPECT_EQ(plait::event_loop::current().now(), before);
  });
}

TEST(Serve, AHandlerThatThrowsEndsItsConnectionOnlyAndIsReported) {
  plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    const auto rough = [](memory_stream stream) -> plait::task<> {
      std::array<char, 1> first{};
      co_await stream.read_some(first);
      if (first[0] == 'x') throw std::runtime_error("this handler is broken");
      co_await stream.write_all("fine");
    };
    auto serving = plait::spawn(serve(listener, rough));
    auto bad = listener.connect(), good = listener.connect();
    co_await bad.write_all("x");
    const std::string nothing = co_await read_to_end(bad);
    EXPECT_EQ(nothing, "");
    co_await good.write_all("g");
    const std::string answer = co_await read_to_end(good);
    EXPECT_EQ(answer, "fine");
    co_await end(std::move(serving));
  });
  ASSERT_EQ(recorder.count(), 1u);
}

TEST(Serve, AHandlerThatThrowsBeforeItIsACoroutineIsReportedToo) {
  plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    const auto never = [](memory_stream) -> plait::task<> { throw std::runtime_error("no"); };
    auto serving = plait::spawn(serve(listener, never, {.max_connections = 1}));
    for (int i = 0; i < 3; ++i) {
      auto client = listener.connect();
      const std::string nothing = co_await read_to_end(client);
      EXPECT_EQ(nothing, "");
    }
    co_await end(std::move(serving));
  });
  EXPECT_EQ(recorder.count(), 3u);
}

TEST(Serve, AClientThatVanishesIsItsOwnAffair) {
  plait::testing::unhandled_recorder recorder;
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    const auto talkative = [](memory_stream stream) -> plait::task<> {
      for (;;) co_await stream.write_all(std::string(100'000, 'x'));
    };
    auto serving = plait::spawn(serve(listener, talkative));
    listener.connect().close();
    co_await let_others_run();
    co_await end(std::move(serving));
  });
  EXPECT_EQ(recorder.count(), 0u);
}

TEST(Serve, StoppedBeforeItBeginsItClosesItsListener) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    auto serving = plait::spawn(serve(listener, echo<memory_stream>));
    serving.cancel();
    const bool stopped = co_await throws<plait::cancelled_error>(std::move(serving));
    EXPECT_TRUE(stopped);
    memory_listener another;
    const auto in_a_stopped_flow = [&]() -> plait::task<> {
      try {
        co_await plait::sleep(1h);
      } catch (const plait::cancelled_error&) {
      }
      co_await serve(another, echo<memory_stream>);
    };
    auto flow = plait::spawn(in_a_stopped_flow());
    co_await let_others_run();
    co_await end(std::move(flow));
    EXPECT_TRUE(another.closed());
  });
}

TEST(Serve, AListenerThatFailsEndsTheServerInOrder) {
  virtual_run([]() -> plait::task<> {
    memory_listener listener;
    auto serving = plait::spawn(serve(listener, echo<memory_stream>, {.grace = 1h}));
    auto client = listener.connect();
    co_await let_others_run();
    listener.close();
    auto last = listener.connect();  // wakes the accept that was waiting; the next one fails
    co_await let_others_run();
    EXPECT_FALSE(serving.done());
    const std::string answer = co_await ask(client, "still here");
    EXPECT_EQ(answer, "still here");
    last.close();
    EXPECT_TRUE(co_await throws<plait::net::listen_error>(std::move(serving)));
  });
}

template <class Listener, class Stream, class Connect>
plait::task<> talk_over(Listener& listener, Connect connect) {
  auto serving = plait::spawn(serve(listener, echo<Stream>, {.max_connections = 4}));
  std::vector<plait::future<std::string>> answers;
  const auto visit = [&](std::string text) -> plait::task<std::string> {
    auto stream = co_await connect();
    co_return co_await ask(stream, text);
  };
  for (int i = 0; i < 50; ++i) answers.push_back(plait::spawn(visit(std::to_string(i))));
  for (int i = 0; i < 50; ++i) {
    const std::string answer = co_await std::move(answers[static_cast<std::size_t>(i)]);
    EXPECT_EQ(answer, std::to_string(i));
  }
  co_await end(std::move(serving));
  EXPECT_TRUE(co_await throws<plait::net::connect_error>(connect())) << "nobody listens any more";
}

TEST(Serve, TcpAndUnixListenersWithTheSameCode) {
  run_program([]() -> plait::task<> {
    auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
    const auto port = listener.port();
    co_await talk_over<plait::net::tcp_listener, plait::net::tcp_stream>(
        listener, [port] { return plait::net::tcp_stream::connect("127.0.0.1", port); });
  });
  run_program([]() -> plait::task<> {
    const std::string name = "@plait-test-serve-" + std::to_string(getpid());
    auto listener = plait::net::unix_listener::bind(name);
    const auto connect = [&name] { return plait::net::unix_stream::connect(name); };
    co_await talk_over<plait::net::unix_listener, plait::net::unix_stream>(listener, connect);
  });
}

}  // namespace
