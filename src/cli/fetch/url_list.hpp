// src/cli/fetch/url_list.hpp: the URLs to fetch, one after another, however many there are.
//
// First those of the command line, then the lines of files and of standard input ("-"). Blank lines
// and lines that begin with # are left out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plait/coroutines/task.hpp"

namespace plait::cli::fetch {

class url_list {
 public:
  // Opens every file, so that one that is missing is said before anything is fetched.
  url_list(std::vector<std::string> urls, std::vector<std::string> files);
  url_list(const url_list&) = delete;
  ~url_list();

  // By one flow at a time. Nothing at the end.
  task<std::optional<std::string>> next();
  // On the loop that next() ran on, before its end.
  void close() noexcept;
  // How many there are in all, once that is known: at once unless standard input is read.
  std::optional<std::uint64_t> total() const noexcept;

 private:
  class lines;
  task<std::optional<std::string>> next_line();

  std::vector<std::string> urls_;
  std::size_t given_ = 0;
  std::vector<std::unique_ptr<lines>> files_;
  std::size_t current_ = 0;
  std::uint64_t counted_ = 0;   // in files whose lines could be counted before
  std::uint64_t streamed_ = 0;  // read from others
  bool all_counted_ = true, ended_ = false;
};

}  // namespace plait::cli::fetch
