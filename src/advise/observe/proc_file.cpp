#include "advise/observe/proc_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace plait::detail {

std::string read_whole(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  char block[4096];
  for (ssize_t n; (n = read(fd, block, sizeof block)) > 0 && text.size() < (1u << 22);)
    text.append(block, static_cast<std::size_t>(n));
  const int why = errno;
  close(fd);
  errno = why;
  return text;
}

std::string read_whole(const std::string& path) { return read_whole(path.c_str()); }

std::string link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t n = readlink(path.c_str(), target, sizeof target);
  return n > 0 ? std::string(target, static_cast<std::size_t>(n)) : std::string();
}

std::vector<int> numbers_in(const std::string& folder) {
  std::vector<int> numbers;
  DIR* open_folder = opendir(folder.c_str());
  if (open_folder == nullptr) return numbers;
  while (const dirent* entry = readdir(open_folder))
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
      numbers.push_back(std::atoi(entry->d_name));
  closedir(open_folder);
  return numbers;
}

proc_file::proc_file(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
proc_file::proc_file(proc_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
proc_file& proc_file::operator=(proc_file&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
proc_file::~proc_file() { close(); }

void proc_file::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::string_view proc_file::read(char* buffer, std::size_t size) const {
  const ssize_t n = fd_ < 0 ? -1 : pread(fd_, buffer, size, 0);
  return n > 0 ? std::string_view(buffer, static_cast<std::size_t>(n)) : std::string_view();
}

std::int64_t next_number(std::string_view& text) {
  const auto begin = text.find_first_of("-0123456789");
  if (begin == text.npos) {
    text = {};
    return 0;
  }
  text.remove_prefix(begin);
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  std::uint64_t value = 0;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    while (!text.empty() && digit(text.front()) >= 0) {
      value = value * 16 + static_cast<std::uint64_t>(digit(text.front()));
      text.remove_prefix(1);
    }
  } else {
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      value = value * 10 + static_cast<std::uint64_t>(text.front() - '0');
      text.remove_prefix(1);
    }
  }
  return static_cast<std::int64_t>(negative ? 0 - value : value);
}

namespace {
double seconds_of(clockid_t which) {
  timespec now{};
  clock_gettime(which, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
}  // namespace

double monotonic_seconds() { return seconds_of(CLOCK_MONOTONIC); }
double own_thread_cpu_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace plait::detail
