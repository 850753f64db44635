// What workers write to standard error, when nobody reads the program's.
#include "processes/error_stream.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plait/processes.hpp"

namespace {

using plait::process_pool_executor;
using plait::detail::error_stream;

int twice(int n) { return 2 * n; }

// Standard error is this descriptor for as long as it lives.
class redirected {
 public:
  explicit redirected(int to) : before_(dup(STDERR_FILENO)) { dup2(to, STDERR_FILENO); }
  ~redirected() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }

 private:
  const int before_;
};
struct pipe_ends {
  pipe_ends() { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
  ~pipe_ends() {
    close(ends[0]);
    close_write();
  }
  void close_write() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  // All that comes, to its end.
  std::string rest() {
    std::string all;
    char bytes[4096];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;)
      all.append(bytes, static_cast<std::size_t>(n));
    return all;
  }
  void fill() {
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    const std::string page(4096, '.');
    while (write(ends[1], page.data(), page.size()) > 0) {
    }
    fcntl(ends[1], F_SETFL, 0);
  }
  int ends[2];
};

TEST(ErrorStream, DoesNotChangeTheFlagsThatOthersShare) {
  pipe_ends pipe;
  const redirected here(pipe.ends[1]);
  error_stream out;
  out.write("hello");
  EXPECT_EQ(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

TEST(ErrorStream, KeepsWhatDoesNotGoOutAndPassesItOnLater) {
  pipe_ends pipe;
  pipe.fill();
  {
    const redirected here(pipe.ends[1]);
    error_stream out;
    out.write("kept");
    EXPECT_FALSE(out.empty());
    char page[4096];
    EXPECT_EQ(read(pipe.ends[0], page, sizeof page), 4096);
    out.flush();
    EXPECT_TRUE(out.empty());
  }
  pipe.close_write();
  EXPECT_TRUE(pipe.rest().ends_with("kept"));
}

TEST(ErrorStream, SaysHowMuchItLeftOut) {
  pipe_ends pipe;
  pipe.fill();
  std::string all;
  {
    const redirected here(pipe.ends[1]);
    error_stream out;
    out.write(std::string(error_stream::max_kept + 123, 'x'));
    while (!out.empty()) {
      char bytes[65536];
      all.append(bytes, static_cast<std::size_t>(read(pipe.ends[0], bytes, sizeof bytes)));
      out.flush();
    }
  }
  pipe.close_write();
  all += pipe.rest();
  EXPECT_NE(all.find(" 123 bytes "), std::string::npos) << all.substr(all.size() - 200);
}

TEST(ErrorStream, ASocketIsNotWaitedForEither) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  {
    const redirected here(ends[1]);
    error_stream out;
    out.write(std::string(error_stream::max_kept, 'x'));
    EXPECT_FALSE(out.empty());
  }
  close(ends[0]);
  close(ends[1]);
}

TEST(ErrorStream, NobodyThereIsNoReasonToKeepAnything) {
  pipe_ends pipe;
  close(std::exchange(pipe.ends[0], -1));
  const redirected here(pipe.ends[1]);
  error_stream out;
  signal(SIGPIPE, SIG_IGN);
  out.write("lost");
  EXPECT_TRUE(out.empty());
  signal(SIGPIPE, SIG_DFL);
}

// The manager passes on what workers write: a reader that has stopped may not stop the pool.
TEST(ErrorStream, APipeThatNobodyReadsDoesNotStopThePool) {
  pipe_ends pipe;
  pipe.fill();
  {
    const redirected here(pipe.ends[1]);
    process_pool_executor pool{2};
    std::vector<plait::future<int>> calls;
    for (int i = 0; i < 40; ++i)
      calls.push_back(pool.submit(
          [](int n) {
            for (int line = 0; line < 400; ++line) std::fprintf(stderr, "%099d\n", n);
            return n;
          },
          i));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), i);
    const auto dies = pool.submit([]() -> int {
      std::fputs("the last words", stderr);
      std::_Exit(4);
    });
    try {
      dies.get();
      ADD_FAILURE();
    } catch (const plait::worker_crashed& e) {
      EXPECT_TRUE(e.stderr_tail().ends_with("the last words"));
    }
    EXPECT_EQ(pool.submit(twice, 2).get(), 4);
  }
}

// Back-pressure instead of loss while somebody reads, however slowly.
TEST(ErrorStream, ASlowReaderLosesNothing) {
  pipe_ends pipe;
  std::size_t lines = 0;
  std::thread reader([&] {
    const std::string all = pipe.rest();
    lines = static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n'));
  });
  {
    const redirected here(pipe.ends[1]);
    process_pool_executor pool{2};
    std::vector<plait::future<void>> calls;
    for (int i = 0; i < 40; ++i)
      calls.push_back(pool.submit([] {
        for (int line = 0; line < 1000; ++line) std::fprintf(stderr, "%099d\n", line);
      }));
    for (auto& f : calls) f.get();
  }
  pipe.close_write();
  reader.join();
  EXPECT_EQ(lines, 40'000u);
}

}  // namespace
