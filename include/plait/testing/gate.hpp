// plait/testing/gate.hpp: holds calls until a test lets them through, in any process, without sleeping.
//
//   gate g;
//   auto held = engine.submit(pass, g.name());   // the call: plait::testing::gate::pass(name)
//   g.wait_for_arrival();                        // now it is running
//   g.open();                                    // and now it may end
//
// The gate is two FIFOs in a folder of its own; a call finds it by name, so it works across address
// spaces. Declare the engine before the gate: a gate that goes away makes the calls that it holds
// throw, so that the engine can end.
//
// Threads:  any. Blocks: pass until opened; wait_for_arrival until a call has come.
// Throws:   std::runtime_error after half a minute without an arrival; pass when the gate is gone.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "plait/testing/temporary_folder.hpp"

namespace plait::testing {

// A file or one end of a FIFO, closed with the object.
class open_file {
 public:
  open_file(const std::string& path, int flags)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (number_ < 0) throw std::system_error(errno, std::generic_category(), path);
  }
  ~open_file() { ::close(number_); }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  int number() const noexcept { return number_; }

  void write(const void* bytes, std::size_t size) const {
    ssize_t written;
    do written = ::write(number_, bytes, size);
    while (written < 0 && errno == EINTR);
    if (written != static_cast<ssize_t>(size))
      throw std::system_error(errno, std::generic_category(), "write");
  }
  // One byte of a FIFO; false after `milliseconds` (-1: never) or when no writer is left.
  bool read_byte(int milliseconds) const {
    for (;;) {
      char byte;
      const auto got = ::read(number_, &byte, 1);
      if (got == 1) return true;
      if (got == 0) return false;
      if (errno != EINTR && errno != EAGAIN)
        throw std::system_error(errno, std::generic_category(), "read");
      pollfd waiting{number_, POLLIN, 0};
      if (::poll(&waiting, 1, milliseconds) == 0) return false;
    }
  }

 private:
  int number_;
};

class gate {
 public:
  gate()
      : arrivals_(make("arrivals"), O_RDWR | O_NONBLOCK),
        passes_(make("passes"), O_RDWR | O_NONBLOCK) {}
  const std::string& name() const noexcept { return folder_.path(); }

  // Waits until `calls` more have reached the gate.
  void wait_for_arrival(std::size_t calls = 1) const {
    constexpr int half_a_minute = 30'000;
    for (; calls != 0; --calls)
      if (!arrivals_.read_byte(half_a_minute))
        throw std::runtime_error("no call has reached the gate");
  }
  // Lets `calls` through: those that wait, or those that will come.
  void open(std::size_t calls = 1) const {
    for (; calls != 0; --calls) passes_.write("", 1);
  }

  // For calls. Says that it is there...
  static void arrive(const std::string& name) {
    open_file(name + "/arrivals", O_WRONLY | O_NONBLOCK).write("", 1);
  }
  // ... and waits to be let through.
  static void pass(const std::string& name) {
    const open_file passes(name + "/passes", O_RDONLY | O_NONBLOCK);
    arrive(name);
    if (!passes.read_byte(-1)) throw std::runtime_error("the gate is gone");
  }

 private:
  std::string make(const char* which) const {
    const std::string path = folder_.path() + "/" + which;
    if (::mkfifo(path.c_str(), 0600) != 0)
      throw std::system_error(errno, std::generic_category(), "mkfifo " + path);
    return path;
  }
  temporary_folder folder_;
  open_file arrivals_, passes_;
};

}  // namespace plait::testing
