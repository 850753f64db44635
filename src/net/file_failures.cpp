#include "net/file_failures.hpp"

#include <unistd.h>

#include <cerrno>

#include "net/failures.hpp"
#include "plait/net/file.hpp"

namespace plait::net {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string advice(int code, const std::string& path) {
  const std::string folder = folder_of(path);
  switch (code) {
    case ENOENT:
      return access(folder.c_str(), F_OK) == 0 ? "" : " (there is no folder " + folder + ")";
    case EACCES:
    case EPERM:
      return " (see who may, with ls -ld " + folder + " and ls -l " + path + ")";
    case ENOSPC:
      return " (the disk is full: see df " + folder + ")";
    case EDQUOT:
      return " (your share of the disk is used up: see quota)";
    case EROFS:
      return " (that file system is mounted read-only: see mount)";
    case EISDIR:
      return " (it is a folder)";
    case EFBIG:
      return " (larger than the file system or ulimit -f allows)";
    case EBADF:
      return " (it is closed, or its mode does not allow it)";
    default:
      return "";
  }
}

}  // namespace

void throw_file_error(int code, const char* doing, const std::string& path) {
  if (out_of_descriptors(code)) throw_out_of_descriptors(code);
  const std::error_code kernel(code, std::generic_category());
  throw file_error(
      "cannot " + std::string(doing) + " " + path + ": " + kernel.message() + advice(code, path),
      kernel, path);
}

}  // namespace plait::net
