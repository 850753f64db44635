#include "plait/net/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "net/file_failures.hpp"
#include "net/file_request.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/await_future.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::net {
namespace detail {

struct open_file {
  std::string path;
  owned_descriptor fd;
};

}  // namespace detail

namespace {

using detail::open_file;
using act = file_request::act;

int flags_of(file_mode mode) noexcept {
  switch (mode) {
    case file_mode::read:
      return O_RDONLY;
    case file_mode::write:
      return O_WRONLY | O_CREAT | O_TRUNC;
    case file_mode::append:
      return O_WRONLY | O_CREAT | O_APPEND;
    case file_mode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
    case file_mode::update:
      return O_RDWR;
    case file_mode::update_or_create:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

// On a thread.
std::shared_ptr<open_file> open_now(const std::string& path, file_mode mode) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags_of(mode) | O_CLOEXEC | O_NOCTTY, 0666);
  while (fd == -1 && errno == EINTR);
  owned_descriptor owned(fd);
  if (!owned) throw_file_error(errno, "open", path);
  return std::make_shared<open_file>(open_file{path, std::move(owned)});
}

std::uint64_t size_now(const std::shared_ptr<open_file>& file) {
  struct stat status {};
  if (fstat(file->fd.get(), &status) == -1) throw_file_error(errno, "look at", file->path);
  return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t moved(const open_file& file, std::int64_t offset, int from) {
  const off_t at = lseek(file.fd.get(), offset, from);
  if (at == -1) throw_file_error(errno, "move within", file.path);
  return static_cast<std::uint64_t>(at);
}

// The kernel counts offsets with a sign, and -1 means something else here.
std::int64_t checked(std::uint64_t offset, const open_file& file) {
  if (offset > INT64_MAX) throw_file_error(EFBIG, "move within", file.path);
  return static_cast<std::int64_t>(offset);
}

// Each operation holds the file, so that close() meanwhile cannot give its descriptor to another.
task<std::size_t> one(std::shared_ptr<open_file> file, file_request request, const char* doing) {
  request.fd = file->fd.get();
  const long done = co_await perform(request);
  if (done < 0) throw_file_error(static_cast<int>(-done), doing, file->path);
  co_return static_cast<std::size_t>(done);
}

// `offset`: of the first byte, or here.
task<> write_from(std::shared_ptr<open_file> file, std::string_view bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const file_request request{.what = act::write,
                               .data = const_cast<char*>(bytes.data()),
                               .size = bytes.size(),
                               .offset = offset};
    const std::size_t written = co_await one(file, request, "write to");
    bytes.remove_prefix(written);
    if (offset != file_request::here) offset += static_cast<std::int64_t>(written);
  }
}

}  // namespace

task<file> file::open(std::string path, file_mode mode) {
  co_return file(co_await file_threads().submit(open_now, std::move(path), mode));
}

const std::shared_ptr<open_file>& file::opened() const {
  if (file_ == nullptr) throw_file_error(EBADF, "use", "a closed file");
  return file_;
}

const std::string& file::path() const { return opened()->path; }

task<std::size_t> file::read_some(std::span<char> into) {
  const file_request request{.what = act::read, .data = into.data(), .size = into.size()};
  return one(opened(), request, "read");
}

task<> file::write_all(std::string_view bytes) {
  return write_from(opened(), bytes, file_request::here);
}

task<std::size_t> file::read_at(std::uint64_t offset, std::span<char> into) {
  const auto held = opened();
  std::size_t filled = 0;
  while (filled < into.size()) {
    const file_request request{.what = act::read,
                               .data = into.data() + filled,
                               .size = into.size() - filled,
                               .offset = checked(offset + filled, *held)};
    const std::size_t got = co_await one(held, request, "read");
    if (got == 0) break;
    filled += got;
  }
  co_return filled;
}

task<> file::write_at(std::uint64_t offset, std::string_view bytes) {
  const auto& held = opened();
  return write_from(held, bytes, checked(offset, *held));
}

std::uint64_t file::position() const { return moved(*opened(), 0, SEEK_CUR); }
void file::seek(std::uint64_t position) {
  const auto& held = opened();
  moved(*held, checked(position, *held), SEEK_SET);
}
std::uint64_t file::seek_to_end() { return moved(*opened(), 0, SEEK_END); }

task<std::uint64_t> file::size() const {
  const auto held = opened();
  co_return co_await file_threads().submit(size_now, held);
}

task<> file::truncate(std::uint64_t size) {
  const auto held = opened();
  checked(size, *held);
  const file_request request{.what = act::truncate, .size = size};
  co_await one(held, request, "truncate");
}

task<> file::sync() {
  const auto held = opened();
  const file_request request{.what = act::sync};
  co_await one(held, request, "write to the disk");
}

}  // namespace plait::net
