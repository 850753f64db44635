// Raw io_uring echo server, one thread: multishot accept, multishot recv into a ring of provided
// buffers, send.
#include <liburing.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "loopback.hpp"

namespace {

constexpr int buffers = 4096;
constexpr std::size_t buffer_bytes = 4096;

enum class operation : std::uint64_t { accept, receive, send };

struct tag {  // what a completion belongs to, packed into its 64 bits of user data
  operation what;
  int descriptor;
  int buffer;

  std::uint64_t packed() const {
    return static_cast<std::uint64_t>(what) << 56 | static_cast<std::uint64_t>(buffer) << 32 |
           static_cast<std::uint32_t>(descriptor);
  }
  static tag unpacked(std::uint64_t bits) {
    return {static_cast<operation>(bits >> 56), static_cast<int>(bits & 0xffffffff),
            static_cast<int>(bits >> 32 & 0xffffff)};
  }
};

class echo_server {
 public:
  explicit echo_server(int listener) : listener_(listener) {
    io_uring_params parameters{};
    parameters.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 16384;
    check(io_uring_queue_init_params(2048, &ring_, &parameters), "io_uring_queue_init_params");
    storage_ = static_cast<char*>(map(buffers * buffer_bytes));
    provided_ = static_cast<io_uring_buf_ring*>(map(buffers * sizeof(io_uring_buf)));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(provided_);
    registration.ring_entries = buffers;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "io_uring_register_buf_ring");
    io_uring_buf_ring_init(provided_);
    for (int i = 0; i < buffers; ++i) provide(i, i);
    io_uring_buf_ring_advance(provided_, buffers);
  }

  [[noreturn]] void run() {
    arm_accept();
    for (;;) {
      io_uring_submit_and_wait(&ring_, 1);
      io_uring_cqe* completion = nullptr;
      unsigned head = 0;
      unsigned seen = 0;
      int given_back = 0;
      io_uring_for_each_cqe(&ring_, head, completion) {
        ++seen;
        given_back += handle(*completion, given_back);
      }
      io_uring_cq_advance(&ring_, seen);
      if (given_back != 0) io_uring_buf_ring_advance(provided_, given_back);
    }
  }

 private:
  static void* map(std::size_t bytes) {
    void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (pages == MAP_FAILED) loopback::must(-1, "mmap");
    return pages;
  }

  static void check(int result, const char* what) {
    if (result >= 0) return;
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(-result));
    std::exit(1);
  }

  io_uring_sqe* next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    while (entry == nullptr) {
      io_uring_submit(&ring_);
      entry = io_uring_get_sqe(&ring_);
    }
    return entry;
  }

  // liburing's prep functions clear the user data, so this comes after them.
  static void label(io_uring_sqe* entry, tag with) {
    io_uring_sqe_set_data64(entry, with.packed());
  }

  void arm_accept() {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_multishot_accept(entry, listener_, nullptr, nullptr, 0);
    label(entry, {operation::accept, listener_, 0});
  }

  void arm_receive(int connection) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_recv(entry, connection, nullptr, 0, 0);
    entry->ioprio |= IORING_RECV_MULTISHOT;
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = 0;
    label(entry, {operation::receive, connection, 0});
  }

  void send(int connection, int buffer, int bytes) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_send(entry, connection,
                       storage_ + static_cast<std::size_t>(buffer) * buffer_bytes,
                       static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
    label(entry, {operation::send, connection, buffer});
  }

  void provide(int buffer, int place) {
    io_uring_buf_ring_add(provided_, storage_ + static_cast<std::size_t>(buffer) * buffer_bytes,
                          buffer_bytes, static_cast<unsigned short>(buffer), buffers - 1, place);
  }

  // Returns how many buffers it gave back to the ring.
  int handle(const io_uring_cqe& completion, int given_back) {
    const tag from = tag::unpacked(completion.user_data);
    const bool armed = (completion.flags & IORING_CQE_F_MORE) != 0;
    switch (from.what) {
      case operation::accept:
        if (completion.res >= 0) {
          loopback::no_delay(completion.res);
          arm_receive(completion.res);
        }
        if (!armed) arm_accept();
        return 0;
      case operation::receive:
        if (completion.res > 0) {
          send(from.descriptor, static_cast<int>(completion.flags >> IORING_CQE_BUFFER_SHIFT),
               completion.res);
          if (!armed) arm_receive(from.descriptor);
        } else if (completion.res == -ENOBUFS) {
          arm_receive(from.descriptor);
        } else {
          close(from.descriptor);
        }
        return 0;
      case operation::send:
        provide(from.buffer, given_back);
        return 1;
    }
    return 0;
  }

  int listener_;
  io_uring ring_{};
  char* storage_ = nullptr;
  io_uring_buf_ring* provided_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  echo_server server{loopback::listen_on(argc > 1 ? std::atoi(argv[1]) : 0, 0)};
  server.run();
}
