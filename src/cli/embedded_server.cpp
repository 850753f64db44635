#include "cli/embedded_server.hpp"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <string_view>

#include "cli/exit_status.hpp"

namespace plait::cli {
namespace {

constexpr std::chrono::seconds start_limit{10};
constexpr std::string_view announcement = "listening on ";

}  // namespace

embedded_server::embedded_server(const interruption& stop)
    : process_({own_path(), "serve", "--port", "0", "--parent", std::to_string(getpid())}) {
  const auto deadline = std::chrono::steady_clock::now() + start_limit;
  for (;;) {
    process_.read_available();
    const auto end = process_.out().find('\n');
    if (end != std::string::npos && process_.out().starts_with(announcement)) {
      url_ = process_.out().substr(announcement.size(), end - announcement.size());
      return;
    }
    if (process_.ended())
      throw complaint(exit_status::usage, "the embedded server did not start: " + process_.err() +
                                              "; name another one with --url http://HOST:PORT");
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      throw complaint(exit_status::usage,
                      "the embedded server did not start within 10 s; is this "
                      "machine very busy? Try again, or use --url");
    pollfd fds[] = {
        {stop.fd(), POLLIN, 0}, {process_.out_fd(), POLLIN, 0}, {process_.exit_fd(), POLLIN, 0}};
    poll(fds, 3, static_cast<int>(left.count()));
    if (fds[0].revents != 0) throw complaint(exit_status::interrupted, "interrupted");
  }
}

}  // namespace plait::cli
