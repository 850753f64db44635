// What Unix sockets add to the shape of a stream: names, files, permissions, credentials.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "plait/testing/temporary_folder.hpp"
#include "stream_kinds.hpp"

namespace {

using plait::net::unix_listener;
using plait::net::unix_stream;
using plait::testing::temporary_folder;

bool exists(const std::string& file) {
  struct stat found {};
  return lstat(file.c_str(), &found) == 0;
}

// What a process that died leaves behind.
void leave_stale(const std::string& file) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, file.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  close(fd);
  ASSERT_TRUE(exists(file));
}

plait::task<> talk(unix_listener& listener) {
  auto client = co_await unix_stream::connect(listener.address());
  auto server = co_await listener.accept();
  co_await client.write_all("hello");
  std::array<char, 8> buffer{};
  const std::size_t got = co_await server.read_some(buffer);
  EXPECT_EQ(std::string_view(buffer.data(), got), "hello");
}

TEST(Unix, TheFileGoesWithItsListener) {
  const temporary_folder place;
  run_program([&]() -> plait::task<> {
    auto listener = unix_listener::bind(place / "socket");
    EXPECT_TRUE(exists(place / "socket"));
    co_await talk(listener);
    listener.close();
    EXPECT_FALSE(exists(place / "socket"));
  });
}

TEST(Unix, AStaleFileIsReplaced) {
  const temporary_folder place;
  leave_stale(place / "socket");
  run_program([&]() -> plait::task<> {
    auto listener = unix_listener::bind(place / "socket");
    co_await talk(listener);
  });
}

TEST(Unix, ANameInUseIsLeftAlone) {
  const temporary_folder place;
  run_program([&]() -> plait::task<> {
    auto listener = unix_listener::bind(place / "socket");
    try {
      unix_listener::bind(place / "socket");
      ADD_FAILURE() << "it is in use";
    } catch (const plait::net::listen_error& error) {
      EXPECT_EQ(error.code(), std::errc::address_in_use);
      EXPECT_NE(std::string(error.what()).find("somebody listens there"), std::string::npos);
    }
    // The attempt to bind left a connection behind, which is closed already.
    auto asked = co_await listener.accept();
    const auto got1 = co_await read_to_end(asked);
    EXPECT_EQ(got1, "");
    co_await talk(listener);
  });
}

TEST(Unix, AFileThatIsNoSocketIsLeftAlone) {
  const temporary_folder place;
  close(open((place / "socket").c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_THROW(unix_listener::bind(place / "socket"), plait::net::listen_error);
  EXPECT_TRUE(exists(place / "socket"));
}

TEST(Unix, AFileThatAnotherListenerMadeIsNotRemoved) {
  const temporary_folder place;
  auto first = unix_listener::bind(place / "socket");
  unlink((place / "socket").c_str());
  auto second = unix_listener::bind(place / "socket");
  first.close();
  EXPECT_TRUE(exists(place / "socket"));
}

TEST(Unix, PermissionsAreThoseAskedFor) {
  const temporary_folder place;
  const auto listener = unix_listener::bind(place / "socket", {.permissions = 0600});
  struct stat found {};
  ASSERT_EQ(lstat((place / "socket").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST(Unix, TheOtherEndIsKnown) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await unix_kind::connect();
    EXPECT_EQ(a.peer_credentials().process, getpid());
    EXPECT_EQ(b.peer_credentials().process, getpid());
    EXPECT_EQ(b.peer_credentials().user, getuid());
    EXPECT_EQ(b.peer_credentials().group, getgid());
  });
}

TEST(Unix, ErrorsSayWhatToLookAt) {
  const temporary_folder place;
  run_program([&]() -> plait::task<> {
    EXPECT_TRUE(co_await throws<plait::net::connect_error>(unix_stream::connect(place / "socket")));
    EXPECT_TRUE(co_await throws<plait::net::connect_error>(unix_stream::connect("")));
    EXPECT_TRUE(
        co_await throws<plait::net::connect_error>(unix_stream::connect(std::string(200, 'x'))));
    leave_stale(place / "socket");
    try {
      co_await unix_stream::connect(place / "socket");
      ADD_FAILURE() << "nobody listens there";
    } catch (const plait::net::connect_error& error) {
      EXPECT_EQ(error.what(),
                "connection refused by " + place / "socket" + ": is the server running?");
    }
  });
  EXPECT_THROW(unix_listener::bind(std::string(200, 'x')), plait::net::listen_error);
  EXPECT_THROW(unix_listener::bind("/nowhere/at/all"), plait::net::listen_error);
}

// A full backlog of a Unix socket cannot be waited for by the kernel's means.
TEST(Unix, ConnectWaitsForAFullBacklogAndCanBeStopped) {
  run_program([]() -> plait::task<> {
    const std::string name = "@plait-test-full-" + std::to_string(getpid());
    auto listener = unix_listener::bind(name, {.backlog = 0});
    auto first = co_await unix_stream::connect(name);
    auto second = plait::spawn(unix_stream::connect(name));
    auto third = plait::spawn(unix_stream::connect(name));
    co_await let_others_run();
    EXPECT_FALSE(second.done());
    third.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(std::move(third)));
    auto accepted = co_await listener.accept();
    auto connected = co_await std::move(second);
    EXPECT_TRUE(connected.is_open());
  });
}

TEST(Unix, AStoppedAcceptLeavesTheListenerUsable) {
  run_program([]() -> plait::task<> {
    auto listener = unix_listener::bind("@plait-test-stop-" + std::to_string(getpid()));
    auto accepting = plait::spawn(listener.accept());
    co_await let_others_run();
    accepting.cancel();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(std::move(accepting)));
    co_await talk(listener);
  });
}

}  // namespace
