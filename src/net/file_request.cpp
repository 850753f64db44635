#include "net/file_request.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "plait/coroutines/await_future.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/io_operation.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::net {
namespace {

// On a thread that may wait.
long perform_now(const file_request& r) noexcept {
  for (;;) {
    long done = -1;
    switch (r.what) {
      case file_request::act::read:
        done = r.offset == file_request::here ? ::read(r.fd, r.data, r.size)
                                              : ::pread(r.fd, r.data, r.size, r.offset);
        break;
      case file_request::act::write:
        done = r.offset == file_request::here ? ::write(r.fd, r.data, r.size)
                                              : ::pwrite(r.fd, r.data, r.size, r.offset);
        break;
      case file_request::act::sync:
        done = ::fsync(r.fd);
        break;
      case file_request::act::truncate:
        done = ::ftruncate(r.fd, static_cast<off_t>(r.size));
        break;
    }
    if (done >= 0) return done;
    if (errno != EINTR) return -errno;
  }
}

// What the page cache can give without waiting is read on the loop: no thread is faster than that.
// A limit keeps the copy short beside a loop's other work. Otherwise, and at 0 (the end, or a fault
// of Linux 5.9 and 5.10), a thread is asked.
long read_from_cache(const file_request& r) noexcept {
  constexpr std::size_t longest_copy = 256 * 1024;
  const iovec into{r.data, std::min(r.size, longest_copy)};
  return ::preadv2(r.fd, &into, 1, r.offset, RWF_NOWAIT);
}

plait::detail::io_call ring_call(file_request::act what) noexcept {
  using plait::detail::io_call;
  return what == file_request::act::read    ? io_call::read
         : what == file_request::act::write ? io_call::write
                                            : io_call::sync;
}

// Throws cancelled_error in a flow that is stopping, as any other await does.
struct stop_check {
  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    stopping = frame.promise().flow->stopping();
    return false;
  }
  void await_resume() const {
    if (stopping) throw cancelled_error();
  }
  bool stopping = false;
};

}  // namespace

thread_pool_executor& file_threads() {
  static thread_pool_executor pool({.max_workers = 16, .thread_name_prefix = "plait-file"});
  return pool;
}

task<long> perform(file_request request) {
  co_await stop_check{};
  if (request.what == file_request::act::read) {
    const long got = read_from_cache(request);
    if (got > 0) co_return got;
  }
  if (request.what != file_request::act::truncate &&
      event_loop::current().poller() == poller_kind::io_uring) {
    co_return co_await plait::detail::io_operation(ring_call(request.what), request.fd,
                                                   request.data, request.size,
                                                   static_cast<std::uint64_t>(request.offset));
  }
  co_return co_await file_threads().submit(perform_now, request);
}

}  // namespace plait::net
