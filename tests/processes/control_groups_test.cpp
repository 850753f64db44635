// Groups are made, limited and removed in trees that the test builds, and for real where it may.
#include "processes/control_groups.hpp"

#include <plait/processes.hpp>

#include <gtest/gtest.h>

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "plait/testing/gate.hpp"

namespace {

namespace fs = std::filesystem;
using plait::control_group;
using plait::limits_unavailable;
using plait::detail::control_groups;

class ControlGroups : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    const fs::path file = root.path() + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string read(const fs::path& file) const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void mounted(const std::string& from = "/") const {
    write("/proc/self/mountinfo",
          "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n41 31 0:38 " + from +
              " /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  }
  // A group as the kernel shows it.
  void group(const std::string& path, const std::string& controllers,
             const std::string& switched_on = "") const {
    write("/sys/fs/cgroup/unified" + path + "/cgroup.controllers", controllers + "\n");
    write("/sys/fs/cgroup/unified" + path + "/cgroup.subtree_control", switched_on);
  }
  std::string in_tree(const std::string& path) const {
    return root.path() + "/sys/fs/cgroup/unified" + path;
  }
  std::string refusal(const control_group& limits) const {
    try {
      control_groups refused(limits, root.path());
    } catch (const limits_unavailable& e) {
      return e.what();
    }
    return "none";
  }
  plait::testing::temporary_folder root;
};

TEST_F(ControlGroups, NeedVersion2) {
  EXPECT_NE(refusal({}).find("cgroup v2"), std::string::npos) << "no /proc";
  write("/proc/self/cgroup", "4:memory:/app\n");
  write("/proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  EXPECT_NE(refusal({}).find("not mounted"), std::string::npos);
}

TEST_F(ControlGroups, WithoutLimitsAreMadeInOurOwn) {
  write("/proc/self/cgroup", "4:memory:/elsewhere\n0::/app/main\n");
  mounted();
  group("/app/main", "");
  const control_groups groups({}, root.path());
  EXPECT_EQ(fs::path(groups.folder()).parent_path(), in_tree("/app/main"));
  EXPECT_TRUE(read(in_tree("/app/main/cgroup.subtree_control")).empty());
}

TEST_F(ControlGroups, SetTheLimitsOfEachWorker) {
  write("/proc/self/cgroup", "0::/\n");
  mounted();
  group("/", "cpu memory pids");
  control_groups groups({.memory = 1 << 30, .processes = 20, .cpus = 0.5}, root.path());
  EXPECT_EQ(read(in_tree("/cgroup.subtree_control")), "+memory +pids +cpu");
  EXPECT_EQ(read(groups.folder() + "/cgroup.subtree_control"), "+memory +pids +cpu");
  groups.make(7);
  const auto worker = plait::detail::control_group_folder(groups.folder(), 7);
  EXPECT_EQ(read(worker + "/memory.max"), "1073741824");
  EXPECT_EQ(read(worker + "/memory.oom.group"), "1");
  EXPECT_EQ(read(worker + "/memory.swap.max"), "0");
  EXPECT_EQ(read(worker + "/pids.max"), "20");
  EXPECT_EQ(read(worker + "/cpu.max"), "50000 100000");
  EXPECT_THROW(groups.make(7), std::system_error) << "it is there";
}

TEST_F(ControlGroups, OfLimitsAreMadeBesideAGroupThatLacksTheControllers) {
  write("/proc/self/cgroup", "0::/unit/main\n");
  mounted();
  group("/unit", "memory pids", "memory");
  group("/unit/main", "");
  const control_groups groups({.memory = 1, .processes = 1}, root.path());
  EXPECT_EQ(fs::path(groups.folder()).parent_path(), in_tree("/unit"));
  EXPECT_EQ(read(in_tree("/unit/cgroup.subtree_control")), "+pids") << "the other one is on";
}

TEST_F(ControlGroups, SayWhatIsMissingAndWhatToDo) {
  write("/proc/self/cgroup", "0::/unit/main\n");
  mounted();
  group("/unit", "cpu");
  group("/unit/main", "");
  const std::string why = refusal({.memory = 1});
  EXPECT_NE(why.find("/unit/main has no controller \"memory\""), std::string::npos) << why;
  EXPECT_NE(why.find("/unit has no controller \"memory\""), std::string::npos) << why;
  EXPECT_NE(why.find("Delegate=yes"), std::string::npos) << why;
}

TEST_F(ControlGroups, OfAContainerAreBelowTheMount) {
  write("/proc/self/cgroup", "0::/docker/0123\n");
  mounted("/docker/0123");
  group("", "");
  EXPECT_EQ(fs::path(control_groups({}, root.path()).folder()).parent_path(), in_tree(""));
}

TEST_F(ControlGroups, OfAProgramThatWasKilledAreRemovedByTheNext) {
  write("/proc/self/cgroup", "0::/app\n");
  mounted();
  group("/app", "");
  fs::create_directories(in_tree("/app/plait-1-0/worker-1"));
  fs::create_directories(in_tree("/app/other-1-0"));
  const control_groups living({}, root.path());
  const control_groups next({}, root.path());
  EXPECT_FALSE(fs::exists(in_tree("/app/plait-1-0")));
  EXPECT_TRUE(fs::exists(in_tree("/app/other-1-0")));
  EXPECT_TRUE(fs::exists(living.folder())) << "somebody holds its lock";
}

TEST_F(ControlGroups, TellWhetherAWorkerWasKilledForMemory) {
  write("/proc/self/cgroup", "0::/\n");
  mounted();
  group("/", "memory");
  control_groups groups({.memory = 1}, root.path());
  const auto folder = [&](int n) {
    return plait::detail::control_group_folder(groups.folder(), n);
  };
  groups.make(1);
  groups.make(2);
  std::ofstream(folder(1) + "/memory.events") << "low 0\nmax 5\noom 1\noom_kill 1\n";
  std::ofstream(folder(2) + "/memory.events") << "low 0\nmax 5\noom 0\noom_kill 0\n";
  EXPECT_EQ(groups.remove(1), 1u);
  EXPECT_EQ(groups.remove(2), 0u);
  EXPECT_EQ(groups.remove(3), 0u) << "there is none";
}

TEST_F(ControlGroups, KillsForMemoryAreCountedAsNearToUsAsTheKernelDoes) {
  const auto kills = [&] { return plait::detail::out_of_memory_kills(root.path()); };
  EXPECT_EQ(kills(), 0u) << "nobody counts";
  write("/proc/vmstat", "nr_free_pages 12\noom_kill 3\n");
  EXPECT_EQ(kills(), 3u);
  write("/proc/self/cgroup", "4:cpu,memory:/app\n0::/\n");
  write("/proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  write("/sys/fs/cgroup/memory/app/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  EXPECT_EQ(kills(), 2u);
  write("/proc/self/cgroup", "0::/app\n");
  mounted();
  write("/sys/fs/cgroup/unified/app/memory.events", "oom 1\noom_kill 1\noom_group_kill 0\n");
  EXPECT_EQ(kills(), 1u);
}

// ---- for real ----------------------------------------------------------------------------------

std::string own_group(int) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) return line.substr(3);
  return {};
}

// A process that nobody who dies is the parent of, out of the worker's session.
int leaves_a_process_behind(int) {
  int told[2];
  if (pipe(told) != 0) return 0;
  if (fork() == 0) {
    setsid();
    const int pid = fork();
    if (pid > 0 && write(told[1], &pid, sizeof pid) != sizeof pid) _exit(1);
    for (;;) pause();
  }
  int pid = 0;
  if (read(told[0], &pid, sizeof pid) != sizeof pid) return 0;
  close(told[0]);
  close(told[1]);
  return pid;
}

// The limit only bounds a failure.
bool ends(int pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return true;
  pollfd gone{fd, POLLIN, 0};
  const bool ended = poll(&gone, 1, 10'000) == 1;
  close(fd);
  return ended;
}

TEST(ControlGroupsForReal, HoldAWorkerAndEndWhatItLeavesBehind) {
  std::unique_ptr<plait::process_pool_executor> pool;
  std::string group;
  try {
    pool = std::make_unique<plait::process_pool_executor>(
        plait::process_pool_options{.max_workers = 1, .limits = {.group = control_group{}}});
    group = pool->submit(own_group, 0).get();
  } catch (const limits_unavailable& e) {
    GTEST_SKIP() << e.what();
  }
  EXPECT_NE(group.find("/plait-" + std::to_string(getpid()) + "-"), std::string::npos) << group;
  EXPECT_TRUE(group.ends_with("/worker-1")) << group;
  EXPECT_NE(group, own_group(0));
  const int stray = pool->submit(leaves_a_process_behind, 0).get();
  EXPECT_THROW(pool->submit([](int n) { return raise(n); }, SIGKILL).get(), plait::worker_crashed);
  ASSERT_GT(stray, 0);
  EXPECT_TRUE(ends(stray)) << "though its parent was alive when the worker died";
  EXPECT_TRUE(pool->submit(own_group, 0).get().ends_with("/worker-2"));
  pool.reset();
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    const auto at = line.find(" /", line.find(" /") + 1) + 1;
    const std::string mount = line.substr(at, line.find(' ', at) - at);
    EXPECT_FALSE(fs::exists(mount + group));
    EXPECT_FALSE(fs::exists(mount + fs::path(group).parent_path().string()));
  }
}

}  // namespace
