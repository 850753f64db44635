#include "cli/fetch/url_list.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/exit_status.hpp"
#include "plait/net/buffered_reader.hpp"
#include "plait/net/pipe.hpp"

namespace plait::cli::fetch {
namespace {

constexpr std::size_t longest_line = 64 * 1024;

bool is_url_line(std::string_view line) noexcept {
  const auto first = line.find_first_not_of(" \t\r");
  return first != std::string_view::npos && line[first] != '#';
}

// How many URLs a regular file has.
std::uint64_t count_lines(int fd) {
  std::uint64_t count = 0;
  bool at_start = true;  // of a line, blanks left out
  char buffer[64 * 1024];
  off_t at = 0;
  for (ssize_t n; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n) {
    for (ssize_t i = 0; i < n; ++i) {
      const char c = buffer[i];
      if (c == '\n') {
        at_start = true;
      } else if (at_start && c != ' ' && c != '\t' && c != '\r') {
        count += c != '#';
        at_start = false;
      }
    }
  }
  return count;
}

}  // namespace

// The lines of one file or of standard input.
class url_list::lines {
 public:
  explicit lines(std::string name) : name_(std::move(name)) {
    if (name_ == "-") {
      name_ = "standard input";
      source_ = net::standard_input();
      return;
    }
    const int fd = open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
      throw complaint(exit_status::usage,
                      fmt::format("cannot read the list {}: {}", name_, std::strerror(errno)));
    struct stat status {};
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) counted_ = count_lines(fd);
    source_ = net::pipe_reader::adopt(fd);
  }
  std::optional<std::uint64_t> counted() const noexcept { return counted_; }

  task<std::optional<std::string>> next() {
    for (;;) {
      ++number_;
      std::optional<std::string> line;
      bool too_long = false;
      try {
        line = co_await reader_.read_line(longest_line);
      } catch (const net::limit_exceeded&) {
        too_long = true;
      }
      if (too_long)
        throw complaint(exit_status::usage,
                        fmt::format("line {} of {} has more than {} bytes: is it a list of URLs?",
                                    number_, name_, longest_line));
      if (!line || is_url_line(*line)) co_return line;
    }
  }

 private:
  std::string name_;
  net::pipe_reader source_;
  net::buffered_reader<net::pipe_reader> reader_{source_, 64 * 1024};
  std::optional<std::uint64_t> counted_;
  std::uint64_t number_ = 0;
};

url_list::url_list(std::vector<std::string> urls, std::vector<std::string> files)
    : urls_(std::move(urls)) {
  for (auto& name : files) {
    const auto& opened = files_.emplace_back(std::make_unique<lines>(std::move(name)));
    counted_ += opened->counted().value_or(0);
    all_counted_ = all_counted_ && opened->counted();
  }
}
url_list::~url_list() = default;

task<std::optional<std::string>> url_list::next() {
  if (given_ < urls_.size()) co_return urls_[given_++];
  for (; current_ < files_.size(); ++current_) {
    auto line = co_await files_[current_]->next();
    if (!line) continue;
    if (!files_[current_]->counted()) ++streamed_;
    co_return line;
  }
  ended_ = true;
  co_return std::nullopt;
}

void url_list::close() noexcept { files_.clear(); }

std::optional<std::uint64_t> url_list::total() const noexcept {
  if (!all_counted_ && !ended_) return std::nullopt;
  return urls_.size() + counted_ + streamed_;
}

}  // namespace plait::cli::fetch
