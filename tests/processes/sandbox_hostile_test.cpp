// A call that has become hostile code inside its sandbox, and knows how the pool works: what it does to the
// memory and the descriptors that it shares with the pool costs its own calls only.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "plait/processes.hpp"
#include "processes/channel.hpp"

using namespace std::chrono_literals;
using plait::process_pool_executor;
using plait::sandbox;
using plait::detail::channel;
using plait::detail::pool_page;
using plait::detail::slot;
using plait::detail::slot_state;
using plait::detail::tier;

namespace {

// What hostile code would find out by searching its memory; the initializer has it easier.
channel* own_channel = nullptr;
pool_page* page = nullptr;
int doorbell = -1, pool_socket = -1;

void find_everything() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto at = reinterpret_cast<void*>(std::stoull(line, nullptr, 16));
    // Behind the first there is what the pool alone writes.
    if (own_channel == nullptr && line.find("memfd:plait-worker") != std::string::npos)
      own_channel = static_cast<channel*>(at);
    if (line.find("memfd:plait-pool") != std::string::npos) page = static_cast<pool_page*>(at);
  }
  for (int fd = 3; fd < 64; ++fd) {
    std::error_code none;
    const auto what =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), none).string();
    if (what.starts_with("anon_inode:[eventfd]")) doorbell = fd;
    if (what.starts_with("socket:")) pool_socket = fd;
  }
}

slot& running_slot() {
  for (slot& s : own_channel->slots)
    if (s.state == slot_state::running) return s;
  std::abort();
}

plait::process_pool_options hostile_pool(std::size_t workers = 1, sandbox walls = {}) {
  return {.max_workers = workers, .initializer = find_everything, .sandbox = std::move(walls)};
}
int healthy(int n) { return n + 1; }

// A call that is handed to a worker which is taken over is lost with it; the next worker is honest.
bool recovers(process_pool_executor& pool) {
  for (int tries = 0; tries < 20; ++tries) {
    try {
      return pool.submit(healthy, 1).get() == 2;
    } catch (const plait::error&) {
    }
  }
  return false;
}

int error_of(bool worked) { return worked ? 0 : errno; }

TEST(HostileCall, CannotSilenceTheDoorbellThatOtherWorkersRing) {
  process_pool_executor pool(hostile_pool());
  const auto attempts = [] {
    std::uint64_t n = 0;
    const iovec to{&n, sizeof n};
    const int off = 0;
    return std::vector<int>{error_of(read(doorbell, &n, sizeof n) >= 0),
                            error_of(readv(doorbell, &to, 1) >= 0),
                            error_of(fcntl(doorbell, F_SETFL, 0) == 0),
                            error_of(fcntl(doorbell, F_DUPFD, 100) >= 0),
                            error_of(ioctl(doorbell, FIONBIO, &off) == 0),
                            error_of(dup(doorbell) >= 0),
                            error_of(dup2(doorbell, 100) >= 0),
                            error_of(dup3(doorbell, 100, 0) >= 0)};
  };
  EXPECT_EQ(pool.submit(attempts).get(), std::vector<int>(8, EPERM));
  const auto fill = [] {
    std::uint64_t n = 0xfffffffffffffffe;
    return error_of(write(doorbell, &n, sizeof n) == sizeof n);
  };
  pool.submit(fill).get();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pool.submit(healthy, i).get(), i + 1);
}

// A report that is there again as soon as it was heard, of a call that says it has answered.
void reports_behind_its_answer() {
  slot& own = running_slot();
  const auto sequence = static_cast<std::uint32_t>(&own - own_channel->slots);
  own_channel->report_size = 0xffff'ffff;
  for (;;) {
    own_channel->report = 1 + sequence;
    own.state = slot_state::done;
  }
}

TEST(HostileCall, CannotHoldUpItsEndByReports) {
  std::atomic<int> heard = 0;
  for (const bool is_heard : {false, true}) {
    process_pool_executor pool(hostile_pool());
    plait::process_call_options options{.timeout = 100ms};
    if (is_heard) options.on_report = [&](std::string_view) { ++heard; };
    const auto f = pool.with(options).submit(reports_behind_its_answer);
    EXPECT_TRUE(f.wait_for(20s)) << "it is held up";
    EXPECT_TRUE(recovers(pool));
    const auto last = pool.with(options).submit(reports_behind_its_answer);
    pool.terminate_workers();
    EXPECT_TRUE(last.done());
  }
  EXPECT_GE(heard, 1);
}

