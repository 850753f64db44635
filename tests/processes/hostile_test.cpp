// Workers that lie. A pool believes nothing of what it shares with them: it neither crashes nor hangs,
// and no caller but the liar's gets a wrong answer.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "plait/processes.hpp"
#include "processes/channel.hpp"
#include "processes/descriptor.hpp"
#include "processes/message_memory.hpp"

namespace {

using plait::process_pool_executor;
namespace wire = plait::detail;

// How many calls write over their channel: more by PLAIT_HOSTILE_CALLS=N.
int hostile_calls() {
  const char* asked = std::getenv("PLAIT_HOSTILE_CALLS");
  return asked != nullptr ? std::atoi(asked) : 200;
}
unsigned seed() {
  const char* asked = std::getenv("PLAIT_SEED");
  return asked != nullptr ? static_cast<unsigned>(std::atoi(asked)) : std::random_device{}();
}

struct range {
  std::uintptr_t begin = 0, end = 0;
};
// Where a call's own worker has its channel, as far as it may write to it.
range own_channel() {
  FILE* maps = std::fopen("/proc/self/maps", "r");
  range found;
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin = 0, end = 0;
    char rights[8] = {};
    if (std::sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3) continue;
    if (std::strstr(line, "plait-worker") == nullptr || rights[1] != 'w') continue;
    if (found.begin == 0) found.begin = begin;
    found.end = end;
  }
  std::fclose(maps);
  return found;
}

enum class habit { bytes, words, slot_states, everything, then_crashes };

int scribble(unsigned seed_of_call, habit how) {
  std::mt19937 random(seed_of_call);
  const range channel = own_channel();
  const std::size_t n = channel.end - channel.begin;
  auto* at = reinterpret_cast<volatile unsigned char*>(channel.begin);
  // Slots lie in the first part; the arena behind them is most of it.
  const std::size_t interesting = std::min<std::size_t>(n, 64 * 1024);
  switch (how) {
    case habit::bytes:
    case habit::then_crashes:
      for (int i = 0; i < 200; ++i)
        at[random() % interesting] = static_cast<unsigned char>(random());
      break;
    case habit::words:  // as small as states, counts and sizes are
      for (int i = 0; i < 200; ++i)
        *reinterpret_cast<volatile std::uint32_t*>(channel.begin + random() % interesting / 4 * 4) =
            random() % 9;
      break;
    case habit::slot_states: {
      auto& c = *reinterpret_cast<wire::channel*>(channel.begin);
      for (int i = 0; i < 40; ++i)
        c.slots[random() % wire::slot_count].state.store(
            static_cast<wire::slot_state>(random() % 9));
      break;
    }
    case habit::everything:
      for (std::size_t i = 0; i < n; ++i) at[i] = static_cast<unsigned char>(random());
  }
  if (how == habit::then_crashes) std::abort();
  return -1;
}

std::vector<int> squares(const std::vector<int>& numbers) {
  std::vector<int> all;
  for (const int n : numbers) all.push_back(n * n);
  return all;
}
int triple(int n) { return 3 * n; }
std::string blank(std::size_t n) { return std::string(n, ' '); }

