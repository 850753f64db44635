#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>

#include "descriptor_count.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
namespace net = plait::net;

plait::task<std::string> read_to_end(net::pipe_reader& from) {
  std::string all;
  std::array<char, 10'000> buffer{};
  while (const std::size_t got = co_await from.read_some(buffer)) all.append(buffer.data(), got);
  co_return all;
}

plait::task<> write_and_close(net::pipe_writer& to, std::string_view bytes) {
  co_await to.write_all(bytes);
  to.close();
}

TEST(Pipe, BytesPassItsBufferAndTheEndIsSeen) {
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    std::string sent(1'000'000, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7919 >> 8);
    auto [nothing, back] =
        co_await plait::gather(write_and_close(ends.writer, sent), read_to_end(ends.reader));
    static_cast<void>(nothing);
    EXPECT_TRUE(back == sent) << back.size() << " bytes came out";
  };
  plait::run(body());
}

TEST(Pipe, AWriterWhoseReaderHasGoneIsToldWithoutASignal) {
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    ends.reader.close();
    try {
      co_await ends.writer.write_all("x");
      ADD_FAILURE() << "nobody reads";
    } catch (const net::connection_closed& error) {
      EXPECT_EQ(error.code(), std::errc::broken_pipe);
    }
    sigset_t pending;
    sigpending(&pending);
    EXPECT_FALSE(sigismember(&pending, SIGPIPE));
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_FALSE(sigismember(&mask, SIGPIPE));
  };
  plait::run(body());
}

TEST(Pipe, AStoppedReadAndAStoppedWriteLeaveItUsable) {
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    std::array<char, 100> buffer{};
    bool timed_out = false;
    try {
      co_await plait::timeout(1ms, ends.reader.read_some(buffer));
    } catch (const plait::timeout_error&) {
      timed_out = true;
    }
    EXPECT_TRUE(timed_out);
    timed_out = false;
    const std::string too_much(10'000'000, 'x');
    try {
      co_await plait::timeout(1ms, ends.writer.write_all(too_much));
    } catch (const plait::timeout_error&) {
      timed_out = true;
    }
    EXPECT_TRUE(timed_out);
    ends.writer.close();
    const std::string rest = co_await read_to_end(ends.reader);
    EXPECT_GT(rest.size(), 0u);
    EXPECT_EQ(rest.find_first_not_of('x'), std::string::npos);
  };
  plait::run(body());
}

TEST(Pipe, ATaskThatIsStoppingReadsNothing) {
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    co_await ends.writer.write_all("there");
    std::array<char, 100> buffer{};
    auto late = plait::spawn(ends.reader.read_some(buffer));
    late.cancel();  // before it has begun
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    const std::size_t got = co_await ends.reader.read_some(buffer);
    EXPECT_EQ(got, 5u);
  };
  plait::run(body());
}

TEST(Pipe, ClosingCancelsWhoStillReads) {
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    std::array<char, 100> buffer{};
    auto reading = plait::spawn(ends.reader.read_some(buffer));
    co_await plait::sleep(0ms);
    ends.reader.close();
    bool cancelled = false;
    try {
      co_await reading;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
  };
  plait::run(body());
}

TEST(Pipe, SocketsAreStreamsToo) {
  auto body = []() -> plait::task<> {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) throw std::runtime_error("socketpair");
    auto writer = net::pipe_writer::adopt(fds[0]);
    auto reader = net::pipe_reader::adopt(fds[1]);
    EXPECT_TRUE(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    auto [nothing, back] =
        co_await plait::gather(write_and_close(writer, "hello"), read_to_end(reader));
    static_cast<void>(nothing);
    EXPECT_EQ(back, "hello");
  };
  plait::run(body());
}

TEST(Pipe, ARegularFileWhichThePollerRefusesIsReadAndWrittenAllTheSame) {
  auto body = []() -> plait::task<> {
    std::string path = ::testing::TempDir() + "plait-pipe-XXXXXX";
    auto writer = net::pipe_writer::adopt(mkstemp(path.data()));
    const std::string sent(300'000, 'f');
    co_await writer.write_all(sent);
    writer.close();
    auto reader = net::pipe_reader::adopt(open(path.c_str(), O_RDONLY));
    unlink(path.c_str());
    const std::string back = co_await read_to_end(reader);
    EXPECT_TRUE(back == sent);
  };
  plait::run(body());
}

// Puts a descriptor in the place of standard input for a scope.
class as_standard_input {
 public:
  explicit as_standard_input(int fd) : before_(dup(0)) { dup2(fd, 0); }
  ~as_standard_input() {
    dup2(before_, 0);
    close(before_);
  }

 private:
  int before_;
};

TEST(StandardInput, IsReadToItsEndAndItsFlagsAreLeftAlone) {
  auto body = []() -> plait::task<> {
    int fds[2];
    if (pipe(fds) != 0) throw std::runtime_error("pipe");
    const as_standard_input scope(fds[0]);
    close(fds[0]);
    auto input = net::standard_input();
    auto writer = net::pipe_writer::adopt(fds[1]);
    auto reading = plait::spawn(read_to_end(input));
    co_await plait::sleep(0ms);
    co_await write_and_close(writer, std::string(100'000, 'i'));
    const std::string all = co_await reading;
    EXPECT_EQ(all.size(), 100'000u);
    EXPECT_FALSE(fcntl(0, F_GETFL) & O_NONBLOCK);
  };
  plait::run(body());
}

TEST(StandardInput, MayBeARegularFileOrNothing) {
  auto body = []() -> plait::task<> {
    const int null = open("/dev/null", O_RDONLY);
    const as_standard_input scope(null);
    close(null);
    auto input = net::standard_input();
    const std::string all = co_await read_to_end(input);
    EXPECT_EQ(all, "");
  };
  plait::run(body());
}

TEST(Pipe, LeavesNoDescriptorBehind) {
  const int before = open_descriptors();
  auto body = []() -> plait::task<> {
    auto ends = net::make_pipe();
    co_await ends.writer.write_all("x");
    auto output = net::standard_output();
    co_await output.write_all("");
  };
  plait::run(body());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Pipe, AClosedEndThrows) {
  auto body = []() -> plait::task<> {
    net::pipe_reader closed;
    EXPECT_FALSE(closed.is_open());
    std::array<char, 1> buffer{};
    bool thrown = false;
    try {
      co_await closed.read_some(buffer);
    } catch (const net::connection_closed&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  };
  plait::run(body());
}

}  // namespace
