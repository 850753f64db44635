// With no descriptors left nothing hangs, spins or dies; and things go on when there are some again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::tcp_listener;
using plait::net::tcp_stream;

// Holds every descriptor of the process up to a lowered limit, and lets go of them.
class all_descriptors {
 public:
  all_descriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &low);
    for (int fd = 0; (fd = open("/dev/null", O_RDONLY)) != -1;) held_.push_back(fd);
  }
  ~all_descriptors() {
    release(held_.size());
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  void release(std::size_t n) {
    for (; n != 0 && !held_.empty(); --n, held_.pop_back()) close(held_.back());
  }

 private:
  rlimit before_{};
  std::vector<int> held_;
};

plait::task<> connect_without_descriptors() {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  const all_descriptors held;
  try {
    co_await tcp_stream::connect("127.0.0.1", listener.port());
    ADD_FAILURE() << "there was no descriptor for it";
  } catch (const plait::net::descriptors_exhausted& error) {
    EXPECT_STREQ(error.what(), "no file descriptors left (limit 64): raise it with ulimit -n");
    EXPECT_EQ(error.code(), std::errc::too_many_files_open);
  }
}
TEST(Descriptors, ALoopThatFindsNoneSaysSoAndOpensWhenThereAreSome) {
  {
    const all_descriptors held;
    for (const auto kind : {plait::poller_kind::epoll, plait::poller_kind::io_uring}) {
      try {
        plait::event_loop loop({.poller = kind});
        ADD_FAILURE() << "there was no descriptor for it";
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::too_many_files_open);
      }
    }
  }
  plait::event_loop loop;
}

TEST(Descriptors, ConnectSaysThatThereAreNoneAndWhatToDo) {
  plait::run(connect_without_descriptors());
}

plait::task<> accept_without_descriptors() {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  auto client = co_await tcp_stream::connect("127.0.0.1", listener.port());
  all_descriptors held;
  auto accepted = plait::spawn(listener.accept());
  co_await plait::sleep(100ms);  // several attempts
  EXPECT_FALSE(accepted.done());
  held.release(1);
  auto server = co_await std::move(accepted);
  EXPECT_EQ(server.peer(), client.local_endpoint());
}
TEST(Descriptors, AcceptWaitsUntilThereIsOneAgain) {
  const clock_t before = std::clock();
  plait::run(accept_without_descriptors());
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC) << "it spins";
}

plait::task<> answer(tcp_stream stream) { co_await stream.write_all("hello"); }
plait::task<> serve_without_descriptors() {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  auto serving = plait::spawn(plait::net::serve(listener, answer));
  auto client = co_await tcp_stream::connect("127.0.0.1", listener.port());
  std::string buffer(10, ' ');
  {
    const all_descriptors held;  // the server finds out when it accepts
    co_await plait::sleep(100ms);
    EXPECT_FALSE(serving.done());
  }
  EXPECT_EQ(co_await client.read_some(buffer), 5u);
  auto next = co_await tcp_stream::connect("127.0.0.1", listener.port());
  EXPECT_EQ(co_await next.read_some(buffer), 5u);
  serving.cancel();
  try {
    co_await std::move(serving);
  } catch (const plait::cancelled_error&) {
  }
}
TEST(Descriptors, AServerSurvivesWithoutThem) {
  const clock_t before = std::clock();
  plait::run(serve_without_descriptors());
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC) << "it spins";
}

// With a few descriptors: too few for the pipes, or enough for them and none for the child's end.
TEST(Descriptors, ASubprocessStartsOrSaysThatThereAreNone) {
  namespace net = plait::net;
  const auto what = net::command("/bin/true").in(net::redirect::pipe()).out(net::redirect::pipe());
  bool started = false;
  for (std::size_t few = 0; few < 10; ++few) {
    all_descriptors held;
    held.release(few);
    try {
      net::subprocess::start(what);
      started = true;
    } catch (const net::descriptors_exhausted&) {
      EXPECT_FALSE(started) << "it started with fewer than " << few;
    }
  }
  EXPECT_TRUE(started);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

}  // namespace
