// src/advise/width_keeper.hpp: shows a controller what the calls of an engine do, and does as it says.
//
// A thread of its own looks every 2 ms while something is to be learnt, else every 10 ms, and only
// while calls wait to begin: when none has waited for a while it sleeps until one does (backlog), so
// that nothing ticks when nothing is under way. A look reads at most 32 threads' accounts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "advise/call_lane.hpp"
#include "advise/width_controller.hpp"
#include "plait/advise/auto_report.hpp"

namespace plait::detail {

class width_keeper {
 public:
  width_keeper(const width_keeper&) = delete;
  width_keeper& operator=(const width_keeper&) = delete;

  // Calls wait and the width is reached. Any thread; a load, as a rule.
  void backlog() noexcept {
    if (!wanted_.load(std::memory_order_seq_cst)) [[unlikely]]
      wake();
  }
  // No look is under way afterwards, nor will be. Before the engine goes.
  void stop() noexcept;
  bool same_epoch(std::uint32_t then) const noexcept { return epoch() == then; }
  std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }
  std::size_t width() const noexcept { return width_.load(std::memory_order_relaxed); }
  auto_form_report report() const;

  std::shared_ptr<call_lane> add_lane();  // of the calling thread

 protected:
  explicit width_keeper(width_limits limits);
  ~width_keeper();

  struct load {
    std::size_t queued;     // calls that wait to begin
    std::size_t under_way;  // calls that hold a place
  };
  virtual load now() const noexcept = 0;
  virtual void apply(std::size_t width) = 0;
  // Whether a thread that waits in a futex holds up a call of its own.
  virtual bool has_locks() const noexcept = 0;

 private:
  void wake() noexcept;
  void watch() noexcept;
  void look() noexcept;
  observation read_lanes() noexcept;
  void split_the_rest(observation& o) noexcept;

  const width_limits limits_;
  mutable std::mutex state_;  // guards controller_, totals_ and lanes_
  width_controller controller_;
  struct totals {
    double ended = 0, under_way = 0, computing = 0, runnable = 0, locked = 0, seconds = 0;
    double classified_after = -1;  // calls; -1: not yet
    std::size_t first_width = 0;
    std::size_t changes = 0;
  } totals_;
  std::vector<std::shared_ptr<call_lane>> lanes_;
  std::uint64_t forgotten_ = 0;  // calls of threads that have ended
  std::atomic<std::uint32_t> epoch_{0};
  std::atomic<std::size_t> width_;

  // Only the watching thread's.
  std::int64_t looked_ = 0;
  load before_{};
  double at_locks_ = 0, outside_ = 0, samples_ = 0;  // shares of threads under way, lately
  std::size_t next_lane_ = 0;

  std::mutex mutex_;  // guards the three below
  std::condition_variable changed_;
  std::thread thread_;
  bool stopping_ = false;
  std::atomic<bool> wanted_{false};  // written under the mutex
};

}  // namespace plait::detail
