// The numbered modules of a process in shared memory: written by it, read by its pools' workers.
//
// Records only follow one another, and `count` is stored behind them; what a reader has seen stays.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "processes/descriptor.hpp"
#include "processes/module_table.hpp"

namespace plait::detail {

inline constexpr std::size_t module_list_size = 128 * 1024;  // a module takes about 100 bytes

struct module_list_page {
  std::atomic<std::uint32_t> count;
  char records[module_list_size - sizeof(std::uint32_t)];
};

class module_list_writer {
 public:
  module_list_writer();  // throws std::system_error
  module_list_writer(const module_list_writer&) = delete;
  ~module_list_writer();
  // Without room the module stays unknown to the workers, and they say so.
  void add(const module_identity& module) noexcept;
  int file() const noexcept { return file_.get(); }

 private:
  descriptor file_;
  module_list_page* page_;
  std::size_t used_ = 0;
};

class module_list_reader {
 public:
  explicit module_list_reader(descriptor file);  // throws std::system_error
  // The next one, if there is one by now.
  std::optional<module_identity> next();

 private:
  const module_list_page* page_;  // as long as the process
  std::uint32_t taken_ = 0;
  std::size_t used_ = 0;
};

}  // namespace plait::detail