TEST(HostileCall, CannotReportForACallThatHasNotBegun) {
  std::atomic<int> heard = 0;
  process_pool_executor pool(hostile_pool());
  const auto f = pool.submit([] {
    for (std::uint32_t sequence = 0; sequence < 20; ++sequence) {
      while (own_channel->report != 0) {
      }
      own_channel->report = 1 + sequence;
      const std::uint64_t one = 1;
      if (write(doorbell, &one, sizeof one) < 0) std::abort();
    }
    while (own_channel->report != 0) {
    }
  });
  std::vector<plait::future<int>> behind;
  for (int i = 0; i < 4; ++i)
    behind.push_back(
        pool.with({.on_report = [&](std::string_view) { ++heard; }}).submit(healthy, i));
  f.get();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(behind[static_cast<std::size_t>(i)].get(), i + 1);
  EXPECT_EQ(heard, 0);
}

TEST(HostileCall, CannotWriteToWhatAllWorkersShare) {
  process_pool_executor pool(hostile_pool());
  const auto unprotect = [] { return error_of(mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0); };
  EXPECT_EQ(pool.submit(unprotect).get(), EACCES);
  const auto scribble = [] {
    page->listener.store(pool_page::nobody);
    return 0;
  };
  EXPECT_THROW(pool.submit(scribble).get(), plait::worker_crashed);
  EXPECT_TRUE(recovers(pool));
}

