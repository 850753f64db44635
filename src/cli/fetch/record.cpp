#include "cli/fetch/record.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/exit_status.hpp"

namespace plait::cli::fetch {
namespace {

// FNV-1a with a last mix, so that all 64 bits differ.
std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccd;
  return h ^ h >> 33;
}

}  // namespace

std::string to_json(const record& r) {
  nlohmann::ordered_json line;
  line["url"] = r.url;
  line["status"] = r.status;
  line["bytes"] = r.bytes;
  line["sha256"] = r.sha256.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(r.sha256);
  line["seconds"] = static_cast<double>(static_cast<std::int64_t>(r.seconds * 1e6)) / 1e6;
  line["error"] = r.ok() ? nlohmann::ordered_json() : nlohmann::ordered_json(r.error);
  if (!r.file.empty()) line["file"] = r.file;
  if (!r.final_url.empty()) line["final_url"] = r.final_url;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

journal::journal(const std::string& path, begin how) : path_(path) {
  if (path == "-") {
    path_ = "standard output";
    file_ = stdout;
    return;
  }
  if (how == begin::go_on) read_back(path);
  file_ = std::fopen(path.c_str(), how == begin::go_on ? "ae" : "we");
  if (file_ == nullptr)
    throw complaint(exit_status::usage,
                    fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  owned_ = true;
}

journal::~journal() {
  if (owned_) std::fclose(file_);
}

void journal::read_back(const std::string& path) {
  std::ifstream earlier(path, std::ios::binary);
  std::string line;
  std::uint64_t whole = 0;  // bytes of lines that have their end
  while (std::getline(earlier, line)) {
    if (earlier.eof()) break;  // cut
    whole += line.size() + 1;
    const auto value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_object() || !value.contains("url") || !value["url"].is_string())
      throw complaint(exit_status::usage,
                      fmt::format("{} is no journal of plait fetch: name another file", path));
    if (value.contains("error") && value["error"].is_null())
      succeeded_.push_back(hash_of(value["url"].get_ref<const std::string&>()));
  }
  std::sort(succeeded_.begin(), succeeded_.end());
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) > whole &&
      truncate(path.c_str(), static_cast<off_t>(whole)) != 0)
    throw complaint(exit_status::usage,
                    fmt::format("cannot cut {}: {}", path, std::strerror(errno)));
}

bool journal::has(std::string_view url) const noexcept {
  return std::binary_search(succeeded_.begin(), succeeded_.end(), hash_of(url));
}

void journal::write(const record& r) {
  const std::string line = to_json(r) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size()) flush();
}

void journal::flush() {
  if (std::fflush(file_) == 0 && std::ferror(file_) == 0) return;
  throw complaint(exit_status::usage,
                  fmt::format("cannot write to {}: {}", path_, std::strerror(errno)));
}

}  // namespace plait::cli::fetch
