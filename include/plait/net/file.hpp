// plait/net/file.hpp: a file whose reads and writes do not hold up the loop.
//
//   auto log = co_await plait::net::file::open("/var/log/app.log", plait::net::file_mode::append);
//   co_await log.write_all("started\n");
//
// What the page cache has is read at once. Everything else is done by the kernel's ring on a loop
// that waits through io_uring, and otherwise by threads of their own (sixteen), since Linux has no
// other way to read a disk without waiting. For a whole file at once see whole_file.hpp.
//
// Threads:  may be opened on one loop and used on another, by one task at a time; read_at and
//           write_at by any number at once.
// Stops:    an operation that has not begun is dropped. One that has begun cannot be interrupted, and
//           its buffer must stay valid: it is waited for. Either way the file stays open.
// Throws:   file_error, which knows the path; descriptors_exhausted.
// Cost:     a cached read: one system call, about 1 us for 4 KiB. Else a trip through the ring, about
//           10 us, or to a thread, about 30 us.
// FIFOs:    opening one waits for its other end and holds one of the threads: see pipe.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

// An operation on a file failed: code(), and the text says what to look at.
class file_error : public coded_error {
 public:
  file_error(const std::string& text, std::error_code code, std::string path)
      : coded_error(text, code), path_(std::move(path)) {}
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// In Python's letters:
enum class file_mode : std::uint8_t {
  read,              // "r": it must exist
  write,             // "w": made, or emptied
  append,            // "a": made if need be; every write goes to its end, whoever else writes
  create_new,        // "x+": must not exist
  update,            // "r+": read and written; it must exist
  update_or_create,  // read and written; made if need be
};

namespace detail {
struct open_file;
}

class file {
 public:
  // A new file may be read and written by whom the umask allows.
  static task<file> open(std::string path, file_mode mode = file_mode::read);

  file() = default;  // closed

  // At the file's position, which moves. At least one byte, or 0 at the end. `into` must not be
  // empty.
  task<std::size_t> read_some(std::span<char> into);
  // All of `bytes`, which must stay where they are meanwhile.
  task<> write_all(std::string_view bytes);

  // At an offset in bytes, leaving the position alone. read_at: fewer than asked for only where the
  // file ends. write_at beyond the end leaves a hole of zeros; in append mode it appends.
  task<std::size_t> read_at(std::uint64_t offset, std::span<char> into);
  task<> write_at(std::uint64_t offset, std::string_view bytes);

  // Where the next read_some or write_all begins, in bytes from the start.
  std::uint64_t position() const;
  void seek(std::uint64_t position);
  std::uint64_t seek_to_end();  // returns the new position

  task<std::uint64_t> size() const;
  // Cuts it off, or lengthens it by a hole of zeros.
  task<> truncate(std::uint64_t size);
  // Returns when what has been written is on the disk, and only then would survive a power cut.
  task<> sync();

  // Reports nothing: sync() first, if it matters whether the bytes have arrived. An operation under
  // way keeps the file open until it has ended.
  void close() noexcept { file_.reset(); }
  bool is_open() const noexcept { return file_ != nullptr; }
  const std::string& path() const;

 private:
  explicit file(std::shared_ptr<detail::open_file> f) noexcept : file_(std::move(f)) {}
  const std::shared_ptr<detail::open_file>& opened() const;
  std::shared_ptr<detail::open_file> file_;
};

}  // namespace plait::net
