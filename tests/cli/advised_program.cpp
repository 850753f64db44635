// Programs that `plait advise` is asked about: advised_program WHAT [ARGUMENT]. Each goes on until it is ended.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace {

volatile unsigned long sink;

void compute(int rounds) {
  for (int i = 0; i < rounds; ++i) sink = sink + static_cast<unsigned long>(i);
}

// An answer to each byte, 20 ms later; the port is told on standard error.
void serve() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 16) != 0)
    std::abort();
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (;;) {
    const int client = accept(listener, nullptr, nullptr);
    std::thread([client] {
      for (char byte; read(client, &byte, 1) == 1;) {
        const timespec pause{0, 20'000'000};
        nanosleep(&pause, nullptr);
        if (write(client, &byte, 1) != 1) break;
      }
      close(client);
    }).detach();
  }
}

void ask(int port) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  for (char byte = 'x';;)
    if (write(server, &byte, 1) != 1 || read(server, &byte, 1) != 1) return;
}

void fight_for_a_lock() {
  static std::mutex lock;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] {
      for (;;) {
        const std::lock_guard held(lock);
        compute(300'000);
      }
    });
  for (auto& thread : threads) thread.join();
}

void sync_a_file(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  char block[4096] = {1};
  while (pwrite(file, block, sizeof block, 0) == sizeof block) fsync(file);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "compute")
    for (;;) compute(1'000'000);
  if (what == "lock") fight_for_a_lock();
  if (what == "serve") serve();
  if (what == "ask" && argc > 2) ask(std::atoi(argv[2]));
  if (what == "sync" && argc > 2) sync_a_file(argv[2]);
  return 3;
}
