// src/advise/observe/proc_file.hpp: the small files of /proc, once or again and again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plait::detail {

// The whole of a file that has no length; empty if it cannot be read. errno says why.
std::string read_whole(const char* path);
std::string read_whole(const std::string& path);
std::string link_target(const std::string& path);
// The numbers that are the names in a folder such as /proc/PID/task; empty if it is gone.
std::vector<int> numbers_in(const std::string& folder);

// A file that is kept open and read from its beginning each time: 0.3 to 0.8 us instead of 3.
class proc_file {
 public:
  proc_file() = default;
  explicit proc_file(const std::string& path);
  proc_file(proc_file&& other) noexcept;
  proc_file& operator=(proc_file&& other) noexcept;
  ~proc_file();

  bool is_open() const noexcept { return fd_ >= 0; }
  // What stands there now, up to the buffer's size; empty once the process is gone.
  std::string_view read(char* buffer, std::size_t size) const;
  void close() noexcept;

 private:
  int fd_ = -1;
};

// The next number of a text, decimal or 0x hexadecimal; the text moves behind it. 0 if there is none.
std::int64_t next_number(std::string_view& text);

double monotonic_seconds();
double own_thread_cpu_seconds();

}  // namespace plait::detail
