// src/cli/fetch/storage.hpp: bodies as files: what they are called, and how a part goes on.
//
//   FOLDER/SCHEME/HOST/NAME          complete, put there in one step
//   FOLDER/SCHEME/HOST/NAME.part     what has come so far
//   FOLDER/SCHEME/HOST/NAME.version  of the part: the ETag or Last-Modified of what it is a part of
//
// NAME is the URL's path and query with every character but letters, digits and "-._~=&+,;@" written as
// %41, so that no two URLs share a file and each can be read back from its name. One longer than 200
// bytes is cut and ends in ~ and a hash of all of it. The root is called %2F.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/fetch/sha256.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/url.hpp"
#include "plait/net/file.hpp"

namespace plait::cli::fetch {

// Relative to the folder.
std::string file_name_for(const http::url& from);

// One body on its way into its file. Left before commit(), the part stays if it can be gone on with.
class stored_body {
 public:
  stored_body(const std::string& folder, const http::url& from);
  stored_body(const stored_body&) = delete;
  ~stored_body();

  bool is_complete() const;  // there from an earlier run
  std::uint64_t complete_size() const;
  const std::string& path() const noexcept { return path_; }

  // Opens the part of an earlier try, if it has one with a version: how many bytes it has, hashed.
  task<std::uint64_t> resume(sha256& hash);
  // Its version, for If-Range.
  const std::string& version() const noexcept { return version_; }
  // Begins anew. `version` is empty if the server names none that can be relied on.
  task<> start(std::string version);
  task<> write(std::string_view bytes);
  // Everything has come: the file takes its name.
  task<> commit();

 private:
  void remember_version() noexcept;
  std::string path_, part_, version_path_;
  std::string version_;
  net::file file_;
  std::uint64_t written_ = 0;
  bool version_kept_ = false;
};

}  // namespace plait::cli::fetch
