// What the kernel interfaces behind a loop promise: the one asked for, or the other; the same
// behaviour on both (most suites run on each); and what only a ring has.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../support/refuse_system_call.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "virtual_run.hpp"

using namespace std::chrono_literals;
using plait::detail::io_operation;
using plait::detail::readiness;

namespace {

// Why this kernel gives this process no ring; 0 if it does.
int ring_refusal() {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_COOP_TASKRUN;
  const long fd = syscall(SYS_io_uring_setup, 8, &parameters);
  if (fd == -1) return errno;
  close(static_cast<int>(fd));
  return 0;
}

// Two connected sockets, non-blocking.
struct pair {
  pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0); }
  ~pair() {
    for (const int f : fd)
      if (f != -1) close(f);
  }
  void close_left() { close(std::exchange(fd[0], -1)); }
  int fd[2];
};

// Runs a child process that does `f`; whether it exited with 0.
template <class F>
bool in_a_child(F f) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(f() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

// As under many containers' rules.
void forbid_rings() { refuse_system_call(SYS_io_uring_setup, EPERM); }

TEST(Poller, ALoopGetsWhatItAskedForOrEpoll) {
  EXPECT_EQ(plait::event_loop({.poller = plait::poller_kind::epoll}).poller(),
            plait::poller_kind::epoll);
  const auto got = plait::event_loop({.poller = plait::poller_kind::io_uring}).poller();
  const int refusal = ring_refusal();
  EXPECT_EQ(got, refusal == 0 ? plait::poller_kind::io_uring : plait::poller_kind::epoll);
  if (refusal != 0) GTEST_SKIP() << "no ring here, so nothing runs on one: " << strerror(refusal);
}

plait::task<int> one() {
  co_await plait::sleep(1ms);
  co_return 1;
}

TEST(Poller, WhereRingsAreForbiddenALoopWaitsThroughEpoll) {
  EXPECT_TRUE(in_a_child([] {
    forbid_rings();
    plait::event_loop loop({.poller = plait::poller_kind::io_uring});
    return loop.poller() == plait::poller_kind::epoll && loop.run_until_complete(one()) == 1;
  }));
}

TEST(Poller, TheEnvironmentChoosesAndIsToldWhatItMayChoose) {
  const auto with = [](const char* value, auto check) {
    return in_a_child([&] {
      setenv("PLAIT_POLLER", value, 1);
      return check();
    });
  };
  EXPECT_TRUE(
      with("epoll", [] { return plait::event_loop().poller() == plait::poller_kind::epoll; }));
  EXPECT_TRUE(with("io_uring", [] {
    return plait::event_loop().poller() ==
           (ring_refusal() == 0 ? plait::poller_kind::io_uring : plait::poller_kind::epoll);
  }));
  EXPECT_TRUE(with("kqueue", [] {
    try {
      plait::event_loop loop;
    } catch (const std::invalid_argument& e) {
      return std::string(e.what()) == "PLAIT_POLLER is \"kqueue\": it may be epoll or io_uring";
    }
    return false;
  }));
}

class Ring : public testing::Test {
 protected:
  void SetUp() override {
    if (const int refusal = ring_refusal(); refusal != 0)
      GTEST_SKIP() << "no ring here: " << strerror(refusal);
  }
  template <class F>
  static auto run(F program) {
    return plait::run(program(), {.poller = plait::poller_kind::io_uring});
  }
};

plait::task<std::string> receive(readiness& from, std::size_t most = 64) {
  std::string text(most, '\0');
  const int got = co_await io_operation::receive(from, text.data(), text.size());
  if (got < 0) throw std::system_error(-got, std::generic_category());
  text.resize(static_cast<std::size_t>(got));
  co_return text;
}
plait::task<int> send(readiness& to, std::string text) {
  co_return co_await io_operation::send(to, text.data(), text.size());
}

TEST_F(Ring, CarriesBytesThereAndBack) {
  run([]() -> plait::task<> {
    pair sockets;
    readiness left(sockets.fd[0]), right(sockets.fd[1]);
    EXPECT_TRUE(left.completes());
    auto [got, sent] = co_await plait::gather(receive(left), send(right, "hello"));
    EXPECT_EQ(got, "hello");
    EXPECT_EQ(sent, 5);
    EXPECT_EQ(co_await send(left, "there"), 5);
    EXPECT_EQ(co_await receive(right), "there");
  });
}

TEST_F(Ring, TheEndOfTheOtherSideIsZeroBytesOrItsError) {
  run([]() -> plait::task<> {
    pair sockets;
    readiness right(sockets.fd[1]);
    auto got = plait::spawn(receive(right));
    co_await let_others_run();
    sockets.close_left();
    EXPECT_EQ(co_await got, "");
    EXPECT_EQ(co_await send(right, "x"), -EPIPE);
  });
}

// Before it began, while the kernel has it, when its bytes are on their way, and after.
TEST_F(Ring, AStopInEveryStateLosesNoByte) {
  run([]() -> plait::task<> {
    for (int turns = 0; turns < 6; ++turns) {
      pair sockets;
      readiness left(sockets.fd[0]), right(sockets.fd[1]);
      auto reading = plait::spawn(receive(left));
      for (int i = 0; i < turns; ++i) co_await plait::sleep(0ms);
      const bool sends = turns >= 3;
      if (sends) {
        EXPECT_EQ(co_await send(right, "kept"), 4);
      }
      reading.cancel();
      std::string got;
      try {
        got = co_await reading;
      } catch (const plait::cancelled_error&) {
      }
      if (got.empty() && sends) got = co_await receive(left);
      EXPECT_EQ(got, sends ? "kept" : "") << turns;
    }
  });
}

TEST_F(Ring, ACallUnderWayWhenItsDescriptorGoesIsCancelled) {
  run([]() -> plait::task<> {
    pair sockets;
    std::optional<readiness> left(sockets.fd[0]);
    auto reading = plait::spawn(receive(*left));
    co_await let_others_run();
    left.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(reading));
  });
}