// Calls of any size among them, on any worker, before, beside and after the one that scribbles:
// each has its right answer, or an error.
void live_through(habit how) {
  const unsigned base = seed();
  SCOPED_TRACE("PLAIT_SEED=" + std::to_string(base));
  std::mt19937 random(base);
  testing::internal::CaptureStderr();
  int wrong = 0, lost = 0, right = 0;
  {
    process_pool_executor pool{3};
    std::vector<int> numbers(30);
    std::iota(numbers.begin(), numbers.end(), 0);
    const auto right_squares = squares(numbers);
    const auto check = [&](auto& f, const auto& expected) {
      try {
        const bool is_right = f.get() == expected;
        wrong += !is_right;
        right += is_right;
      } catch (const plait::task_error&) {
        ++lost;
      }
    };
    for (int round = 0; round < hostile_calls() / 4; ++round) {
      std::vector<plait::future<int>> hostile, small;
      std::vector<plait::future<std::vector<int>>> middle;
      std::vector<plait::future<std::string>> large;
      for (int i = 0; i < 12; ++i) {
        if (i % 3 == 0) hostile.push_back(pool.submit(scribble, random(), how));
        small.push_back(pool.submit(triple, i));
        middle.push_back(pool.submit(squares, numbers));
        if (i % 6 == 0) large.push_back(pool.submit(blank, std::size_t{100'000}));
      }
      for (auto& f : hostile) f.wait();
      for (int i = 0; i < 12; ++i) check(small[static_cast<std::size_t>(i)], 3 * i);
      for (auto& f : middle) check(f, right_squares);
      for (auto& f : large) check(f, blank(100'000));
    }
    EXPECT_EQ(pool.submit(triple, 5).get(), 15);
  }
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, lost) << lost;
  testing::Test::RecordProperty("lost", lost);
}

TEST(Hostile, BytesOfItsChannel) { live_through(habit::bytes); }
TEST(Hostile, SmallNumbersOfItsChannel) { live_through(habit::words); }
TEST(Hostile, StatesOfItsSlots) { live_through(habit::slot_states); }
TEST(Hostile, AllOfItsChannel) { live_through(habit::everything); }
TEST(Hostile, BytesOfItsChannelBeforeItCrashes) { live_through(habit::then_crashes); }

// What only the pool writes: a wild write there is that call's own crash.
TEST(Hostile, AWriteToThePoolsOwnWordsIsACrashOfThatCall) {
  process_pool_executor pool{1};
  const auto fails = pool.submit([] {
    auto& c = *reinterpret_cast<wire::channel*>(own_channel().begin);
    c.pool.leave.store(7);
  });
  const auto behind = pool.submit(triple, 2);
  EXPECT_THROW(fails.get(), plait::worker_crashed);
  EXPECT_EQ(behind.get(), 6);
}

// A call that was queued behind one that scribbled begins elsewhere, as if nothing had been.
TEST(Hostile, ASpoiltRequestBeginsElsewhere) {
  process_pool_executor pool{1};
  pool.submit(triple, 0).get();
  testing::internal::CaptureStderr();
  const auto spoils = pool.submit([] {
    auto& c = *reinterpret_cast<wire::channel*>(own_channel().begin);
    for (auto& s : c.slots) s.bytes[0] ^= std::byte{1};
    return 1;
  });
  const auto behind = pool.submit(triple, 2);
  EXPECT_EQ(behind.get(), 6);
  EXPECT_EQ(spoils.get(), 1) << "its own answer was written after that";
  testing::internal::GetCapturedStderr();
}

TEST(Hostile, APidIsTheKernelsNotTheWorkersWord) {
  process_pool_executor pool{1};
  const int pid = pool.submit([] {
                        auto& c = *reinterpret_cast<wire::channel*>(own_channel().begin);
                        c.pid.store(1);
                        return static_cast<int>(getpid());
                      })
                      .get();
  pool.submit(triple, 1).get();
  EXPECT_EQ(pool.worker_pids(), std::vector<int>{pid});
}

// ---- the memory of a large answer --------------------------------------------------------------

wire::descriptor memory_of(std::size_t n, int seals) {
  wire::descriptor file(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(posix_fallocate(file.get(), 0, static_cast<off_t>(n)), 0);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

TEST(Hostile, MemoryThatCouldShrinkIsNotMapped) {
  EXPECT_FALSE(wire::holds_for_good(memory_of(65536, 0).get(), 65536));
  EXPECT_FALSE(wire::holds_for_good(memory_of(65536, F_SEAL_GROW).get(), 65536));
  EXPECT_TRUE(wire::holds_for_good(memory_of(65536, F_SEAL_SHRINK).get(), 65536));
}
TEST(Hostile, MemoryThatIsSmallerThanItSaysIsNotMapped) {
  const auto file = memory_of(65536, F_SEAL_SHRINK);
  EXPECT_TRUE(wire::holds_for_good(file.get(), 65535));
  EXPECT_FALSE(wire::holds_for_good(file.get(), 65537));
  EXPECT_FALSE(wire::holds_for_good(file.get(), SIZE_MAX));
  EXPECT_FALSE(wire::holds_for_good(file.get(), 0));
}
TEST(Hostile, MemoryWhosePagesAreNotThereIsNotMapped) {
  const wire::descriptor file(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(file.get(), off_t{1} << 40), 0);
  ASSERT_EQ(fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_FALSE(wire::holds_for_good(file.get(), std::size_t{1} << 40));
}
TEST(Hostile, WhatIsNoMemoryIsNotMapped) {
  const wire::descriptor file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(wire::holds_for_good(file.get(), 1));
  EXPECT_FALSE(wire::holds_for_good(-1, 1));
  wire::seen_messages seen;
  EXPECT_THROW(seen.map(file.get(), {1, 4096, 0}), plait::serialization_error);
}

// The worker's end of the socket that descriptors travel on.
int own_socket() {
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(e.path().filename().c_str());
    int type = 0;
    socklen_t n = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET) return fd;
  }
  return -1;
}
// Answers in its worker's stead, with a large message whose memory is `file`, and sleeps.
int answer_with(int kind) {
  auto& c = *reinterpret_cast<wire::channel*>(own_channel().begin);
  std::uint32_t sequence = 0;
  for (std::uint32_t i = 0; i < wire::slot_count; ++i)
    if (c.slots[i].state.load() == wire::slot_state::running) sequence = i;
  wire::slot& s = c.slots[sequence];
  constexpr std::size_t said = 1 << 20;
  wire::descriptor file = kind == 0   ? memory_of(4096, F_SEAL_SHRINK)
                          : kind == 1 ? memory_of(said, 0)
                                      : memory_of(said, F_SEAL_SHRINK);
  if (kind == 2) file = wire::descriptor(open("/dev/zero", O_RDWR));
  s.where = wire::tier::in_memfd;
  s.attached = 0;
  s.size = said;
  s.took = 1;
  const wire::message_place place{77, said, kind == 3 ? 1'000'000u : 0u};
  std::memcpy(s.bytes, &place, sizeof place);
  s.check = wire::checksum(wire::message_head::of(s), wire::slot_state::done, sequence, s.bytes);
  const int fd = file.get();
  wire::send_packet(own_socket(), &sequence, sizeof sequence, &fd, 1, 0);
  s.state.store(wire::slot_state::done);
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(e.path(), gone) == "anon_inode:[eventfd]")
      wire::ring(std::atoi(e.path().filename().c_str()));
  }
  for (;;) pause();
}

TEST(Hostile, AnAnswerInMemoryThatLiesFailsItsOwnCall) {
  process_pool_executor pool{1};
  for (const int kind : {0, 1, 2}) {
    auto lies = pool.submit(answer_with, kind);
    EXPECT_THROW(lies.get(), plait::serialization_error) << kind;
    EXPECT_EQ(pool.submit(triple, kind).get(), 3 * kind);
  }
}

// ---- memory that is lent and comes back --------------------------------------------------------

std::string letters(std::size_t n, char c) { return std::string(n, c); }

TEST(LargeResults, EachIsItsOwnHoweverManyAreReadAtOnce) {
  process_pool_executor pool{2};
  for (int round = 0; round < 20; ++round) {
    std::vector<plait::future<std::string>> all;
    for (int i = 0; i < 24; ++i)
      all.push_back(pool.submit(letters,
                                std::size_t{200'000} + 10'000 * static_cast<unsigned>(i % 5),
                                static_cast<char>('a' + i)));
    for (int i = 0; i < 24; ++i) {
      const std::string got = all[static_cast<std::size_t>(i)].get();
      EXPECT_EQ(got.find_first_not_of(static_cast<char>('a' + i)), std::string::npos);
    }
  }
}

// The worker writes where it wrote before: the file, of which its descriptors tell, is the same.
TEST(LargeResults, UseTheSameMemoryAgain) {
  const auto files = [] {
    std::vector<ino_t> found;
    for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const auto target = std::filesystem::read_symlink(e.path(), gone).string();
      struct stat s {};
      if (target.find("plait-message") != std::string::npos && stat(e.path().c_str(), &s) == 0)
        found.push_back(s.st_ino);
    }
    return found;
  };
  process_pool_executor pool{1};
  pool.submit(letters, std::size_t{1'000'000}, 'x').get();
  const auto first = pool.submit(files).get();
  ASSERT_EQ(first.size(), 1u);
  for (int i = 0; i < 10; ++i) pool.submit(letters, std::size_t{1'000'000}, 'y').get();
  // It is returned just after the future is done: the next call may be faster than that.
  const auto last = pool.submit(files).get();
  EXPECT_NE(std::find(last.begin(), last.end(), first[0]), last.end());
  EXPECT_LE(last.size(), std::size_t{wire::lent_places});
}

TEST(LargeResults, AWorkersDeathWhileItsAnswersAreReadHarmsNone) {
  process_pool_executor pool{1};
  for (int round = 0; round < 20; ++round) {
    std::vector<plait::future<std::string>> all;
    for (int i = 0; i < 6; ++i) all.push_back(pool.submit(letters, std::size_t{300'000}, 'q'));
    const auto dies = pool.submit([]() -> int { std::_Exit(1); });
    for (auto& f : all) EXPECT_EQ(f.get(), letters(300'000, 'q'));
    EXPECT_THROW(dies.get(), plait::worker_crashed);
  }
}

}  // namespace
