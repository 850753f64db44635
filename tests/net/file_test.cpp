#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "descriptor_count.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"
#include "plait/testing/temporary_folder.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::file;
using plait::net::file_error;
using plait::net::file_mode;
using plait::net::read_file;
using plait::net::write_file;
using plait::net::write_manner;
using plait::testing::temporary_folder;

std::string patterned(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7919 >> 8);
  return bytes;
}

plait::task<std::string> read_to_end(file& from) {
  std::string all;
  std::array<char, 10'000> buffer{};
  while (const std::size_t got = co_await from.read_some(buffer)) all.append(buffer.data(), got);
  co_return all;
}

// Awaits, and gives the text and code of the file_error that it throws.
template <class T>
plait::task<std::string> failure(plait::task<T> what, std::errc code) {
  try {
    co_await std::move(what);
  } catch (const file_error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    co_return error.what();
  }
  co_return "it worked";
}

TEST(File, WhatIsWrittenIsRead) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string sent = patterned(3'000'000);
    auto f = co_await file::open(folder / "f", file_mode::create_new);
    EXPECT_EQ(f.path(), folder / "f");
    co_await f.write_all(sent);
    co_await f.sync();
    EXPECT_EQ(f.position(), sent.size());
    const auto size = co_await f.size();
    EXPECT_EQ(size, sent.size());
    f.seek(0);
    const std::string back = co_await read_to_end(f);
    EXPECT_TRUE(back == sent);
    std::vector<char> part(1'000'000);
    const std::size_t got = co_await f.read_at(2'500'000, part);
    EXPECT_EQ(got, 500'000u) << "fewer only where it ends";
    EXPECT_TRUE(std::string_view(part.data(), got) == std::string_view(sent).substr(2'500'000));
    co_await f.write_at(10, "ten");
    const std::size_t three = co_await f.read_at(9, std::span(part).first(5));
    EXPECT_EQ(three, 5u);
    EXPECT_EQ(std::string(part.data() + 1, 3), "ten");
    co_await f.truncate(5);
    EXPECT_EQ(f.seek_to_end(), 5u);
  };
  plait::run(body());
}

TEST(File, EachModeDoesWhatItSays) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string path = folder / "f";
    for (const auto mode : {file_mode::read, file_mode::update}) {
      const auto why =
          co_await failure(file::open(path, mode), std::errc::no_such_file_or_directory);
      EXPECT_EQ(why, "cannot open " + path + ": No such file or directory");
    }
    for (const auto mode : {file_mode::write, file_mode::append, file_mode::update_or_create}) {
      auto f = co_await file::open(path, mode);
      co_await f.write_all("abc");
    }
    const std::string both = co_await read_file(path);
    EXPECT_EQ(both, "abcabc");
    co_await failure(file::open(path, file_mode::create_new), std::errc::file_exists);
    auto f = co_await file::open(path, file_mode::update);
    co_await f.write_all("xy");
    auto reads_only = co_await file::open(path);
    const std::string changed = co_await read_to_end(reads_only);
    EXPECT_EQ(changed, "xycabc");
    const auto why = co_await failure(reads_only.write_all("no"), std::errc::bad_file_descriptor);
    EXPECT_NE(why.find("its mode does not allow it"), std::string::npos) << why;
  };
  plait::run(body());
}

TEST(File, SaysWhatIsWrongAndWhatToLookAt) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const auto no_folder = co_await failure(file::open(folder / "no/f", file_mode::write),
                                            std::errc::no_such_file_or_directory);
    EXPECT_NE(no_folder.find("there is no folder " + (folder / "no")), std::string::npos);
    auto full = co_await file::open("/dev/full", file_mode::update);
    const auto why = co_await failure(full.write_all("x"), std::errc::no_space_on_device);
    EXPECT_EQ(why,
              "cannot write to /dev/full: No space left on device (the disk is full: see df /dev)");
    const auto again =
        co_await failure(write_file("/dev/full", "x"), std::errc::no_space_on_device);
    EXPECT_EQ(again, why);
    co_await failure(write_file(folder / "", "x"), std::errc::is_a_directory);
    co_await failure(read_file(folder / ""), std::errc::is_a_directory);
  };
  plait::run(body());
}

TEST(File, ManyWhoAppendLoseNothing) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    auto writer = [&](char letter) -> plait::task<> {
      auto f = co_await file::open(folder / "log", file_mode::append);
      const std::string line(99, letter);
      for (int i = 0; i < 20; ++i) co_await f.write_all(line + "\n");
    };
    std::vector<plait::task<>> all;
    for (char letter = 'a'; letter < 'k'; ++letter) all.push_back(writer(letter));
    co_await plait::gather(std::move(all));
    const std::string log = co_await read_file(folder / "log");
    EXPECT_EQ(log.size(), 20'000u);
    for (std::size_t i = 0; i + 100 <= log.size(); i += 100) {
      EXPECT_EQ(log.substr(i, 99), std::string(99, log[i]));
      EXPECT_EQ(log[i + 99], '\n');
    }
  };
  plait::run(body());
}