TEST_F(Ring, TwoReadsOfOneDescriptorAreAnError) {
  run([]() -> plait::task<> {
    pair sockets;
    readiness left(sockets.fd[0]);
    auto reading = plait::spawn(receive(left));
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(receive(left)));
    reading.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(reading));
  });
}

// The kernel keeps a file open while a poll of it is under way.
TEST_F(Ring, ClosingIsHeardAtOnceThoughTheLoopDoesNotTurn) {
  run([]() -> plait::task<> {
    pair sockets;
    {
      readiness left(sockets.fd[0]);
      left.not_readable();  // so that it is polled
      co_await let_others_run();
    }
    sockets.close_left();
    char byte = 0;
    EXPECT_EQ(read(sockets.fd[1], &byte, 1), 0);
    co_return;
  });
}

TEST_F(Ring, TakesMoreRequestsAndReportsThanItsRingsHold) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const int count = limit.rlim_max > 20'000 ? 9'500 : static_cast<int>(limit.rlim_max / 2 - 100);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  run([&]() -> plait::task<> {
    std::vector<pair> sockets(static_cast<std::size_t>(count));
    std::vector<std::unique_ptr<readiness>> left, right;
    std::vector<plait::task<std::string>> readers;
    for (auto& s : sockets) {
      left.push_back(std::make_unique<readiness>(s.fd[0]));
      right.push_back(std::make_unique<readiness>(s.fd[1]));
      readers.push_back(receive(*left.back()));
    }
    const auto writer = [&]() -> plait::task<> {
      co_await let_others_run();
      std::vector<plait::task<int>> sends;
      for (auto& r : right) sends.push_back(send(*r, "x"));
      co_await plait::gather(std::move(sends));
    };
    auto written = plait::spawn(writer());
    for (const auto& text : co_await plait::gather(std::move(readers))) EXPECT_EQ(text, "x");
    co_await written;
    // The same for polls: every descriptor is reported though all become ready at once.
    int seen = 0;
    const auto wait = [&](readiness& r) -> plait::task<> {
      r.not_readable();
      co_await r.readable();
      ++seen;
    };
    std::vector<plait::task<>> waits;
    for (auto& r : left) waits.push_back(wait(*r));
    const auto wait_for_all = [&]() -> plait::task<> { co_await plait::gather(std::move(waits)); };
    auto all = plait::spawn(wait_for_all());
    co_await let_others_run();
    for (auto& s : sockets) EXPECT_EQ(write(s.fd[1], "y", 1), 1);
    co_await all;
    EXPECT_EQ(seen, count);
  });
}

// The kernel cancels the requests of a thread that ends; the loop may go on elsewhere.
TEST_F(Ring, ALoopThatMovesToAnotherThreadKeepsItsWaits) {
  plait::event_loop loop({.poller = plait::poller_kind::io_uring});
  pair sockets, polled;
  plait::future<std::string> reading;
  plait::future<> waiting;
  std::optional<readiness> left, watched;
  const auto wait = [&]() -> plait::task<> {
    watched->not_readable();
    co_await watched->readable();
  };
  const auto begin = [&]() -> plait::task<> {
    left.emplace(sockets.fd[0]);
    watched.emplace(polled.fd[0]);
    reading = plait::spawn(receive(*left));
    waiting = plait::spawn(wait());
    co_await let_others_run();
  };
  std::thread([&] { loop.run_until_complete(begin()); }).join();
  const auto end = [&]() -> plait::task<> {
    co_await let_others_run();
    EXPECT_EQ(write(sockets.fd[1], "z", 1), 1);
    EXPECT_EQ(write(polled.fd[1], "z", 1), 1);
    EXPECT_EQ(co_await reading, "z");
    co_await waiting;
    left.reset();
    watched.reset();
  };
  std::thread([&] { loop.run_until_complete(end()); }).join();
}

TEST_F(Ring, FilesAreReadAndWrittenAtTheirPlaces) {
  run([]() -> plait::task<> {
    char name[] = "/tmp/plait_ring_XXXXXX";
    const int fd = mkostemp(name, O_CLOEXEC);
    unlink(name);
    std::string text = "0123456789";
    EXPECT_EQ(co_await io_operation(plait::detail::io_call::write, fd, text.data(), 10, 5), 10);
    EXPECT_EQ(co_await io_operation(plait::detail::io_call::sync, fd, nullptr, 0, 0), 0);
    char back[4];
    EXPECT_EQ(co_await io_operation(plait::detail::io_call::read, fd, back, 4, 7), 4);
    EXPECT_EQ(std::string(back, 4), "2345");
    EXPECT_EQ(co_await io_operation(plait::detail::io_call::read, fd, back, 4, 15), 0);
    close(fd);
    EXPECT_EQ(co_await io_operation(plait::detail::io_call::read, fd, back, 4, 0), -EBADF);
  });
}

}  // namespace
