// Programs whose bottleneck is known, in C++: `targets NAME`. Each runs until it is ended.
//
// The server that some of them talk to is PORT in the environment (matrix.py starts it): it answers
// a line "DELAY_MS\n" with a line, after that many milliseconds.
#include <arpa/inet.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

volatile std::uint64_t sink;

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
void compute(double seconds) {
  const double end = thread_seconds() + seconds;
  std::uint64_t x = 1;
  while (thread_seconds() < end)
    for (int i = 0; i < 5000; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  sink = x;
}

int connected() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(std::getenv("PORT"))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) std::exit(9);
  return s;
}
void must(bool ok) {
  if (!ok) std::exit(8);
}
void ask(int s, int milliseconds) {
  char line[64];
  const int n = std::snprintf(line, sizeof line, "%d\n", milliseconds);
  must(write(s, line, static_cast<std::size_t>(n)) == n);
  must(read(s, line, sizeof line) > 0);
}

template <class F>
void in_threads(int count, F f) {
  std::vector<std::jthread> all;
  for (int i = 0; i < count; ++i)
    all.emplace_back([f, i] {
      for (;;) f(i);
    });
}

std::string scratch_file(std::size_t mebibytes) {
  std::string name = "./scratch-XXXXXX";
  const int file = mkstemp(name.data());
  must(file >= 0);
  const std::vector<char> block(1 << 20, 'x');
  for (std::size_t i = 0; i < mebibytes; ++i) must(write(file, block.data(), block.size()) > 0);
  fsync(file);
  close(file);
  return name;
}

