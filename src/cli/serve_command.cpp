// plait serve: the embedded HTTP server alone, until SIGINT or SIGTERM.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <system_error>
#include <thread>

#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/interruption.hpp"
#include "cli/machine.hpp"
#include "plait/coroutines.hpp"
#include "plait/http/httpbin.hpp"
#include "plait/http/server.hpp"

namespace plait::cli {
namespace {

// As many connections as the server is made for; the limit on descriptors is raised to it if allowed.
constexpr std::size_t wanted_connections = 20'000;
constexpr std::size_t other_descriptors = 32;

struct serve_options {
  std::uint16_t port = 0;
  std::string address = "127.0.0.1";
  std::size_t connections = wanted_connections;
  int parent = 0;
};

// Becomes readable when the server has ended by itself.
class end_signal {
 public:
  end_signal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~end_signal() { close(fd_); }
  end_signal(const end_signal&) = delete;
  end_signal& operator=(const end_signal&) = delete;
  int fd() const noexcept { return fd_; }
  void raise() const noexcept { eventfd_write(fd_, 1); }

 private:
  int fd_;
};

http::server bind_server(const serve_options& options) {
  const auto limit = raise_descriptor_limit(options.connections + other_descriptors);
  const std::size_t room = limit.now > other_descriptors ? limit.now - other_descriptors : 1;
  try {
    return http::server({.address = options.address,
                         .port = options.port,
                         .max_connections = std::min(options.connections, room),
                         .drain = std::chrono::seconds(1)},
                        http::httpbin());
  } catch (const error& e) {
    throw complaint(exit_status::usage, fmt::format("{}; choose another --port, or --port 0 for a "
                                                    "free one, and an --address of this machine",
                                                    e.what()));
  }
}

void announce(const http::server& server) {
  const std::string line = "listening on " + server.url() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0)
    throw complaint(exit_status::usage,
                    "cannot write the address to standard output; send it to a file or a terminal");
}

exit_status serve(const serve_options& options) {
  if (options.parent != 0) die_with_parent(options.parent);
  const interruption stop;
  http::server server = bind_server(options);
  announce(server);

  const end_signal ended;
  event_loop loop;
  auto serving = loop.spawn(server.serve());
  serving.add_done_callback([&](const auto&) { ended.raise(); });
  std::thread thread([&] { loop.run(); });
  pollfd fds[] = {{stop.fd(), POLLIN, 0}, {ended.fd(), POLLIN, 0}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  const bool asked_to_stop = fds[0].revents != 0;
  serving.cancel();
  loop.shutdown();
  thread.join();
  if (asked_to_stop) {
    (void)serving.exception();  // cancelled, as it was told
    return exit_status::ok;
  }
  try {
    serving.get();
  } catch (const std::exception& e) {
    throw complaint(exit_status::failed, std::string("the server ended: ") + e.what());
  }
  return exit_status::ok;
}

}  // namespace

void add_serve_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<serve_options>();
  auto* command = tool.add_subcommand(
      "serve",
      "Run the embedded HTTP server: /get /delay/SECONDS /bytes/N /status/CODE /redirect/N");
  command->add_option("--port", options->port, "Port to listen on; 0 takes a free one")
      ->capture_default_str();
  command
      ->add_option("--address", options->address, "Numeric address to listen on; 0.0.0.0 for all")
      ->capture_default_str();
  command->add_option("--connections", options->connections, "Most connections at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--parent", options->parent)->group("");
  command->footer(
      "Prints `listening on http://ADDRESS:PORT` and answers until SIGINT or SIGTERM, which end it "
      "in\n"
      "order: requests under way get up to a second for their answers.");
  command->callback([options, &chosen] { chosen = [options] { return serve(*options); }; });
}

}  // namespace plait::cli
