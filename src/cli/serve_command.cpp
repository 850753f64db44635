// plait serve: the embedded HTTP server alone, with httpbin's pages or a folder's files, until SIGINT or SIGTERM.
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
#include <utility>
#include <vector>

#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/interruption.hpp"
#include "cli/machine.hpp"
#include "plait/coroutines.hpp"
#include "plait/http/httpbin.hpp"
#include "plait/http/server.hpp"
#include "plait/http/static_files.hpp"
#include "plait/threads/cpu_count.hpp"

namespace plait::cli {
namespace {

// As many connections as the server is made for; the limit on descriptors is raised to it if allowed.
constexpr std::size_t wanted_connections = 20'000;
constexpr std::size_t other_descriptors = 32;

struct serve_options {
  std::string folder;  // empty: httpbin's pages
  std::uint16_t port = 0;
  std::string address = "127.0.0.1";
  std::size_t connections = wanted_connections;
  std::size_t threads = 1;
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

http::server::handler pages_of(const serve_options& options) {
  if (options.folder.empty()) return http::httpbin();
  try {
    return http::static_files(options.folder, {.folders = http::folder_page::listed});
  } catch (const http::error& e) {
    throw complaint(exit_status::usage, e.what());
  }
}

// A server for each loop, all on one port; the kernel deals out the connections.
std::vector<http::server> bind_servers(const serve_options& options, std::size_t loops) {
  const auto limit = raise_descriptor_limit(options.connections + other_descriptors * loops);
  const std::size_t reserved = other_descriptors * loops;
  const std::size_t room = limit.now > reserved ? limit.now - reserved : 1;
  http::server_options wanted{
      .address = options.address,
      .port = options.port,
      .reuse_port = loops > 1,
      .max_connections = std::max<std::size_t>(1, std::min(options.connections, room) / loops),
      .drain = std::chrono::seconds(1)};
  std::vector<http::server> servers;
  const auto answer = pages_of(options);
  try {
    for (std::size_t i = 0; i < loops; ++i) {
      servers.emplace_back(wanted, answer);
      wanted.port = servers.front().port();
    }
    return servers;
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
  const end_signal ended;
  const std::size_t threads = options.threads != 0 ? options.threads : usable_cpu_count();
  auto servers = bind_servers(options, threads);
  announce(servers.front());
  event_loop_group loops({.loops = threads, .thread_name_prefix = "plait-serve"});
  std::vector<future<>> serving;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    serving.push_back(loops.loop(i).spawn(servers[i].serve(), {.name = "HTTP server"}));
    serving.back().add_done_callback([&](const auto&) { ended.raise(); });
  }
  pollfd fds[] = {{stop.fd(), POLLIN, 0}, {ended.fd(), POLLIN, 0}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  const bool asked_to_stop = fds[0].revents != 0;
  for (auto& one : serving) one.cancel();
  loops.shutdown();
  std::string why;  // of the first that was not cancelled
  for (auto& one : serving) {
    try {
      one.get();
    } catch (const cancelled_error&) {  // as it was told
    } catch (const std::exception& e) {
      if (why.empty()) why = e.what();
    }
  }
  if (!asked_to_stop) throw complaint(exit_status::failed, "the server ended: " + why);
  return exit_status::ok;
}

}  // namespace

void add_serve_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<serve_options>();
  auto* command = tool.add_subcommand("serve",
                                      "Run the embedded HTTP server: a folder's files, or /get "
                                      "/delay/SECONDS /bytes/N /status/CODE "
                                      "/redirect/N");
  command->add_option(
      "folder", options->folder,
      "Folder whose files to serve, with lists of names; without it: httpbin's pages");
  command->add_option("--port", options->port, "Port to listen on; 0 takes a free one")
      ->capture_default_str();
  command
      ->add_option("--address", options->address, "Numeric address to listen on; 0.0.0.0 for all")
      ->capture_default_str();
  command->add_option("--connections", options->connections, "Most connections at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--threads", options->threads,
                   "Event loops, each on a thread of its own; 0: one for each CPU")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--parent", options->parent)->group("");
  command->footer(
      "Prints `listening on http://ADDRESS:PORT` and answers until SIGINT or SIGTERM, which end it "
      "in\n"
      "order: requests under way get up to a second for their answers.");
  command->callback([options, &chosen] { chosen = [options] { return serve(*options); }; });
}

}  // namespace plait::cli
