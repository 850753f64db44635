// Owned file descriptors, shared memory, and descriptors sent over sockets.
#pragma once

#include <cstddef>
#include <utility>

namespace plait::detail {

class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor();
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// All close on exec, numbered from 3. Throw std::system_error.
descriptor make_memfd(const char* name, std::size_t size);  // may be sealed
// Whether a file that another process made has n bytes, all of them there, and cannot lose them:
// it is sealed against shrinking. Only then is mapping it no danger (SIGBUS).
bool holds_for_good(int fd, std::size_t n) noexcept;
descriptor make_eventfd();
struct descriptor_pair {
  descriptor ours, theirs;
};
descriptor_pair make_socket_pair();  // SOCK_SEQPACKET; ours does not block
descriptor_pair make_pipe();         // ours is the end to read, and does not block

// Whoever has the file already goes on as before; others can neither resize it nor, if it is to be
// read only, write to it. Throws std::system_error.
enum class page_access { read, read_and_write };
void seal(int memfd, page_access for_others);

// A page that is entered into the page tables as it is touched costs 0.5 us more then, and nothing
// if it never is.
enum class page_tables { now, as_touched };
struct mapping_options {
  void* at = nullptr;  // replacing what is there; null: anywhere
  page_access pages = page_access::read_and_write;
  page_tables tables = page_tables::now;
};
// Shared. Throws std::system_error.
void* map_shared(int fd, std::size_t size, mapping_options how = {});

inline constexpr std::size_t max_sent = 65;  // a large message and what it names
// One packet, with descriptors; false with errno set.
bool send_packet(int socket, const void* bytes, std::size_t n, const int* fds, std::size_t fd_count,
                 int flags) noexcept;
// One packet; returns its size, 0 at the end, -1 with errno set. Descriptors close on exec; those
// that were lost on the way (RLIMIT_NOFILE) are reported as EMFILE.
long receive_packet(int socket, void* bytes, std::size_t capacity, descriptor* fds,
                    std::size_t* fd_count, int flags) noexcept;

[[noreturn]] void throw_errno(const char* what);
// Adds 1 to an eventfd.
void ring(int eventfd) noexcept;

}  // namespace plait::detail
