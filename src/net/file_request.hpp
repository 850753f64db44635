// src/net/file_request.hpp: one operation on a file, and who performs it.
//
// The seam between file.hpp and the kernel: a request is what an io_uring submission holds, and the
// answer is what its completion holds, so that another engine can stand behind perform().
#pragma once

#include <cstddef>
#include <cstdint>

#include "plait/coroutines/task.hpp"

namespace plait {
class thread_pool_executor;
}

namespace plait::net {

struct file_request {
  enum class act : std::uint8_t { read, write, sync, truncate };
  static constexpr std::int64_t here = -1;  // at the file's own position, which then moves

  act what = act::read;
  int fd = -1;
  void* data = nullptr;
  std::size_t size = 0;  // of truncate: the new size
  std::int64_t offset = here;
};

// The count of bytes, or a negated errno. Whatever the flow's stop does: a request that has begun is
// waited for, since the kernel has its buffer; one that has not throws cancelled_error.
task<long> perform(file_request request);

// The threads that wait for disks; not the default pool, whose workers may wait for a file's reader.
thread_pool_executor& file_threads();

}  // namespace plait::net
