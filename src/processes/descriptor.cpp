#include "processes/descriptor.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

namespace plait::detail {
namespace {

// A program may run with 0, 1 or 2 closed; what is ours must not be taken for its standard streams.
descriptor above_standard(int fd, const char* what) {
  if (fd < 0) throw_errno(what);
  descriptor first(fd);
  if (fd > 2) return first;
  const int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (higher < 0) throw_errno(what);
  return descriptor(higher);
}

void do_not_block(const descriptor& d) {
  if (fcntl(d.get(), F_SETFL, fcntl(d.get(), F_GETFL) | O_NONBLOCK) != 0) throw_errno("fcntl");
}

}  // namespace

descriptor::~descriptor() {
  if (fd_ >= 0) close(fd_);
}

void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), std::string("process pool: ") + what);
}

descriptor make_memfd(const char* name, std::size_t size) {
  descriptor file =
      above_standard(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create");
  // Reserved now: out of memory is an error here rather than a SIGBUS later.
  if (size != 0) {
    if (const int error = posix_fallocate(file.get(), 0, static_cast<off_t>(size))) {
      errno = error;
      throw_errno("no memory to share with a worker");
    }
  }
  return file;
}

bool holds_for_good(int fd, std::size_t n) noexcept {
  struct stat s {};
  const int seals = fcntl(fd, F_GET_SEALS);
  if (n == 0 || seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &s) != 0) return false;
  return s.st_size > 0 && static_cast<std::uint64_t>(s.st_size) >= n &&
         static_cast<std::uint64_t>(s.st_blocks) >= (n + 511) / 512;
}

descriptor make_eventfd() {
  return above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
}

descriptor_pair make_socket_pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
  descriptor theirs(fds[1]);
  descriptor_pair pair{above_standard(fds[0], "socketpair"), {}};
  pair.theirs = above_standard(theirs.release(), "socketpair");
  do_not_block(pair.ours);
  return pair;
}

descriptor_pair make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe2");
  descriptor theirs(fds[1]);
  descriptor_pair pair{above_standard(fds[0], "pipe2"), {}};
  pair.theirs = above_standard(theirs.release(), "pipe2");
  do_not_block(pair.ours);
  return pair;
}

void seal(int memfd, page_access for_others) {
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (for_others == page_access::read) seals |= F_SEAL_FUTURE_WRITE;
  if (fcntl(memfd, F_ADD_SEALS, seals) != 0) throw_errno("cannot seal shared memory");
}

void* map_shared(int fd, std::size_t size, mapping_options how) {
  const int protection = how.pages == page_access::read ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags = MAP_SHARED | (how.tables == page_tables::now ? MAP_POPULATE : 0) |
                    (how.at != nullptr ? MAP_FIXED : 0);
  void* memory = mmap(how.at, size, protection, flags, fd, 0);
  if (memory == MAP_FAILED) throw_errno("mmap");
  return memory;
}

bool send_packet(int socket, const void* bytes, std::size_t n, const int* fds, std::size_t fd_count,
                 int flags) noexcept {
  iovec data{const_cast<void*>(bytes), n};
  alignas(cmsghdr) char control[CMSG_SPACE(max_sent * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd_count != 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
  }
  long sent;
  do sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == static_cast<long>(n);
}

long receive_packet(int socket, void* bytes, std::size_t capacity, descriptor* fds,
                    std::size_t* fd_count, int flags) noexcept {
  iovec data{bytes, capacity};
  alignas(cmsghdr) char control[CMSG_SPACE(max_sent * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  long got;
  do got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  std::size_t count = 0;
  if (got >= 0) {
    for (cmsghdr* h = CMSG_FIRSTHDR(&message); h != nullptr; h = CMSG_NXTHDR(&message, h)) {
      if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < n && count < max_sent; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
        fds[count++] = descriptor(fd);
      }
    }
    if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
      errno = message.msg_flags & MSG_CTRUNC ? EMFILE : EMSGSIZE;
      got = -1;
    }
  }
  *fd_count = count;
  return got;
}

void ring(int eventfd) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(eventfd, &one, sizeof one);  // full is rung as well
}

}  // namespace plait::detail
