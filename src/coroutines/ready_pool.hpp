// src/coroutines/ready_pool.hpp: the ready jobs of a loop whose schedule chooses among them.
//
// Only for loops with a schedule: drawing is linear in the number of ready jobs.
#pragma once

#include <cstddef>
#include <vector>

#include "plait/coroutines/context.hpp"

namespace plait::detail {

class ready_pool {
 public:
  std::size_t size() const noexcept { return jobs_.size(); }
  // Takes all of `from`, behind what is here.
  void take(job_list<job>& from) noexcept {
    while (job* j = from.pop()) jobs_.push_back(j);
  }
  // Gives all back, before what is in `to`.
  void put_back(job_list<job>& to) noexcept {
    take(to);
    for (job* j : jobs_) to.push(*j);
    jobs_.clear();
  }
  // Takes out the job at `index`, or the oldest if that one has promised to wait for it.
  job& draw(std::size_t index) noexcept {
    if (jobs_[index]->keeps_its_place()) index = 0;
    job& drawn = *jobs_[index];
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(index));
    return drawn;
  }

 private:
  std::vector<job*> jobs_;  // oldest first
};

}  // namespace plait::detail
