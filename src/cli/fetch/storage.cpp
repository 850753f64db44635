#include "cli/fetch/storage.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "plait/net/whole_file.hpp"

namespace plait::cli::fetch {
namespace {

constexpr std::size_t longest_name = 200;
// From this size on a part's version is on the disk while it grows, so that a kill loses less.
constexpr std::uint64_t worth_remembering = 1 << 20;

std::string encoded(std::string_view text) {
  constexpr std::string_view plain_marks = "-._~=&+,;@";
  constexpr char hex[] = "0123456789ABCDEF";
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       plain_marks.find(c) != std::string_view::npos;
    if (plain) {
      name += c;
    } else {
      name += '%';
      name += hex[static_cast<unsigned char>(c) >> 4];
      name += hex[static_cast<unsigned char>(c) & 15];
    }
  }
  return name;
}

}  // namespace

std::string file_name_for(const http::url& from) {
  std::string_view target = from.target();
  if (target != "/") target.remove_prefix(1);
  std::string name = encoded(target);
  // Not what the system, or we, mean something else by.
  if (name.front() == '.') name.replace(0, 1, "%2E");
  for (const std::string_view ours : {".part", ".version"})
    if (name.ends_with(ours)) name.replace(name.size() - ours.size(), 1, "%2E");
  if (name.size() > longest_name) {
    sha256 hash;
    hash.add(target);
    constexpr std::size_t kept = 160, digits = 32;
    name = name.substr(0, kept) + "~" + hash.finish().substr(0, digits);
  }
  return from.scheme() + "/" + from.authority() + "/" + name;
}

stored_body::stored_body(const std::string& folder, const http::url& from)
    : path_(folder + "/" + file_name_for(from)),
      part_(path_ + ".part"),
      version_path_(path_ + ".version") {}

stored_body::~stored_body() {
  if (!file_.is_open() || written_ == 0) return;
  if (version_.empty()) {
    unlink(part_.c_str());
  } else {
    remember_version();
  }
}

bool stored_body::is_complete() const {
  struct stat status {};
  return stat(path_.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

std::uint64_t stored_body::complete_size() const {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path_, ignored);
  return ignored ? 0 : size;
}

task<std::uint64_t> stored_body::resume(sha256& hash) {
  std::ifstream remembered(version_path_);
  std::getline(remembered, version_);
  struct stat status {};
  if (version_.empty() || stat(part_.c_str(), &status) != 0 || status.st_size == 0) {
    version_.clear();
    co_return 0;
  }
  version_kept_ = true;
  file_ = co_await net::file::open(part_, net::file_mode::update);
  std::string buffer(256 * 1024, '\0');
  written_ = 0;
  for (;;) {
    const std::size_t got = co_await file_.read_at(written_, buffer);
    if (got == 0) break;
    hash.add(std::string_view(buffer).substr(0, got));
    written_ += got;
  }
  file_.seek(written_);
  co_return written_;
}

task<> stored_body::start(std::string version) {
  if (version_kept_) unlink(version_path_.c_str());
  version_kept_ = false;
  version_ = std::move(version);
  written_ = 0;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
  file_ = co_await net::file::open(part_, net::file_mode::write);
}

task<> stored_body::write(std::string_view bytes) {
  co_await file_.write_all(bytes);
  written_ += bytes.size();
  if (written_ >= worth_remembering && !version_.empty()) remember_version();
}

void stored_body::remember_version() noexcept {
  if (std::exchange(version_kept_, true)) return;
  std::ofstream out(version_path_, std::ios::trunc);
  out << version_ << '\n';
}

task<> stored_body::commit() {
  file_.close();
  if (std::rename(part_.c_str(), path_.c_str()) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot rename " + part_);
  if (version_kept_) unlink(version_path_.c_str());
  co_return;
}

}  // namespace plait::cli::fetch
