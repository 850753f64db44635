// celery/told_states.hpp: the states that one running call tells of itself, on their way to the backend: one
// at a time, and where they come faster than they are stored, the latest. None comes behind the call's end.
#pragma once

#include <memory>
#include <optional>

#include "celery/result_backend.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {

// On the worker's loop.
class told_states : public std::enable_shared_from_this<told_states> {
 public:
  explicit told_states(result_backend& to) noexcept : results_(to) {}
  void tell(stored_result state);
  // Before the end is stored: the one under way arrives, what comes now is nothing any more.
  task<> close();

 private:
  static task<> store(std::shared_ptr<told_states> self);
  result_backend& results_;
  std::optional<stored_result> next_;
  future<> storing_;
  bool is_closed_ = false;
};

}  // namespace plait::celery::detail
