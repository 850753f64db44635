#include "plait/processes/process_pool_executor.hpp"

#include <stdexcept>

#include "processes/process_engine.hpp"

namespace plait {

process_pool_executor::process_pool_executor(process_pool_options options)
    : engine_(new detail::process_engine(std::move(options))) {}

process_pool_executor::~process_pool_executor() {
  engine_->abandon();
  engine_->release();
}

void process_pool_executor::post(detail::remote_job& job) { engine_->enqueue(job); }

void process_pool_executor::set_options(detail::remote_job& job,
                                        const process_call_options& options) {
  try {
    job.set_options(options);
  } catch (...) {  // no memory: its future must not wait for a call that nobody has
    job.cancelled();
    throw;
  }
}

bool process_pool_executor::kill(const any_future& call) {
  auto* state = detail::access::get(call);
  auto* job = dynamic_cast<detail::remote_job*>(state);
  return job != nullptr && engine_->kill(*job);
}

void process_pool_executor::shutdown(shutdown_options options) { engine_->shutdown(options); }

std::size_t process_pool_executor::max_workers() const noexcept { return engine_->limit(); }

std::vector<int> process_pool_executor::worker_pids() const { return engine_->worker_pids(); }

process_pool_statistics process_pool_executor::statistics() const { return engine_->statistics(); }

// Enough to keep every worker's queue full with the shortest calls.
std::size_t process_pool_executor::default_window() const noexcept {
  return engine_->limit() * detail::slot_count;
}

void process_pool_executor::refuse_count() {
  throw std::invalid_argument("process_pool_executor: the number of workers must be positive");
}

}  // namespace plait
