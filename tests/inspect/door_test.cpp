// Promises about the door: who may come in, what it leaves behind, and that it is closed by default.
#include "plait/inspect/door.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "plait/core/errors.hpp"
#include "plait/testing/gate.hpp"
#include "plait/threads.hpp"

namespace {

using plait::testing::temporary_folder;

// A runtime folder of the test's own, so that doors of other tests are not in the way.
class Door : public testing::Test {
 protected:
  Door() { setenv("XDG_RUNTIME_DIR", runtime_.path().c_str(), 1); }
  ~Door() override { plait::inspect::close_door(); }
  std::string folder() const { return runtime_.path() + "/plait"; }
  std::string path() const { return folder() + "/" + std::to_string(getpid()) + ".sock"; }
  temporary_folder runtime_;
};

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

std::string read_all(int fd) {
  std::string all;
  char block[4096];
  for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;)
    all.append(block, static_cast<std::size_t>(n));
  close(fd);
  return all;
}

TEST_F(Door, IsClosedUntilItIsOpened) {
  plait::thread_pool_executor pool(1);
  pool.submit([] {}).get();
  EXPECT_FALSE(exists(folder()));
}

TEST_F(Door, OpensToItsOwnUserOnly) {
  EXPECT_EQ(plait::inspect::open_door(), path());
  struct stat about {};
  ASSERT_EQ(stat(folder().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
  EXPECT_EQ(about.st_uid, geteuid());
}

TEST_F(Door, AnswersWhoeverComesWithOneObject) {
  plait::inspect::open_door();
  for (int i = 0; i < 3; ++i) {
    const auto report = nlohmann::json::parse(read_all(connect_to(path())));
    EXPECT_EQ(report.at("pid"), getpid());
    EXPECT_TRUE(report.at("loops").is_array());
  }
}

TEST_F(Door, OpenedTwiceIsOneDoor) {
  EXPECT_EQ(plait::inspect::open_door(), plait::inspect::open_door());
}

TEST_F(Door, LeavesNothingWhenItIsClosed) {
  plait::inspect::open_door();
  plait::inspect::close_door();
  EXPECT_FALSE(exists(path()));
  plait::inspect::close_door();
  plait::inspect::open_door();
  EXPECT_TRUE(exists(path()));
}

TEST_F(Door, ReplacesWhatAKilledProgramLeft) {
  ASSERT_EQ(mkdir(folder().c_str(), 0700), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd);  // nobody listens there any more
  plait::inspect::open_door();
  EXPECT_FALSE(read_all(connect_to(path())).empty());
}

TEST_F(Door, DoesNotUseAFolderThatIsOpenToOthers) {
  ASSERT_EQ(mkdir(folder().c_str(), 0700), 0);
  ASSERT_EQ(chmod(folder().c_str(), 0755), 0);
  EXPECT_NE(plait::inspect::open_door().find(folder()), 0U);
  EXPECT_FALSE(exists(path()));
}

TEST_F(Door, DoesNotFollowALinkToAnotherFolder) {
  temporary_folder elsewhere;
  ASSERT_EQ(symlink(elsewhere.path().c_str(), folder().c_str()), 0);
  EXPECT_NE(plait::inspect::open_door().find(folder()), 0U);
  EXPECT_FALSE(exists(elsewhere.path() + "/" + std::to_string(getpid()) + ".sock"));
}

TEST_F(Door, StaysWithTheParentWhenItForks) {
  plait::inspect::open_door();
  const pid_t child = fork();
  if (child == 0) {
    plait::inspect::close_door();  // as the end of a program does
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(read_all(connect_to(path())).empty());
}

}  // namespace