// A warm piece of memory carries one message after another.
TEST(HostileCall, CannotChangeOrCutAnArgumentNorReadWhatLayThereBefore) {
  process_pool_executor others{1};
  others.submit([](std::string s) { return s.size(); }, std::string(300'000, 'S')).get();
  process_pool_executor pool(hostile_pool());
  const auto attempts = [](std::span<const int> numbers) {
    auto* at = const_cast<int*>(numbers.data());
    auto* begin = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(at) / 4096 * 4096);
    const auto* end = reinterpret_cast<const char*>(at + numbers.size());
    int secrets = 0;
    for (; reinterpret_cast<std::uintptr_t>(end) % 4096 != 0; ++end) secrets += *end == 'S';
    return std::pair(error_of(mprotect(begin, 4096, PROT_READ | PROT_WRITE) == 0), secrets);
  };
  const auto [error, secrets] = pool.submit(attempts, std::vector<int>(70'001, 1)).get();
  EXPECT_EQ(error, EACCES);
  EXPECT_EQ(secrets, 0);
  const auto by_descriptor = [](const std::string&) {
    // The next packet would be the next request's: there is none, so nobody waits.
    char byte, control[64];
    iovec to{&byte, 1};
    msghdr message{};
    message.msg_iov = &to;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    return error_of(recvmsg(pool_socket, &message, MSG_DONTWAIT) >= 0);
  };
  EXPECT_EQ(pool.submit(by_descriptor, std::string(100'000, 'x')).get(), EAGAIN);
}

// What a call stores in its slot before it ends its process.
template <slot_state State>
int dies_as(int) {
  running_slot().state = State;
  _exit(0);
}
TEST(HostileCall, ThatDeniesThatItBeganIsStillTheOneThatDied) {
  process_pool_executor pool(hostile_pool());
  for (int round = 0; round < 5; ++round) {  // three failed starts would break the pool
    EXPECT_THROW(pool.submit(dies_as<slot_state::queued>, 1).get(), plait::worker_crashed);
    EXPECT_THROW(pool.submit(dies_as<slot_state::free>, 1).get(), plait::worker_crashed);
    EXPECT_THROW(pool.submit(dies_as<static_cast<slot_state>(77)>, 1).get(), plait::worker_crashed);
  }
  EXPECT_THROW(pool.submit(dies_as<slot_state::passed>, 1).get(), plait::error);
  EXPECT_THROW(pool.submit(dies_as<slot_state::failed>, 1).get(), plait::error);
  EXPECT_TRUE(recovers(pool));
}

TEST(HostileCall, CannotSayThatItIsAnotherProcess) {
  process_pool_executor pool(hostile_pool());
  const auto lie = [](int pid) {
    own_channel->pid = pid;
    return static_cast<int>(getpid());
  };
  const int real = pool.submit(lie, static_cast<int>(getppid())).get();
  for (const int pid : pool.worker_pids()) EXPECT_EQ(pid, real);
}

int claims_not_to_live(int) {
  own_channel->life = plait::detail::worker_life::initializer_threw;
  own_channel->complaint_size = 0xffffffff;
  running_slot().state = slot_state::queued;
  _exit(0);
}
TEST(HostileCall, CannotMakeThePoolBelieveThatWorkersDoNotStart) {
  process_pool_executor pool(hostile_pool());
  for (int round = 0; round < 4; ++round)
    EXPECT_THROW(pool.submit(claims_not_to_live, 1).get(), plait::worker_crashed);
  EXPECT_TRUE(recovers(pool));
}

// The calls queued at a worker are in its hands; their futures must end all the same.
TEST(HostileCall, ThatScribblesOverAllSlotsLeavesNoFutureWaiting) {
  process_pool_executor pool(hostile_pool());
  for (const auto state : {77u, 2u, 3u, 4u, 5u, 6u, 0u}) {
    std::vector<plait::future<int>> calls;
    calls.push_back(pool.submit(
        [](unsigned to_store) -> int {
          std::this_thread::sleep_for(1ms);  // let some be queued; none is right as well
          for (slot& s : own_channel->slots) {
            s.state = static_cast<slot_state>(to_store);
            s.size = 0xfffffffffffffff0;
            s.offset = 0xfffffff0;
            s.attached = 3;
            s.where = static_cast<tier>(to_store % 4);
          }
          _exit(0);
        },
        state));
    for (int i = 0; i < 20; ++i) calls.push_back(pool.submit(healthy, i));
    for (auto& f : calls) {
      try {
        f.get();
      } catch (const std::exception&) {
      }
      EXPECT_TRUE(f.done());
    }
    EXPECT_TRUE(recovers(pool)) << state;
  }
}

int hangs_as_unknown(int) {
  running_slot().state = static_cast<slot_state>(77);
  for (;;) pause();
}
TEST(HostileCall, ThatHangsWithADamagedStateIsEndedByDeadlineAndKill) {
  process_pool_executor pool(hostile_pool());
  // Whoever comes first: the deadline, or the pool that sees the state.
  EXPECT_THROW(pool.with({.deadline = 50ms}).submit(hangs_as_unknown, 1).get(), plait::error);
  auto call = pool.submit(hangs_as_unknown, 1);
  pool.kill(call);
  EXPECT_ANY_THROW(call.get());
  EXPECT_TRUE(recovers(pool));
}

// Answers by itself, as hostile code would: a result in a descriptor of its own choosing.
void answer_with(int fd, std::uint64_t size, std::uint8_t attached) {
  slot& s = running_slot();
  auto sequence = static_cast<std::uint32_t>(&s - own_channel->slots);
  iovec data{&sequence, sizeof sequence};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  sendmsg(pool_socket, &message, 0);
  s.size = size;
  s.where = attached == 0 ? tier::in_memfd : tier::in_slot;
  s.attached = attached;
  const plait::detail::message_place place{99, size, 0};
  std::memcpy(s.bytes, &place, sizeof place);
  s.check = plait::detail::checksum(plait::detail::message_head::of(s), slot_state::done, sequence,
                                    s.bytes);
  s.state = slot_state::done;
}
template <class Make>
int answers_with(Make make, std::uint64_t size, std::uint8_t attached) {
  answer_with(make(), size, attached);
  _exit(0);
}
int small_file() {
  const int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return ftruncate(fd, 4096) == 0 ? fd : -1;
}
int endless_file() {
  const int fd = memfd_create("x", MFD_CLOEXEC);
  return ftruncate(fd, std::int64_t{1} << 50) == 0 ? fd : -1;
}
int silent_pipe() {
  int fds[2];
  return pipe(fds) == 0 ? fds[0] : -1;
}

TEST(HostileCall, CannotHarmThePoolByTheFileThatItsAnswerIsIn) {
  process_pool_executor pool(hostile_pool());
  const auto short_one = [](int) { return answers_with(small_file, 1 << 20, 0); };
  const auto endless = [](int) { return answers_with(endless_file, std::uint64_t{1} << 50, 0); };
  const auto pipe = [](int) { return answers_with(silent_pipe, 4096, 0); };
  const auto bell = [](int) { return answers_with([] { return doorbell; }, 4096, 0); };
  for (int (*act)(int) : {+short_one, +endless, +pipe, +bell}) {
    EXPECT_THROW(pool.submit(act, 1).get(), plait::serialization_error);
    EXPECT_TRUE(recovers(pool));
  }
  const auto unsealed = [](int n) {
    answers_with(small_file, 16, 1);
    return plait::shared_array<int>(static_cast<std::size_t>(n));
  };
  EXPECT_THROW(pool.submit(unsealed, 1).get(), plait::serialization_error);
  EXPECT_TRUE(recovers(pool));
}

// A message that changes while it is read is the worker's own affair, for it has been copied; here the
// file shrinks as fast as it can.
TEST(HostileCall, CannotCutItsAnswerWhileItIsRead) {
  const auto cuts = [](int) -> std::string {
    const int fd = memfd_create("x", MFD_CLOEXEC);
    const std::uint64_t size = 8 << 20;
    if (ftruncate(fd, size) != 0) std::abort();
    std::thread([fd, size] {
      for (;;)
        if (ftruncate(fd, 0) != 0 || ftruncate(fd, size) != 0) std::abort();
    }).detach();
    // The answer goes out, but the process lives on and cuts.
    answer_with(fd, size, 0);
    const std::uint64_t one = 1;
    if (write(doorbell, &one, sizeof one) < 0) std::abort();
    for (;;) pause();
  };
  for (int round = 0; round < 5; ++round) {
    process_pool_executor pool(hostile_pool());
    try {
      pool.submit(cuts, 1).get();  // zeros are a string
    } catch (const plait::serialization_error&) {
    }
    pool.terminate_workers();
  }
}

}  // namespace
