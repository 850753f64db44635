// The client that every echo server meets: keeps `depth` messages of 64 bytes in flight on each
// connection. usage: echo_client PORT [CONNECTIONS [DEPTH [SECONDS]]]; the first fifth of the time
// is not counted.
#include <cerrno>
#include <utility>
#include <vector>

#include "../measurement.hpp"
#include "loopback.hpp"

namespace {

constexpr std::size_t message_bytes = 64;
char buffer[1 << 18];

struct connection {
  int descriptor = -1;
  std::size_t partial = 0;  // bytes of a message that has not arrived whole
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "echo_client: %s\n", what);
  std::exit(1);
}

void send_messages(connection& to, std::size_t count) {
  const auto bytes = static_cast<ssize_t>(count * message_bytes);
  if (write(to.descriptor, buffer, count * message_bytes) != bytes) fail("short write");
}

std::vector<connection> connect_all(int epoll, int port, int count) {
  std::vector<connection> connections(static_cast<std::size_t>(count));
  const sockaddr_in to = loopback::address(port);
  for (auto& made : connections) {
    made.descriptor = loopback::must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    loopback::must(connect(made.descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to),
                   "connect");
    loopback::no_delay(made.descriptor);
    fcntl(made.descriptor, F_SETFL, O_NONBLOCK);
    loopback::watch(epoll, made.descriptor, EPOLLIN, {.ptr = &made}, EPOLL_CTL_ADD);
  }
  return connections;
}

// Reads what has come and sends as many messages as came back whole. Returns their number.
long turn_around(connection& ready) {
  const ssize_t got = read(ready.descriptor, buffer, sizeof buffer);
  if (got < 0 && errno == EAGAIN) return 0;
  if (got <= 0) fail("the server closed a connection");
  ready.partial += static_cast<std::size_t>(got);
  const std::size_t whole = ready.partial / message_bytes;
  ready.partial %= message_bytes;
  if (whole != 0) send_messages(ready, whole);
  return static_cast<long>(whole);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: echo_client PORT [CONNECTIONS [DEPTH [SECONDS]]]");
  const int count = argc > 2 ? std::atoi(argv[2]) : 100;
  const int depth = argc > 3 ? std::atoi(argv[3]) : 1;
  const double seconds = argc > 4 ? std::atof(argv[4]) : 1.5;
  const int epoll = epoll_create1(0);
  auto connections = connect_all(epoll, std::atoi(argv[1]), count);
  for (auto& made : connections) send_messages(made, static_cast<std::size_t>(depth));

  const double begun = measurement::wall_now();
  measurement::stopwatch watch;
  bool warm = false;
  long echoed = 0;
  long warming = 0;
  epoll_event events[256];
  for (double now = begun; now - begun < seconds; now = measurement::wall_now()) {
    if (!warm && now - begun > seconds / 5) {
      warm = true;
      warming = std::exchange(echoed, 0);
      watch = {};
    }
    const int ready = epoll_wait(epoll, events, 256, 1000);
    if (ready <= 0) fail("no answer for a second");
    for (int i = 0; i < ready; ++i)
      echoed += turn_around(*static_cast<connection*>(events[i].data.ptr));
  }
  const measurement::lap total = watch.read();
  measurement::report("echo", "client", static_cast<double>(echoed), total,
                      {{"per_second", static_cast<double>(echoed) / total.seconds},
                       {"all", static_cast<double>(warming + echoed)}});
}
