// src/advise/first_calls.hpp: the first calls of an executor, each measured on its own thread.
//
// They say at once what the calls are, before anything has had to wait, and after how many of them
// that was clear. The others are watched from outside (width_keeper.hpp), which costs them nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "advise/call_lane.hpp"
#include "plait/core/job.hpp"

namespace plait::detail {

class first_calls {
 public:
  static constexpr std::size_t most = 64;

  bool are_over() const noexcept { return taken_.load(std::memory_order_relaxed) >= most; }
  // j.run(), measured if there is still need for it.
  void run(job& j) noexcept;

  struct verdict {
    std::size_t measured = 0;
    double computing = 0, waited = 0, runnable = 0;  // seconds, of all of them
    std::size_t clear_after = 0;                     // calls from which on the answer was the same
  };
  verdict judge() const noexcept;

 private:
  struct call {
    std::atomic<bool> done{false};
    double computing = 0, waited = 0, runnable = 0;  // written before done
  };
  std::atomic<std::size_t> taken_{0}, ended_{0};
  std::array<call, most> calls_;  // in the order in which they ended
};

}  // namespace plait::detail