TEST(File, AThousandReadsAtOnce) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string bytes = patterned(1'000'000);
    co_await write_file(folder / "f", bytes);
    auto f = co_await file::open(folder / "f");
    auto piece = [&](std::size_t i) -> plait::task<> {
      std::vector<char> buffer(1000);
      const std::size_t got = co_await f.read_at(i * 1000, buffer);
      EXPECT_TRUE(std::string_view(buffer.data(), got) == bytes.substr(i * 1000, 1000)) << i;
    };
    std::vector<plait::task<>> all;
    for (std::size_t i = 0; i < 1000; ++i) all.push_back(piece(i));
    co_await plait::gather(std::move(all));
    auto whole = [&]() -> plait::task<std::size_t> {
      const std::string read = co_await read_file(folder / "f");
      co_return read.size();
    };
    std::vector<plait::task<std::size_t>> wholes;
    for (int i = 0; i < 100; ++i) wholes.push_back(whole());
    for (const std::size_t size : co_await plait::gather(std::move(wholes)))
      EXPECT_EQ(size, bytes.size());
  };
  plait::run(body());
}

TEST(File, OffsetsPastFourGigabytes) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    constexpr std::uint64_t far = 5'000'000'000;
    auto f = co_await file::open(folder / "sparse", file_mode::create_new);
    co_await f.write_at(far, "far away");
    const auto size = co_await f.size();
    EXPECT_EQ(size, far + 8);
    std::array<char, 20> buffer{};
    const std::size_t got = co_await f.read_at(far - 4, buffer);
    EXPECT_EQ(std::string(buffer.data(), got), std::string(4, '\0') + "far away");
    f.seek(far + 4);
    const std::size_t rest = co_await f.read_some(buffer);
    EXPECT_EQ(std::string(buffer.data(), rest), "away");
    bool refused = false;
    try {
      f.seek(~std::uint64_t{0});
    } catch (const file_error&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
  };
  plait::run(body());
}

// The only way to hold a thread for as long as a test likes: opening a FIFO waits for its other end.
plait::task<file> blocked_open(const std::string& fifo) { return file::open(fifo); }

TEST(File, AnOperationThatHasNotBegunIsDroppedOneThatHasIsWaitedFor) {
  const temporary_folder folder;
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  auto body = [&]() -> plait::task<> {
    std::vector<plait::future<file>> blocked;  // one more than there are threads
    for (int i = 0; i < 17; ++i) blocked.push_back(plait::spawn(blocked_open(fifo)));
    auto late = plait::spawn(write_file(folder / "never", "x"));
    while (!blocked[0].running()) co_await plait::sleep(0ms);
    late.cancel();
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled) << "it was behind the others";
    EXPECT_FALSE(std::filesystem::exists(folder / "never"));
    blocked[0].cancel();  // begun, or about to
    const int writer = open(fifo.c_str(), O_RDWR);
    for (auto& one : blocked) {
      try {
        co_await std::move(one);
      } catch (const plait::cancelled_error&) {
      }
    }
    close(writer);
  };
  const int before = open_descriptors();
  plait::run(body());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(File, ATaskThatIsStoppingReadsNothing) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    co_await write_file(folder / "f", "text");
    auto f = co_await file::open(folder / "f");
    std::array<char, 10> buffer{};
    auto late = plait::spawn(f.read_some(buffer));
    late.cancel();
    bool cancelled = false;
    try {
      co_await late;
    } catch (const plait::cancelled_error&) {
      cancelled = true;
    }
    EXPECT_TRUE(cancelled);
    EXPECT_EQ(f.position(), 0u);
  };
  plait::run(body());
}

TEST(File, AStopThatRacesWithAWriteLeavesAllOrNothingAndAnOpenFile) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    auto f = co_await file::open(folder / "f", file_mode::append);
    std::uint64_t written = 0;
    for (int i = 0; i < 100; ++i) {
      auto writing = plait::spawn(f.write_all("12345"));
      for (int turns = 0; turns < i % 5; ++turns) co_await plait::sleep(0ms);
      writing.cancel();
      try {
        co_await writing;
        written += 5;
      } catch (const plait::cancelled_error&) {
      }
      const auto size = co_await f.size();
      EXPECT_EQ(size % 5, 0u);
      EXPECT_GE(size, written);
      written = size;
    }
  };
  plait::run(body());
}

