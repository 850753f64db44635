// plait/net/pipe.hpp: the two ends of a pipe, and standard input and output as streams.
//
//   auto [reader, writer] = plait::net::make_pipe();
//   auto input = plait::net::standard_input();
//   while (std::size_t n = co_await input.read_some(buffer)) ...
//
// An end is whatever has a descriptor: a pipe, a FIFO, a terminal, a socket. The kernel's poller
// refuses regular files; those are read and written on the threads of file.hpp.
//
// Threads:  an end may be made without a loop; it belongs to the loop of its first read or write,
//           and must be gone before that loop.
// Stops:    a stopped read or write leaves the end open; a write may have written a part. In a
//           regular file the operation under way is waited for.
// Throws:   connection_closed: nobody reads the pipe any more (never SIGPIPE), or the end is closed.
//           descriptors_exhausted.
// Cost:     a system call is tried before anything waits. Writing costs three: SIGPIPE is held back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

namespace detail {

struct pipe_end;
struct pipe_end_closer {
  void operator()(pipe_end* end) const noexcept;
};
using pipe_end_ptr = std::unique_ptr<pipe_end, pipe_end_closer>;

}  // namespace detail

class pipe_reader {
 public:
  // Takes a descriptor over, and makes it non-blocking and closed on exec.
  static pipe_reader adopt(int fd);

  pipe_reader() = default;  // closed

  // At least one byte, or 0 when no more will come. `into` must not be empty.
  task<std::size_t> read_some(std::span<char> into);
  void close() noexcept { end_.reset(); }
  bool is_open() const noexcept { return end_ != nullptr; }

 private:
  friend pipe_reader standard_input();
  explicit pipe_reader(detail::pipe_end_ptr end) noexcept : end_(std::move(end)) {}
  detail::pipe_end_ptr end_;
};

class pipe_writer {
 public:
  static pipe_writer adopt(int fd);

  pipe_writer() = default;  // closed

  // All of `bytes`, which must stay where they are meanwhile.
  task<> write_all(std::string_view bytes);
  // The reader sees the end once every descriptor of this end is closed.
  void close() noexcept { end_.reset(); }
  bool is_open() const noexcept { return end_ != nullptr; }

 private:
  friend pipe_writer standard_output();
  friend pipe_writer standard_error();
  explicit pipe_writer(detail::pipe_end_ptr end) noexcept : end_(std::move(end)) {}
  detail::pipe_end_ptr end_;
};

struct pipe_ends {
  pipe_reader reader;
  pipe_writer writer;
};
// Bytes written to one end come out of the other, in this process.
pipe_ends make_pipe();

// The program's own streams. They are shared with whoever started the program, so their flags stay
// as they are, and closing these objects leaves them open. Nothing here is buffered: flush std::cout
// before writing to standard_output().
pipe_reader standard_input();
pipe_writer standard_output();
pipe_writer standard_error();

}  // namespace plait::net
