#include <plait/processes.hpp>

#include <gtest/gtest.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using plait::process_pool_executor;
int twice(int n) { return 2 * n; }

std::size_t entries(const char* folder) {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

// Returns whether the process ends; the limit only bounds a failure.
bool ends(int pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return true;
  pollfd gone{fd, POLLIN, 0};
  const bool ended = poll(&gone, 1, 10'000) == 1;
  close(fd);
  return ended;
}

void leave_no_descriptor_behind(void (*use)(process_pool_executor&)) {
  { process_pool_executor{1}.submit(twice, 1).get(); }  // what the first pool opens for good
  const std::size_t before = entries("/proc/self/fd");
  for (int i = 0; i < 10; ++i) {
    process_pool_executor pool{2};
    use(pool);
  }
  EXPECT_EQ(entries("/proc/self/fd"), before);
}

TEST(Life, DescriptorsAreBackToTheStartAfterEachPool) {
  leave_no_descriptor_behind([](process_pool_executor& pool) {
    EXPECT_EQ(pool.submit(twice, 2).get(), 4);
    const std::string large(1'000'000, 'x');
    EXPECT_EQ(pool.submit([](std::string s) { return s; }, large).get(), large);
  });
}

TEST(Life, DescriptorsAreBackToTheStartAfterCrashes) {
  leave_no_descriptor_behind([](process_pool_executor& pool) {
    for (int i = 0; i < 5; ++i) {
      auto f = pool.submit([](std::string) -> int { std::_Exit(1); }, std::string(100'000, 'x'));
      EXPECT_THROW(f.get(), plait::worker_crashed);
    }
  });
}

TEST(Life, DescriptorsAreBackToTheStartWhenNothingWasSubmitted) {
  leave_no_descriptor_behind([](process_pool_executor&) {});
}

// Each call has a worker of its own; PLAIT_WORKER_LIVES=10000 is what the pool was judged by.
TEST(Life, ThousandsOfWorkersLeaveNoDescriptorAndNoMemoryBehind) {
  const char* asked = std::getenv("PLAIT_WORKER_LIVES");
  const int lives = asked != nullptr ? std::atoi(asked) : 300;
  const auto resident_pages = [] {
    std::ifstream file("/proc/self/statm");
    long all = 0, resident = 0;
    file >> all >> resident;
    return resident;
  };
  process_pool_executor pool{{.max_workers = 2, .max_tasks_per_child = 1}};
  const auto live = [&](int n) {
    for (int i = 0; i < n; ++i) {
      if (i % 10 == 9)
        EXPECT_THROW(pool.submit([]() -> int { std::_Exit(1); }).get(), plait::worker_crashed);
      else
        EXPECT_EQ(pool.submit([](std::string s) { return s; }, std::string(60'000, 'x')).get(),
                  std::string(60'000, 'x'));
    }
  };
  live(100);
  [[maybe_unused]] const long memory = resident_pages();
  live(lives);
  EXPECT_GE(pool.statistics().started, static_cast<std::size_t>(lives));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what is freed
  EXPECT_LE(resident_pages() - memory, 1024) << "4 MiB";
#endif
  // Two seats, and what is on its way: each has a few.
  EXPECT_LE(entries("/proc/self/fd"), 64u);
}

// A worker has its standard streams and its channel, and nothing of the parent's.
TEST(Life, WorkersInheritNoDescriptor) {
  std::vector<int> ours;
  for (int i = 0; i < 50; ++i) ours.push_back(open("/dev/null", O_RDONLY));  // not close-on-exec
  {
    process_pool_executor pool{1};
    const auto theirs = pool.submit([] {
      int inherited = 0;
      for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(e.path(), gone);
        inherited += target == "/dev/null" && e.path().filename() != "0";
      }
      return inherited;
    });
    EXPECT_EQ(theirs.get(), 0);
  }
  for (int fd : ours) close(fd);
}

TEST(Life, SharedMemoryHasNoName) {
  const std::size_t before = entries("/dev/shm");
  process_pool_executor pool{1};
  pool.submit([](std::string s) { return s; }, std::string(1'000'000, 'x')).get();
  EXPECT_EQ(entries("/dev/shm"), before);
}

// Our messages' memory is kept warm, and a fork shares it with us.
TEST(Life, AForkOfTheProgramDoesNotWriteIntoOurMessages) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "TSan allows no threads in a fork of a program with threads";
#endif
  const auto is_all = [](std::string s, char c) {
    return s.find_first_not_of(c) == std::string::npos;
  };
  process_pool_executor pool{1};
  EXPECT_TRUE(pool.submit(is_all, std::string(1'000'000, 'a'), 'a').get());
  const pid_t child = fork();
  if (child == 0) {
    bool right = true;
    {
      process_pool_executor own{1};
      for (int i = 0; i < 20; ++i)
        right &= own.submit(is_all, std::string(1'000'000, 'b'), 'b').get();
    }
    _exit(right ? 0 : 1);
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(pool.submit(is_all, std::string(1'000'000, 'c'), 'c').get());
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Life, WorkersAreGoneWhenTheDestructorReturns) {
  std::vector<int> pids;
  {
    process_pool_executor pool{2};
    for (int i = 0; i < 20; ++i) pool.submit(twice, i);
    pool.submit(twice, 1).get();
    pids = pool.worker_pids();
  }
  EXPECT_FALSE(pids.empty());
  for (int pid : pids) EXPECT_NE(kill(pid, 0), 0);
}

// PR_SET_PDEATHSIG follows the thread: bubblewrap #692, o3de #19746, Go #27505.
TEST(Life, APoolOutlivesTheThreadThatMadeIt) {
  std::optional<process_pool_executor> pool;
  std::thread([&] {
    pool.emplace(1);
    pool->submit(twice, 1).get();
  }).join();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(pool->submit(twice, i).get(), 2 * i);
  EXPECT_EQ(pool->statistics().started, 1u);
}

TEST(Life, WorkersIgnoreTheKeyboardsInterrupt) {
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit([] { return raise(SIGINT); }).get(), 0);
  EXPECT_EQ(pool.statistics().started, 1u);
}

TEST(Life, VerdictsStayExactWhenTheProgramReapsEveryChildOrNone) {
  signal(SIGCHLD, SIG_IGN);
  {
    process_pool_executor pool{1};
    try {
      pool.submit([]() -> int { std::_Exit(7); }).get();
      ADD_FAILURE();
    } catch (const plait::worker_crashed& e) {
      EXPECT_EQ(e.exit_code(), 7);
    }
  }
  signal(SIGCHLD, SIG_DFL);
}

TEST(Life, AChildThatACallForkedDoesNotServeOurCalls) {
  process_pool_executor pool{1};
  for (int i = 0; i < 20; ++i) {
    const int forked = pool.submit([]() -> int {
                             const pid_t child = fork();
                             if (child > 0) waitpid(child, nullptr, 0);
                             return child;
                           })
                           .get();
    EXPECT_GT(forked, 0);  // the child returned 0, and nobody heard it
  }
}

TEST(Life, AForkOfTheProgramMayNotUseThePool) {
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(twice, 1).get(), 2);
  const pid_t child = fork();
  if (child == 0) {
    int status = 1;
    try {
      pool.submit(twice, 1);
    } catch (const plait::broken_executor&) {
      status = 0;
    }
    pool.shutdown();  // returns: it is not this process's pool
    _exit(status);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST(Life, APoolNobodySubmitsToDoesNotRun) {
  process_pool_executor pool{2};
  pool.submit(twice, 1).get();
  const int pid = pool.worker_pids().at(0);
  const auto ticks = [pid] {  // of user and system time of the worker
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream rest(text.substr(text.rfind(')') + 2));
    std::string field;
    long sum = 0;
    for (int i = 3; i <= 15 && rest >> field; ++i)
      if (i >= 14) sum += std::stol(field);
    return sum;
  };
  const auto waits = [pid] {  // until it sleeps
    std::ifstream file("/proc/" + std::to_string(pid) + "/wchan");
    std::string where;
    file >> where;
    return where.find("futex") != std::string::npos;
  };
  while (!waits()) std::this_thread::yield();
  EXPECT_LE(ticks(), 20);
}

// One that has left the worker's session, and one that it started in turn. Returns their group.
int leaves_two_processes_behind(int) {
  int ready[2];
  if (pipe(ready) != 0) return 0;
  const int pid = fork();
  if (pid == 0) {
    setsid();
    if (fork() == 0 && write(ready[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte;
  const bool are_there = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  return are_there ? pid : 0;
}

TEST(Life, WhatAProcessLeftBehindHasStartedItselfDoesNotHoldUpTheEnd) {
  for (int round = 0; round < 10; ++round) {
    int group = 0;
    {
      process_pool_executor pool(1);
      group = pool.submit(leaves_two_processes_behind, 0).get();
    }
    ASSERT_GT(group, 0);
    EXPECT_EQ(kill(-group, 0), -1) << "one of them lives";
  }
}

class DoomedParent : public testing::TestWithParam<int> {};

TEST_P(DoomedParent, LeavesNoProcessBehind) {
  char folder[] = "/tmp/plait-doomed-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/pids";
  std::string program = DOOMED_PARENT, argument = path;
  char* arguments[] = {program.data(), argument.data(), nullptr};
  pid_t parent = 0;
  ASSERT_EQ(posix_spawn(&parent, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  std::vector<int> pids;
  while (pids.size() < 4) {  // both workers and, twice, their parent
    pids.clear();
    std::ifstream file(path);
    for (int pid; file >> pid;) pids.push_back(pid);
    std::this_thread::yield();
  }
  kill(parent, GetParam());
  waitpid(parent, nullptr, 0);
  for (int pid : pids) EXPECT_TRUE(ends(pid)) << pid;
  std::filesystem::remove_all(folder);
}
INSTANTIATE_TEST_SUITE_P(Signals, DoomedParent, testing::Values(SIGKILL, SIGTERM, SIGABRT, SIGINT));

}  // namespace