TEST(File, ClosingDuringAnOperationWaitsForNobodyAndBreaksNothing) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string bytes = patterned(5'000'000);
    auto f = co_await file::open(folder / "f", file_mode::write);
    auto writing = plait::spawn(f.write_all(bytes));
    co_await plait::sleep(0ms);
    f.close();
    EXPECT_FALSE(f.is_open());
    co_await writing;
    const std::string back = co_await read_file(folder / "f");
    EXPECT_TRUE(back == bytes);
    EXPECT_THROW(f.path(), file_error);
  };
  plait::run(body());
}

TEST(File, SignalsThatInterruptItAreNoErrors) {
  const temporary_folder folder;
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  struct sigaction interrupts {
  }, before{};
  interrupts.sa_handler = [](int) {};  // without SA_RESTART
  sigaction(SIGUSR1, &interrupts, &before);
  sigset_t set, mask;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  auto body = [&]() -> plait::task<> {
    co_await write_file(folder / "f", "x");  // there is a thread now, which the signals go to
    pthread_sigmask(SIG_BLOCK, &set, &mask);
    auto opening = plait::spawn(blocked_open(fifo));
    for (int i = 0; i < 200; ++i) {
      kill(getpid(), SIGUSR1);
      co_await plait::sleep(0ms);
    }
    const int writer = open(fifo.c_str(), O_RDWR);
    const file f = co_await std::move(opening);
    close(writer);
    EXPECT_TRUE(f.is_open());
  };
  plait::run(body());
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(WholeFile, IsReadWhateverTheKernelSaysOfItsSize) {
  auto body = []() -> plait::task<> {
    const std::string status = co_await read_file("/proc/self/status");
    EXPECT_EQ(status.substr(0, 5), "Name:");
    const std::string nothing = co_await read_file("/dev/null");
    EXPECT_EQ(nothing, "");
  };
  plait::run(body());
}

TEST(WholeFile, IsOverwrittenOrAppendedTo) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string large = patterned(5'000'000);
    co_await write_file(folder / "f", large);
    std::string back = co_await read_file(folder / "f");
    EXPECT_TRUE(back == large);
    co_await write_file(folder / "f", "short");
    co_await write_file(folder / "f", "er", write_manner::append);
    back = co_await read_file(folder / "f");
    EXPECT_EQ(back, "shorter");
  };
  plait::run(body());
}

TEST(WholeFile, AReplacedFileKeepsItsModeAndItsLinks) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    co_await write_file(folder / "f", "old");
    chmod((folder / "f").c_str(), 0640);
    std::filesystem::create_symlink("f", folder / "link");
    auto reader = co_await file::open(folder / "f");
    co_await write_file(folder / "link", "new", write_manner::replace);
    const std::string now = co_await read_file(folder / "f");
    EXPECT_EQ(now, "new");
    const std::string then = co_await read_to_end(reader);
    EXPECT_EQ(then, "old") << "who reads the old one goes on reading it";
    EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
    struct stat status {};
    stat((folder / "f").c_str(), &status);
    EXPECT_EQ(status.st_mode & 0777, 0640u);
    co_await write_file(folder / "fresh", "made", write_manner::replace);
    EXPECT_EQ(folder.entries(), 3u) << "nothing is left beside them";
  };
  plait::run(body());
}

TEST(WholeFile, AReplaceThatFailsLeavesTheOldOneAndNothingElse) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    std::filesystem::create_directory(folder / "taken");
    co_await failure(write_file(folder / "taken", "x", write_manner::replace),
                     std::errc::is_a_directory);
    EXPECT_EQ(folder.entries(), 1u);
    const auto why = co_await failure(write_file(folder / "no/f", "x", write_manner::replace),
                                      std::errc::no_such_file_or_directory);
    EXPECT_NE(why.find("there is no folder"), std::string::npos) << why;
  };
  plait::run(body());
}

TEST(WholeFile, AStoppedReplaceLeavesAllOfTheOldOrAllOfTheNew) {
  const temporary_folder folder;
  auto body = [&]() -> plait::task<> {
    const std::string old(100, 'o'), fresh(3'000'000, 'n');
    for (int i = 0; i < 20; ++i) {
      co_await write_file(folder / "f", old);
      auto replacing = plait::spawn(write_file(folder / "f", fresh, write_manner::replace));
      for (int turns = 0; turns < i * 20; ++turns) co_await plait::sleep(0ms);
      replacing.cancel();
      bool replaced = true;
      try {
        co_await replacing;
      } catch (const plait::cancelled_error&) {
        replaced = false;
      }
      const std::string now = co_await read_file(folder / "f");
      EXPECT_TRUE(now == (replaced ? fresh : old));
      EXPECT_EQ(folder.entries(), 1u);
    }
  };
  plait::run(body());
}

}  // namespace
