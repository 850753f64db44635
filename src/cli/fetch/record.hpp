// src/cli/fetch/record.hpp: what became of one URL, as a line of JSON; and the journal of such lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace plait::cli::fetch {

struct record {
  std::string url;
  int status = 0;           // 0: no answer
  std::uint64_t bytes = 0;  // of the body
  std::string sha256;       // of the body, in hex; empty if it is not complete
  double seconds = 0;
  std::string error;      // empty: it succeeded
  std::string file;       // where the body is, if it was kept
  std::string final_url;  // if redirects led elsewhere
  bool kept = false;      // it was there already

  bool ok() const noexcept { return error.empty(); }
};

// Without a line's end.
std::string to_json(const record& r);

// Where lines of JSON go: a file, or standard output ("-").
class journal {
 public:
  enum class begin { fresh, go_on };
  // go_on: keeps what is there but for a last line that was cut, and knows which URLs succeeded.
  journal(const std::string& path, begin how);
  journal(const journal&) = delete;
  ~journal();

  void write(const record& r);
  // Whether an earlier run has fetched it. Kept as 8 bytes a URL: of a million, two are taken for one
  // another with a chance of one in thirty million.
  bool has(std::string_view url) const noexcept;
  // Writes what is buffered; throws complaint if the disk is full.
  void flush();

 private:
  void read_back(const std::string& path);
  std::string path_;
  std::FILE* file_ = nullptr;
  bool owned_ = false;
  std::vector<std::uint64_t> succeeded_;  // sorted
};

}  // namespace plait::cli::fetch
