#include "plait/coroutines/race.hpp"

#include <string>

#include "plait/core/exception_group.hpp"

namespace plait::detail {

void race_base::expect(std::size_t operands) {
  if (operands == 0) throw invalid_state("a race of no tasks has no winner");
  failures_.reserve(operands);
  remaining_ = operands;
}

bool race_base::note_end(std::exception_ptr error) noexcept {
  if (error == nullptr) return !std::exchange(won_, true);
  if (!won_) failures_.push_back(std::move(error));
  return false;
}

void race_base::check_won() {
  if (won_) return;
  if (flow().stopping()) throw cancelled_error();
  throw exception_group("race", std::move(failures_));
}

std::string race_base::waits_for() const { return "race of " + std::to_string(remaining_); }

}  // namespace plait::detail
