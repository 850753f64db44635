#include "plait/threads/thread_pool_executor.hpp"

#include <algorithm>
#include <stdexcept>

#include "plait/threads/cpu_count.hpp"
#include "threads/thread_pool_engine.hpp"

namespace plait {

thread_pool_executor::thread_pool_executor(thread_pool_options options)
    : thread_pool_executor(new detail::thread_pool_engine(std::move(options))) {}
thread_pool_executor::thread_pool_executor(detail::thread_pool_engine* engine) noexcept
    : local_executor(*engine), engine_(engine) {}

thread_pool_executor::~thread_pool_executor() { detail::thread_pool_engine::dispose(engine_); }

void thread_pool_executor::shutdown(shutdown_options options) { engine_->shutdown(options); }
void thread_pool_executor::resize(std::size_t n) { engine_->resize(n); }
bool thread_pool_executor::is_current() const noexcept { return engine_->is_current(); }
std::size_t thread_pool_executor::max_workers() const noexcept { return engine_->max_workers(); }
std::size_t thread_pool_executor::default_window() const noexcept { return 32 * max_workers(); }
thread_pool_statistics thread_pool_executor::statistics() const noexcept {
  return engine_->statistics();
}

thread_pool_executor::admission thread_pool_executor::admit(detail::job& j,
                                                            const call_options& how) {
  // The engine's answers are those of admission, which it cannot name.
  using answer = detail::thread_pool_engine::answer;
  static_assert(int(answer::accepted) == int(admission::accepted) &&
                int(answer::closed) == int(admission::closed) &&
                int(answer::full) == int(admission::full));
  return static_cast<admission>(engine_->post(j, how));
}

void thread_pool_executor::refuse_count() {
  throw std::invalid_argument("thread_pool_executor: max_workers must be at least 1");
}

thread_pool_executor& default_thread_pool() {
  static thread_pool_executor pool{
      {.max_workers = std::min<std::size_t>(32, usable_cpu_count() + 4),
       .thread_name_prefix = "plait-io"}};
  return pool;
}

}  // namespace plait
