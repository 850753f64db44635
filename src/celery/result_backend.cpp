#include "celery/result_backend.hpp"

namespace plait::celery::detail {

// Beside the results, under a name that no task has.
task<> result_backend::save_group(std::string id, std::string text, duration expires) {
  co_await store(stored_result("group:" + id, "GROUP", std::move(text), expires));
}

task<std::optional<std::string>> result_backend::restore_group(std::string id) {
  co_return co_await get("group:" + id);
}

task<> result_backend::close_chord(std::string) { co_return; }

}  // namespace plait::celery::detail
