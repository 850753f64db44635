#include "plait/core/executor.hpp"

namespace plait {

void local_executor::refuse(detail::job& job, admission why) {
  job.drop();
  if (why == admission::full) throw executor_full();
  throw executor_shutdown();
}

}  // namespace plait
