// src/advise/width_controller.hpp: how many calls at once, decided by what the last ones did.
//
// A pure machine: it reads no clock and touches no thread. Whoever runs the calls shows it every few
// milliseconds what has happened since it looked last, and does as it says.
//
// What it sees      of the time that calls were under way: computing, runnable (waiting for a CPU),
//                   locked, and the rest, which is waiting for the world outside; calls that ended.
// Feed forward      cores * (1 + outside / computing) calls keep every core busy (Goetz), with twice
//                   as many outside, because calls do not take turns neatly. More are never
//                   asked for.
// Crowd             calls that compute for microseconds end sooner than the next one is handed over:
//                   of those a core has several under way, as many as take 200 us together.
// Slow start        while the CPUs idle and nothing ends, the width doubles, up to 16.
// Step and test     16, 32, then eight times as many at a step, as long as each step pays: throughput
//                   must grow with at least a quarter of the width's exponent. Where it does not,
//                   something outside is full: back to 1.06 * throughput * the shortest latency
//                   (Little's law), the width at which its queue begins.
// Climbing          in a steady state a quarter more is tried now and then, and kept if it pays; each
//                   try that does not doubles the time to the next.
// Another phase     a core-bound width that leaves its cores idle, or calls that compute or take
//                   threefold or a third: everything is learnt anew, from the width that it has.
// Kinds of calls    where calls are alike, each place's first end tells; where they are not, one has
//                   to wait until the long ones have had the time to end, twice.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plait::detail {

struct width_limits {
  std::size_t least = 1, most = 256, cores = 1;
  std::size_t first = 0;  // width to begin with; 0: cores
  // Of calls that compute so shortly that handing one over shows: how many a core at most.
  std::size_t crowd = 1;
};

// Since the last look. Times in seconds; those from under_way to locked are sums over the calls:
// ten calls that wait for a second wait for ten.
struct observation {
  double elapsed = 0;
  std::size_t queued = 0;  // calls that wait to begin, now
  double under_way = 0;
  double computing = 0, runnable = 0, locked = 0;
  double ended = 0;  // calls
  // Of those calls that also began under the present epoch().
  double whole = 0, latency_sum = 0, latency_squares = 0;
  double longest = 0;  // that ended
  double oldest = 0;   // how long the oldest one that is under way has been so, now
};

class width_controller {
 public:
  explicit width_controller(width_limits limits) noexcept;

  // The width from now on.
  std::size_t observe(const observation& seen) noexcept;
  std::size_t width() const noexcept { return width_; }
  // Changes whenever calls that are under way stop being a measure for the width.
  std::uint32_t epoch() const noexcept { return epoch_; }

  enum class stage { learning, climbing, steady };
  enum class bound { unknown, cores, outside, limit, locks };
  stage now() const noexcept { return stage_; }
  bound bounded_by() const noexcept { return bound_; }
  // As it was measured last; throughput is 0 until then.
  double throughput() const noexcept { return last_.throughput; }
  double latency() const noexcept { return last_.latency; }
  double computing_share() const noexcept { return last_.share; }
  unsigned phases() const noexcept { return phases_; }

 private:
  // What a width was seen to do.
  struct trial {
    double width = 0;
    double throughput = 0;  // calls a second
    double latency = 0;     // seconds a call
    double error = 1;       // of the throughput, relative: one standard deviation
    double cpu = 0;         // seconds a call
    double share = 0;       // of the time under way that is computing
    double busy = 0;        // cores that its calls had or wanted
    bool uniform = false;   // its calls took about the same time
  };
  void add(const observation& o) noexcept;
  bool is_telling() const noexcept;
  bool has_settled() const noexcept;
  bool is_uniform() const noexcept;
  bool fills_cores(const trial& t) const noexcept;
  trial judge() const noexcept;
  double enough(const trial& t) const noexcept;
  double full_width(const trial& t) const noexcept;
  bool pays(const trial& t) const noexcept;
  double knee(const trial& t) const noexcept;
  void learn() noexcept;
  void hold() noexcept;
  void climb() noexcept;
  bool is_another_phase(const trial& t) const noexcept;
  void settle(double width, bound why, const trial& t) noexcept;
  void change(double width) noexcept;
  void begin_phase() noexcept;
  void restart() noexcept;

  const width_limits limits_;
  std::size_t width_;
  std::uint32_t epoch_ = 0;
  stage stage_ = stage::learning;
  bound bound_ = bound::unknown;
  observation seen_;        // since the last restart()
  double demand_ = 0;       // core-seconds that its calls had or wanted, also since then
  double idle_for_ = 0;     // how long the cores have idled without a pause
  double stalled_for_ = 0;  // and nothing ended
  trial last_;              // of the width that it held or tried last
  trial before_;            // that a step is compared with
  double shortest_ = 0;     // latency of this phase; 0: not known
  double longest_ = 0;      // call seen lately
  double patience_, since_climb_ = 0;
  bool settled_ = false;  // while climbing
  unsigned odd_ = 0;      // times in a row that another phase seemed to have begun
  unsigned phases_ = 1;
};

}  // namespace plait::detail
