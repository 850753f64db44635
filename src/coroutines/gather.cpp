#include "plait/coroutines/gather.hpp"

#include <string>

#include "plait/coroutines/settled.hpp"

namespace plait::detail {

void gather_base::failed(std::exception_ptr error) noexcept {
  if (first_error_ == nullptr) {
    first_error_ = std::move(error);
    stop_children();
    return;
  }
  if (is_cancellation(error)) return;  // it ended because we stopped it
  std::string origin;
  try {
    origin = "a gathered task that failed after another one had failed";
  } catch (...) {
  }
  report_unhandled(std::move(error), std::move(origin));
}

std::string gather_base::waits_for() const { return "gather of " + std::to_string(remaining_); }

void gather_base::rethrow_first() {
  check();
  if (first_error_ != nullptr) std::rethrow_exception(first_error_);
}

}  // namespace plait::detail
