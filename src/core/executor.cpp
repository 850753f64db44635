#include "plait/core/executor.hpp"

namespace plait {

thread_local constinit const detail::call_home* detail::call_home::of_this_thread = nullptr;

void local_executor::refuse(detail::job& job, admission why) {
  job.drop();
  if (why == admission::full) throw executor_full();
  throw executor_shutdown();
}

}  // namespace plait
