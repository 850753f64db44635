// src/advise/observe/spinning.hpp: whether a CPU is busy with waiting: a loop around a lock's word.
//
// A spinning thread looks like a computing one to the kernel. Where it may, this samples the instruction
// pointers of the busiest threads by a software clock of perf (no counters of the CPU needed) and reads
// the code around them: PAUSE, or an atomic exchange with a jump back a few bytes.
//
// Threads:  one at a time.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "advise/observe/process_tree.hpp"

namespace plait::detail {

class spin_sampler {
 public:
  spin_sampler() = default;
  spin_sampler(const spin_sampler&) = delete;
  spin_sampler& operator=(const spin_sampler&) = delete;
  ~spin_sampler();

  // At most once in half a second: collects, and follows who is busy now.
  void look(process_tree& tree, double now);
  // Of the samples: within a loop that spins; -1 if there were too few or it is not allowed.
  double share() const;

 private:
  struct source {
    int fd = -1;
    void* ring = nullptr;
    int pid = 0;
    double run = 0;
  };
  void collect(source& from);
  bool spins_at(int pid, unsigned long address);

  std::map<int, source> sources_;  // by thread
  std::map<std::pair<int, unsigned long>, bool> known_;
  double next_ = 0.3;
  std::size_t samples_ = 0, spinning_ = 0;
  bool refused_ = false;
};

}  // namespace plait::detail
