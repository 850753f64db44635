// coroutines/task_locals.hpp: the values of task_local variables that a flow sees. Immutable and
// shared: whoever sets a variable makes a new set of values for itself.
#pragma once

#include <vector>

#include "plait/coroutines/context.hpp"
#include "plait/coroutines/task_local.hpp"

namespace plait::detail {

class task_locals {
 public:
  struct entry {
    const task_local_base* variable;
    const task_local_value* value;  // one reference
  };
  // `before` (may be null) with the variable set, or unset for a null value, of which it takes a
  // reference over. One reference for the caller; null if nothing is left.
  static const task_locals* with(const task_locals* before, const entry& next);
  const task_local_value* find(const task_local_base& variable) const noexcept;

  void add_ref() const noexcept { ++refs_; }
  void release() const noexcept {
    if (--refs_ == 0) delete this;
  }

 private:
  task_locals() = default;
  ~task_locals();
  std::vector<entry> entries_;
  mutable std::size_t refs_ = 1;
};

}  // namespace plait::detail
