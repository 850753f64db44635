// Built twice: as it is, and where the kernel knows no pidfds (forbid_pidfd.cpp).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "descriptor_count.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::command;
using plait::net::exit_status;
using plait::net::redirect;
using plait::net::subprocess;

command shell(std::string_view script) { return command("sh", "-c", script); }

// True if this process has no children at all, zombies included.
bool childless() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

plait::net::completed run_it(command what, std::string input = {}) {
  return plait::run(plait::net::run_command(std::move(what), std::move(input)));
}

TEST(RunCommand, GivesStatusOutputAndErrors) {
  const auto done = run_it(shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(done.status, exit_status::exited(3));
  EXPECT_EQ(done.out, "out\n");
  EXPECT_EQ(done.err, "err\n");
  EXPECT_TRUE(childless());
}

TEST(RunCommand, FeedsTheInput) { EXPECT_EQ(run_it(command("sort"), "b\na\n").out, "a\nb\n"); }

TEST(RunCommand, WithoutInputTheProgramFindsTheEnd) { EXPECT_EQ(run_it(command("cat")).out, ""); }

TEST(RunCommand, NothingNeedsQuoting) {
  const auto done = run_it(command("printf", "%s|", "a b", "$HOME", "'\"", "", "*"));
  EXPECT_EQ(done.out, "a b|$HOME|'\"||*|");
}

TEST(RunCommand, MegabytesPassInBothDirectionsAtOnce) {
  std::string much(8'000'000, '\0');
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>(i * 7919 >> 8);
  const auto done = run_it(shell("tee /dev/stderr"), much);
  EXPECT_TRUE(done.out == much) << done.out.size();
  EXPECT_TRUE(done.err == much) << done.err.size();
}

TEST(RunCommand, AProgramThatDoesNotReadItsInputIsNoError) {
  EXPECT_TRUE(run_it(command("true"), std::string(1'000'000, 'x')).status.success());
}

TEST(RunCommand, StopsAProgramThatWritesTooMuch) {
  EXPECT_THROW(plait::run(plait::net::run_command(command("yes"), {}, {.output_limit = 100'000})),
               plait::net::output_limit_exceeded);
  EXPECT_TRUE(childless());
}

TEST(RunCommand, ATimeoutKillsItAndLeavesNothing) {
  const int before = open_descriptors();
  EXPECT_THROW(plait::run([]() -> plait::task<> {
                 co_await plait::timeout(5ms, plait::net::run_command(command("sleep", "1000")));
               }()),
               plait::timeout_error);
  EXPECT_TRUE(childless());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(RunCommand, StoppedBeforeItBeganStartsNothing) {
  auto body = []() -> plait::task<> {
    auto late = plait::spawn(plait::net::run_command(command("sleep", "1000")));
    late.cancel();
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
  };
  plait::run(body());
  EXPECT_TRUE(childless());
}

TEST(RunCommand, ManyAtOnce) {
  auto body = []() -> plait::task<> {
    std::vector<plait::task<plait::net::completed>> all;
    for (int i = 0; i < 50; ++i)
      all.push_back(plait::net::run_command(command("sh", "-c", "exit $0", std::to_string(i))));
    const auto done = co_await plait::gather(std::move(all));
    for (int i = 0; i < 50; ++i)
      EXPECT_EQ(done[static_cast<std::size_t>(i)].status, exit_status::exited(i));
  };
  plait::run(body());
  EXPECT_TRUE(childless());
}

TEST(OutputOf, IsWhatWasWrittenOrAnErrorWithTheLastLineOfWhy) {
  EXPECT_EQ(plait::run(plait::net::output_of(command("echo", "hi"))), "hi\n");
  try {
    plait::run(plait::net::output_of(shell("echo first >&2; echo 'bad thing' >&2; exit 2")));
    FAIL();
  } catch (const plait::net::command_failed& error) {
    EXPECT_EQ(error.status(), exit_status::exited(2));
    EXPECT_STREQ(error.what(),
                 "sh -c 'echo first >&2; echo '\\''bad thing'\\'' >&2; exit 2': exit code 2: bad "
                 "thing");
  }
}

// What start() throws, as text; its code is checked.
std::string why_not(const command& what, std::errc code) {
  try {
    subprocess::start(what);
  } catch (const plait::net::spawn_error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "it started";
}

TEST(Start, SaysExactlyWhyItCannot) {
  const auto missing = std::errc::no_such_file_or_directory;
  EXPECT_EQ(why_not(command("no-such-program").variable("PATH", "/usr/bin:/bin"), missing),
            "cannot start no-such-program: no such program in PATH (/usr/bin:/bin): is it "
            "installed?");
  EXPECT_EQ(why_not(command("/no/such/file"), missing), "cannot start /no/such/file: no such file");
  EXPECT_EQ(why_not(command("true").directory("/no/such/folder"), missing),
            "cannot start true: its folder /no/such/folder does not exist");
  EXPECT_EQ(why_not(command("/etc"), std::errc::permission_denied),
            "cannot start /etc: it may not be run: is it a program, and executable (chmod +x)?");
  EXPECT_EQ(why_not(command("true").in(redirect::file("/no/input")), missing),
            "cannot start true: cannot open /no/input as its standard input: No such file or "
            "directory");
  EXPECT_EQ(
      why_not(command("a").argument(std::string_view("b\0c", 3)), std::errc::invalid_argument),
      "cannot start a: an argument has a zero byte in it");
  EXPECT_EQ(why_not(command("true").out(redirect::descriptor(999)), std::errc::bad_file_descriptor),
            "cannot start true: descriptor 999 as a standard stream: Bad file descriptor");
  EXPECT_THROW(command(std::vector<std::string>()), std::invalid_argument);
  EXPECT_TRUE(childless());
}

TEST(Start, AScriptNeedsAnInterpreter) {
  std::string path = ::testing::TempDir() + "plait-script-XXXXXX";
  const int fd = mkstemp(path.data());
  fchmod(fd, 0700);
  close(fd);
  std::ofstream(path) << "exit 0\n";
  EXPECT_NE(why_not(command(path), std::errc::executable_format_error).find("#!"),
            std::string::npos);
  std::ofstream(path) << "#!/no/such/interpreter\n";
  EXPECT_NE(why_not(command(path), std::errc::no_such_file_or_directory).find("interpreter"),
            std::string::npos);
  std::ofstream(path) << "#!/bin/sh\nexit 7\n";
  EXPECT_EQ(run_it(command(path)).status, exit_status::exited(7));
  unlink(path.c_str());
}

TEST(Start, TheChildHasItsFolderAndItsEnvironment) {
  EXPECT_EQ(run_it(command("pwd").directory("/")).out, "/\n");
  setenv("PLAIT_TEST_A", "1", 1);
  setenv("PLAIT_TEST_B", "2", 1);
  const auto done = run_it(shell("echo $PLAIT_TEST_A$PLAIT_TEST_B$PLAIT_TEST_C")
                               .variable("PLAIT_TEST_A", "x")
                               .without_variable("PLAIT_TEST_B")
                               .variable("PLAIT_TEST_C", "y")
                               .variable("PLAIT_TEST_C", "z"));
  EXPECT_EQ(done.out, "xz\n");
  EXPECT_EQ(run_it(command("env").empty_environment().variable("ONLY", "this")).out, "ONLY=this\n");
}

TEST(Start, TheChildHasNoDescriptorButItsStreams) {
  const int leaking = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  EXPECT_EQ(run_it(command("ls", "/proc/self/fd")).out, "0\n1\n2\n3\n") << "3 is ls's own";
  close(leaking);
}

TEST(Start, TheChildHasNoBlockedSignalsAndAnOrdinarySIGPIPE) {
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  auto* const handler = signal(SIGPIPE, SIG_IGN);
  const auto mask = run_it(command("grep", "SigBlk", "/proc/self/status"));
  const auto ended = run_it(shell("kill -PIPE $$; echo survived"));
  signal(SIGPIPE, handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(mask.out, "SigBlk:\t0000000000000000\n");
  EXPECT_EQ(ended.status, exit_status::killed_by(SIGPIPE));
}

TEST(Redirect, FilesAndDescriptors) {
  std::string path = ::testing::TempDir() + "plait-redirect-XXXXXX";
  close(mkstemp(path.data()));
  run_it(command("echo", "one").out(redirect::file(path)));
  run_it(shell("echo two; echo three >&2").out(redirect::append(path)).err(redirect::to_output()));
  EXPECT_EQ(run_it(command("cat").in(redirect::file(path))).out, "one\ntwo\nthree\n");
  run_it(command("echo", "anew").out(redirect::file(path)));
  const int fd = open(path.c_str(), O_RDONLY);
  EXPECT_EQ(run_it(command("cat").in(redirect::descriptor(fd))).out, "anew\n");
  close(fd);
  unlink(path.c_str());
}

// Each descriptor is the other's place: neither is lost while they are placed.
TEST(Redirect, StreamsCanBeExchanged) {
  const auto done = run_it(shell("sh -c 'echo to out; echo to err >&2' 3>&1 1>&2 2>&3"));
  EXPECT_EQ(done.out, "to err\n");
  const int out = dup(1), err = dup(2);
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  dup2(fds[1], 2);
  const auto swapped = run_it(shell("echo to out; echo to err >&2")
                                  .out(redirect::descriptor(2))
                                  .err(redirect::descriptor(1)));
  dup2(err, 2);
  dup2(out, 1);
  for (const int fd : {fds[1], out, err}) close(fd);
  std::array<char, 100> buffer{};
  const auto got = read(fds[0], buffer.data(), buffer.size());
  close(fds[0]);
  EXPECT_EQ(std::string(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0), "to out\n");
  EXPECT_TRUE(swapped.status.success());
}

TEST(Redirect, OnlyErrorsCanFollowTheOutput) {
  why_not(command("true").out(redirect::to_output()), std::errc::invalid_argument);
}

TEST(Subprocess, TalksThroughItsPipes) {
  auto body = []() -> plait::task<> {
    auto cat = subprocess::start(command("cat").in(redirect::pipe()).out(redirect::pipe()));
    EXPECT_FALSE(cat.err().is_open());
    std::array<char, 100> buffer{};
    for (const std::string_view word : {"one", "two", "three"}) {
      co_await cat.in().write_all(word);
      const std::size_t got = co_await cat.out().read_some(buffer);
      EXPECT_EQ(std::string_view(buffer.data(), got), word);
    }
    EXPECT_EQ(cat.status(), std::nullopt);
    cat.in().close();
    const std::size_t end = co_await cat.out().read_some(buffer);
    EXPECT_EQ(end, 0u);
    const exit_status status = co_await cat.wait();
    EXPECT_TRUE(status.success());
    const exit_status again = co_await cat.wait();
    EXPECT_EQ(again, status);
    EXPECT_EQ(cat.status(), status);
    cat.kill();  // nothing happens
  };
  plait::run(body());
  EXPECT_TRUE(childless());
}

TEST(Subprocess, SignalsArriveAndTheStatusSaysWhich) {
  auto body = []() -> plait::task<> {
    auto child = subprocess::start(command("sleep", "1000"));
    child.terminate();
    const exit_status status = co_await child.wait();
    EXPECT_EQ(status.signal(), SIGTERM);
    EXPECT_EQ(status.code(), std::nullopt);
    EXPECT_EQ(status.to_string(), "killed by SIGTERM");
    EXPECT_EQ(status.shell_code(), 143);
  };
  plait::run(body());
}

TEST(Subprocess, AStoppedWaitLeavesItRunning) {
  auto body = []() -> plait::task<> {
    auto child = subprocess::start(command("sleep", "1000"));
    for (int i = 0; i < 2; ++i) {
      bool timed_out = false;
      try {
        co_await plait::timeout(1ms, child.wait());
      } catch (const plait::timeout_error&) {
        timed_out = true;
      }
      EXPECT_TRUE(timed_out);
    }
    EXPECT_EQ(kill(child.pid(), 0), 0);
    EXPECT_EQ(child.status(), std::nullopt);
    child.kill();
    const exit_status status = co_await child.wait();
    EXPECT_EQ(status, exit_status::killed_by(SIGKILL));
  };
  plait::run(body());
}

TEST(Subprocess, AWaitThatIsStoppedAsTheChildEndsLosesNothing) {
  auto body = []() -> plait::task<> {
    for (int i = 0; i < 100; ++i) {
      auto child = subprocess::start(command("true"));
      auto waiting = plait::spawn(child.wait());
      if (i % 2 == 0) co_await plait::sleep(0ms);
      while (i % 3 == 0 && !child.status().has_value()) co_await plait::sleep(0ms);
      waiting.cancel();
      try {
        co_await waiting;
      } catch (const plait::cancelled_error&) {
      }
      const exit_status status = co_await child.wait();
      EXPECT_TRUE(status.success());
    }
  };
  plait::run(body());
  EXPECT_TRUE(childless());
}

TEST(Subprocess, ItsDestructorKillsAndReapsIt) {
  const int before = open_descriptors();
  int pid = 0;
  {
    const auto child = subprocess::start(command("sleep", "1000").out(redirect::pipe()));
    pid = child.pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_TRUE(childless());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Subprocess, AGroupOfItsOwnIsKilledWhole) {
  auto body = []() -> plait::task<> {
    // The grandchild holds the pipe, so its end is the end of the group.
    auto child = subprocess::start(
        shell("sleep 1000 & echo started; wait").out(redirect::pipe()).new_group());
    std::array<char, 100> buffer{};
    const std::size_t started = co_await child.out().read_some(buffer);
    EXPECT_EQ(started, 8u);
    child.kill();
    const std::size_t end = co_await child.out().read_some(buffer);
    EXPECT_EQ(end, 0u);
  };
  plait::run(body());
}

TEST(Subprocess, ASessionOfItsOwn) {
  auto body = []() -> plait::task<> {
    auto child = subprocess::start(command("sleep", "1000").new_session());
    EXPECT_EQ(getsid(child.pid()), child.pid());
    co_return;
  };
  plait::run(body());
}

TEST(Subprocess, SaysSoWhenItsStatusWasTakenByOthers) {
  auto* const handler = signal(SIGCHLD, SIG_IGN);
  auto body = []() -> plait::task<> {
    auto child = subprocess::start(command("true"));
    bool lost = false;
    try {
      co_await child.wait();
    } catch (const plait::net::exit_status_lost& error) {
      lost = true;
    }
    EXPECT_TRUE(lost);
  };
  plait::run(body());
  signal(SIGCHLD, handler);
}

TEST(Subprocess, MayBeStartedBeforeTheLoop) {
  auto body = [](subprocess child) -> plait::task<> {
    const auto done = co_await child.communicate();
    EXPECT_EQ(done.out, "hi\n");
  };
  plait::run(body(subprocess::start(command("echo", "hi").out(redirect::pipe()))));
}

}  // namespace
