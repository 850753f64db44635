#include "plait/net/run_command.hpp"

#include "net/launch.hpp"

namespace plait::net {
namespace {

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of("\r\n \t");
  if (end == std::string::npos) return {};
  const std::size_t start = text.find_last_of('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1) + 1);
}

}  // namespace

task<completed> run_command(command what, std::string input, communicate_options options) {
  detail::launch::collect_streams(what, !input.empty());
  auto child = subprocess::start(what);  // killed when this flow is stopped, or throws
  co_return co_await child.communicate(std::move(input), options);
}

task<std::string> output_of(command what, std::string input, communicate_options options) {
  completed done = co_await run_command(what, std::move(input), options);
  if (!done.status.success()) {
    std::string text = what.to_string() + ": " + done.status.to_string();
    if (const std::string said = last_line(done.err); !said.empty()) text += ": " + said;
    throw command_failed(text, done.status);
  }
  co_return std::move(done.out);
}

}  // namespace plait::net
