// Invariant 8: what a control group grants, read from trees that the test builds.
#include "threads/cgroup_quota.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "plait/testing/gate.hpp"

namespace {

class Invariant8CgroupQuota : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // As the kernel shows them: one line a hierarchy.
  void groups(const std::string& text) const { write("/proc/self/cgroup", text); }
  double quota() const { return plait::detail::cgroup_cpu_quota(root.path()); }
  plait::testing::temporary_folder root;
};

TEST_F(Invariant8CgroupQuota, IsInfiniteWhereThereIsNone) {
  EXPECT_TRUE(std::isinf(quota())) << "no /proc";
  groups("0::/user.slice\n");
  EXPECT_TRUE(std::isinf(quota())) << "nothing mounted";
  write("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  EXPECT_TRUE(std::isinf(quota()));
}

TEST_F(Invariant8CgroupQuota, OfVersion2IsQuotaOverPeriod) {
  groups("0::/app\n");
  write("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 1.5);
}

TEST_F(Invariant8CgroupQuota, OfVersion2IsTheTightestUpToTheRoot) {
  groups("0::/outer/inner/leaf\n");
  write("/sys/fs/cgroup/outer/cpu.max", "50000 100000\n");
  write("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/outer/inner/leaf/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 0.5);
}

TEST_F(Invariant8CgroupQuota, OfAContainerIsThatOfTheMountsRoot) {
  groups("0::/docker/0123456789abcdef\n");  // the host's path
  write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_DOUBLE_EQ(quota(), 3);
}

TEST_F(Invariant8CgroupQuota, OfVersion1IsFoundUnderEitherName) {
  for (const std::string mount : {"cpu", "cpu,cpuacct"}) {
    groups("12:memory:/app\n4:cpu,cpuacct:/app\n1:name=systemd:/\n0::/\n");
    write("/sys/fs/cgroup/" + mount + "/app/cpu.cfs_quota_us", "250000\n");
    write("/sys/fs/cgroup/" + mount + "/app/cpu.cfs_period_us", "100000\n");
    EXPECT_DOUBLE_EQ(quota(), 2.5) << mount;
    std::filesystem::remove_all(root.path() + "/sys");
  }
}

TEST_F(Invariant8CgroupQuota, OfVersion1BelowZeroIsNone) {
  groups("4:cpu,cpuacct:/app\n");
  write("/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
  EXPECT_TRUE(std::isinf(quota()));
}

TEST_F(Invariant8CgroupQuota, IgnoresWhatItDoesNotUnderstand) {
  groups("nonsense\n0::no-path\n7:cpuset:/app\n0::/app\n");
  write("/sys/fs/cgroup/app/cpu.max", "");
  write("/sys/fs/cgroup/cpu.max", "what 100000\n");
  EXPECT_TRUE(std::isinf(quota()));
}

}  // namespace
