#include "inspect/activity.hpp"

#include <time.h>

#include <cstring>

#include "inspect/trace_record.hpp"

namespace plait::detail {

std::int64_t monotonic_time() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

origin_copy::origin_copy(const job_origin& from) noexcept
    : type(from.type), code(from.code), where(from.where) {
  if (from.name != nullptr) std::strncpy(name, from.name, name_size - 1);
}

watched_run::watched_run(activity& thread, const job_origin& what) noexcept : thread_(thread) {
  own_.running = true;
  own_.what = origin_copy(what);
  own_.began = monotonic_time();
  const std::lock_guard hold(thread_.mutex_);
  outer_ = thread_.now_;
  own_.runs = outer_.runs + 1;
  thread_.now_ = own_;
}

watched_run::~watched_run() {
  if (watched_by(watcher::trace))
    add_to_trace({.began = own_.began, .took = monotonic_time() - own_.began, .origin = own_.what});
  const std::lock_guard hold(thread_.mutex_);
  const auto runs = thread_.now_.runs;
  thread_.now_ = outer_;
  thread_.now_.runs = runs;
}

}  // namespace plait::detail
