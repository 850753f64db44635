// plait/testing/tally.hpp: counts which calls have run, and how often, in any process.
//
// A file to which each call appends its number in one write; the kernel keeps appends apart.
// Threads:  any. Cost: three system calls a note.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "plait/testing/gate.hpp"

namespace plait::testing {

class tally {
 public:
  tally() : path_(folder_.path() + "/tally") { std::ofstream(path_, std::ios::binary); }
  const std::string& name() const noexcept { return path_; }

  // For calls.
  static void note(const std::string& name, std::int64_t number) {
    open_file(name, O_WRONLY | O_APPEND).write(&number, sizeof number);
  }

  // How often each of 0..size-1 was noted. A number outside is an error of the test.
  std::vector<int> counts(std::size_t size) const {
    std::vector<int> result(size);
    std::ifstream file(path_, std::ios::binary);
    for (std::int64_t number; file.read(reinterpret_cast<char*>(&number), sizeof number);)
      ++result.at(static_cast<std::size_t>(number));
    return result;
  }
  std::size_t total() const { return std::filesystem::file_size(path_) / sizeof(std::int64_t); }

 private:
  temporary_folder folder_;
  std::string path_;
};

}  // namespace plait::testing
