#include "plait/processes/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plait/processes/message.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

shared_memory::shared_memory(int fd, std::size_t size) : fd_(fd), size_(size) {
  // Pages are mapped as they are touched: what a call does not look at costs it nothing.
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) throw_errno("cannot map a shared_array");
  data_ = static_cast<std::byte*>(memory);
}

shared_memory::~shared_memory() {
  munmap(data_, size_);
  close(fd_);
}

shared_memory* shared_memory::make(std::size_t bytes) {
  descriptor file = make_memfd("plait-array", bytes);
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    throw_errno("cannot seal a shared_array");
  auto* made = new shared_memory(file.get(), bytes);
  file.release();
  return made;
}

shared_memory* shared_memory::adopt(int fd) {
  descriptor file(fd);
  struct stat s {};
  if (fstat(fd, &s) != 0 || s.st_size <= 0 ||
      !holds_for_good(fd, static_cast<std::size_t>(s.st_size)))
    throw_bad_value("a shared_array without its memory");
  auto* made = new shared_memory(fd, static_cast<std::size_t>(s.st_size));
  file.release();
  return made;
}

}  // namespace plait::detail
