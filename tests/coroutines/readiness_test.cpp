// What readiness promises: a descriptor's two directions, each awaited by one task, stoppable.
#include "plait/coroutines/readiness.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "virtual_run.hpp"

using namespace std::chrono_literals;

namespace {

class socket_pair {
 public:
  socket_pair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_) != 0)
      throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  ~socket_pair() {
    close(fds_[0]);
    if (fds_[1] != -1) close(fds_[1]);
  }
  socket_pair(const socket_pair&) = delete;
  socket_pair& operator=(const socket_pair&) = delete;
  int left() const { return fds_[0]; }
  int right() const { return fds_[1]; }
  void close_right() { close(std::exchange(fds_[1], -1)); }

 private:
  int fds_[2];
};

// One byte, or -1 at the end of the stream.
plait::task<int> read_byte(plait::detail::readiness& r) {
  for (;;) {
    unsigned char byte = 0;
    const auto n = read(r.fd(), &byte, 1);
    if (n == 1) co_return byte;
    if (n == 0 || errno != EAGAIN) co_return -1;
    r.not_readable();
    co_await r.readable();
  }
}
plait::task<> write_byte(plait::detail::readiness& r, int byte) {
  const auto raw = static_cast<unsigned char>(byte);
  while (write(r.fd(), &raw, 1) != 1) {
    r.not_writable();
    co_await r.writable();
  }
}

TEST(Readiness, ThousandsOfRoundTrips) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left()), right(sockets.right());
    const auto echo = [&]() -> plait::task<> {
      for (int i = 0; i < 5000; ++i) co_await write_byte(right, co_await read_byte(right));
    };
    const auto ask = [&]() -> plait::task<> {
      for (int i = 0; i < 5000; ++i) {
        co_await write_byte(left, i & 255);
        EXPECT_EQ(co_await read_byte(left), i & 255);
      }
    };
    co_await plait::gather(ask(), echo());
  });
}

TEST(Readiness, AFullBufferIsWaitedFor) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left()), right(sockets.right());
    constexpr std::size_t total = 4'000'000;
    const auto sender = [&]() -> plait::task<> {
      const std::vector<char> block(65536, 'x');
      for (std::size_t sent = 0; sent < total;) {
        const auto n = write(left.fd(), block.data(), std::min(block.size(), total - sent));
        if (n > 0) {
          sent += static_cast<std::size_t>(n);
        } else {
          left.not_writable();
          co_await left.writable();
        }
      }
    };
    const auto receiver = [&]() -> plait::task<std::size_t> {
      std::vector<char> block(65536);
      std::size_t got = 0;
      while (got < total) {
        const auto n = read(right.fd(), block.data(), block.size());
        if (n > 0) {
          got += static_cast<std::size_t>(n);
        } else {
          right.not_readable();
          co_await right.readable();
        }
      }
      co_return got;
    };
    auto [unit, got] = co_await plait::gather(sender(), receiver());
    static_cast<void>(unit);
    EXPECT_EQ(got, total);
  });
}

TEST(Readiness, TheOthersHangUpWakesBothDirections) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left());
    const auto hang_up = [&]() -> plait::task<> {
      co_await plait::sleep(1s);
      sockets.close_right();
    };
    auto [byte, done] = co_await plait::gather(read_byte(left), hang_up());
    static_cast<void>(done);
    EXPECT_EQ(byte, -1);
    left.not_writable();
  });
}

TEST(Readiness, TwoTasksMayNotAwaitOneDirection) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left());
    auto first = plait::spawn(read_byte(left));
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(left.readable()));
    EXPECT_FALSE(co_await throws<plait::invalid_state>(left.writable()));  // the other is free
    EXPECT_EQ(write(sockets.right(), "a", 1), 1);
    EXPECT_EQ(co_await first, 'a');
  });
}

TEST(Readiness, AStoppedWaitLeavesTheDescriptorToTheNext) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left());
    auto first = plait::spawn(read_byte(left));
    co_await plait::sleep(1s);
    first.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(first));
    auto second = plait::spawn(read_byte(left));
    co_await let_others_run();
    EXPECT_EQ(write(sockets.right(), "b", 1), 1);
    EXPECT_EQ(co_await second, 'b');
  });
}

TEST(Readiness, ATimeoutBoundsAWait) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    plait::detail::readiness left(sockets.left());
    EXPECT_TRUE(co_await throws<plait::timeout_error>(plait::timeout(1h, read_byte(left))));
    EXPECT_EQ(write(sockets.right(), "c", 1), 1);
    EXPECT_EQ(co_await plait::timeout(1h, read_byte(left)), 'c');
  });
}

// The kernel has an event for it when it goes: nothing may arrive at what is no longer there.
TEST(Readiness, MayBeDestroyedWhileAnEventIsOnItsWay) {
  virtual_run([]() -> plait::task<> {
    for (int i = 0; i < 100; ++i) {
      socket_pair sockets;
      auto left = std::make_unique<plait::detail::readiness>(sockets.left());
      EXPECT_EQ(write(sockets.right(), "d", 1), 1);
      left.reset();
      co_await plait::sleep(1ms);
    }
  });
}

TEST(Readiness, AWaitEndsWhenItsDescriptorGoes) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    auto left = std::make_unique<plait::detail::readiness>(sockets.left());
    auto reader = plait::spawn(read_byte(*left));
    co_await let_others_run();
    left.reset();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(reader));
  });
}

TEST(Readiness, MayBeRegisteredAgain) {
  virtual_run([]() -> plait::task<> {
    socket_pair sockets;
    for (int i = 0; i < 3; ++i) {
      plait::detail::readiness left(sockets.left());
      EXPECT_EQ(write(sockets.right(), "e", 1), 1);
      EXPECT_EQ(co_await read_byte(left), 'e');
    }
  });
}

TEST(Readiness, OfWhatCannotBeWatchedThrows) {
  virtual_run([]() -> plait::task<> {
    EXPECT_THROW(plait::detail::readiness(-1), std::system_error);
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT_THROW(plait::detail::readiness{file}, std::system_error);
    close(file);
    co_return;
  });
  socket_pair sockets;
  EXPECT_THROW(plait::detail::readiness(sockets.left()), plait::invalid_state);  // no loop here
}

}  // namespace