void sequential_requests() {
  const int s = connected();
  for (;;) ask(s, 8);
}
void connection_a_request() {
  for (;;) {
    const int s = connected();
    ask(s, 12);
    close(s);
  }
}
void epoll_requests() {
  const int poller = epoll_create1(0);
  for (int i = 0; i < 300; ++i) {
    const int s = connected();
    epoll_event e{.events = EPOLLIN, .data = {.fd = s}};
    epoll_ctl(poller, EPOLL_CTL_ADD, s, &e);
    must(write(s, "250\n", 4) == 4);
  }
  for (;;) {
    epoll_event ready[64];
    const int n = epoll_wait(poller, ready, 64, -1);
    for (int i = 0; i < n; ++i) {
      char line[64];
      must(read(ready[i].data.fd, line, sizeof line) > 0);
      must(write(ready[i].data.fd, "250\n", 4) == 4);
    }
  }
}
void upload_to_slow_reader() {
  // "drip" makes the server read 64 KiB every 50 ms.
  const int s = connected();
  must(write(s, "drip\n", 5) == 5);
  const std::vector<char> block(1 << 20, 'x');
  for (;;) must(write(s, block.data(), block.size()) > 0);
}
void two_threads() {
  in_threads(2, [](int) { compute(0.05); });
}
void sixteen_threads() {
  in_threads(16, [](int) { compute(0.05); });
}
void one_thread_in_a_pool() {
  std::mutex m;
  std::condition_variable wake;
  std::deque<int> work;
  std::vector<std::jthread> pool;
  for (int i = 0; i < 8; ++i)
    pool.emplace_back([&] {
      for (;;) {
        std::unique_lock held(m);
        wake.wait(held, [&] { return !work.empty(); });
        work.pop_front();
      }
    });
  for (;;) {
    compute(0.02);
    const std::lock_guard held(m);
    work.push_back(1);
    wake.notify_one();
  }
}
void spin_lock() {
  std::atomic_flag held;
  in_threads(4, [&](int) {
    while (held.test_and_set(std::memory_order_acquire)) __builtin_ia32_pause();
    compute(0.0005);
    held.clear(std::memory_order_release);
  });
}
void mutex_around_work() {
  std::mutex m;
  in_threads(3, [&](int) {
    {
      const std::lock_guard held(m);
      compute(0.002);
    }
    compute(0.0001);
  });
}
void queue_behind_producer() {
  std::mutex m;
  std::condition_variable wake;
  std::deque<int> work;
  std::vector<std::jthread> consumers;
  for (int i = 0; i < 3; ++i)
    consumers.emplace_back([&] {
      for (;;) {
        {
          std::unique_lock held(m);
          wake.wait(held, [&] { return !work.empty(); });
          work.pop_front();
        }
        compute(0.0003);
      }
    });
  for (;;) {
    compute(0.003);
    {
      const std::lock_guard held(m);
      work.push_back(1);
    }
    wake.notify_one();
  }
}
void memory_bandwidth() {
  in_threads(2, [](int) {
    static thread_local std::vector<char> from(256 << 20, 1), to(256 << 20);
    std::memcpy(to.data(), from.data(), from.size());
    sink = static_cast<unsigned char>(to[from.size() / 2]);
  });
}
void direct_reads() {
  const std::string name = scratch_file(256);
  const int file = open(name.c_str(), O_RDONLY | O_DIRECT);
  unlink(name.c_str());
  must(file >= 0);
  void* block = std::aligned_alloc(4096, 4096);
  std::minstd_rand random(1);
  for (;;)
    must(pread(file, block, 4096, static_cast<off_t>(random() % (256 * 256)) * 4096) == 4096);
}
void four_synced_writers() {
  in_threads(4, [](int) {
    static thread_local int file = -1;
    if (file < 0) {
      std::string name = "./scratch-XXXXXX";
      file = mkstemp(name.data());
      unlink(name.c_str());
    }
    char block[512] = {};
    must(write(file, block, sizeof block) > 0);
    fdatasync(file);
  });
}
void timers() {
  const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  const itimerspec every{.it_interval = {0, 20'000'000}, .it_value = {0, 20'000'000}};
  timerfd_settime(timer, 0, &every, nullptr);
  std::uint64_t count;
  for (;;) must(read(timer, &count, sizeof count) == sizeof count);
}
void child_that_computes() {
  int ends[2];
  must(pipe(ends) == 0);
  if (fork() == 0) {
    for (;;) {
      compute(0.01);
      must(write(ends[1], "x", 1) == 1);
    }
  }
  char c;
  for (;;) must(read(ends[0], &c, 1) == 1);
}
void semaphore_around_request() {
  static sem_t one;
  sem_init(&one, 0, 1);
  static const int s = connected();
  in_threads(8, [](int) {
    sem_wait(&one);
    ask(s, 6);
    sem_post(&one);
  });
}
void async_one_by_one() {
  for (;;) std::async(std::launch::async, compute, 0.005).get();
}
void local_server_that_computes() {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  char c = 'x';
  if (fork() == 0) {
    for (;;) {
      must(read(ends[1], &c, 1) == 1);
      compute(0.001);
      must(write(ends[1], &c, 1) == 1);
    }
  }
  for (;;) {
    must(write(ends[0], &c, 1) == 1);
    must(read(ends[0], &c, 1) == 1);
  }
}
void idle_pool() {
  std::mutex m;
  std::condition_variable wake;
  std::vector<std::jthread> pool;
  for (int i = 0; i < 12; ++i)
    pool.emplace_back([&] {
      std::unique_lock held(m);
      for (;;) wake.wait(held);
    });
  pause();
}
void one_thread() {
  for (;;) compute(0.1);
}
void barrier_with_a_straggler() {
  pthread_barrier_t together;
  pthread_barrier_init(&together, nullptr, 4);
  in_threads(4, [&](int i) {
    compute(i == 0 ? 0.02 : 0.0005);
    pthread_barrier_wait(&together);
  });
}
void requests_and_work() {
  const int s = connected();
  for (;;) {
    ask(s, 10);
    compute(0.010);
  }
}

const std::map<std::string, void (*)()> programs = {
    {"sequential_requests", sequential_requests},
    {"connection_a_request", connection_a_request},
    {"epoll_requests", epoll_requests},
    {"upload_to_slow_reader", upload_to_slow_reader},
    {"two_threads", two_threads},
    {"sixteen_threads", sixteen_threads},
    {"one_thread_in_a_pool", one_thread_in_a_pool},
    {"spin_lock", spin_lock},
    {"mutex_around_work", mutex_around_work},
    {"queue_behind_producer", queue_behind_producer},
    {"memory_bandwidth", memory_bandwidth},
    {"direct_reads", direct_reads},
    {"four_synced_writers", four_synced_writers},
    {"timers", timers},
    {"child_that_computes", child_that_computes},
    {"semaphore_around_request", semaphore_around_request},
    {"async_one_by_one", async_one_by_one},
    {"local_server_that_computes", local_server_that_computes},
    {"idle_pool", idle_pool},
    {"one_thread", one_thread},
    {"barrier_with_a_straggler", barrier_with_a_straggler},
    {"requests_and_work", requests_and_work},
};

}  // namespace

int main(int count, char** arguments) {
  const auto found = count == 2 ? programs.find(arguments[1]) : programs.end();
  if (found == programs.end()) {
    for (const auto& [name, run] : programs) std::puts(name.c_str());
    return 2;
  }
  found->second();
}
