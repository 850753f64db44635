#include "advise/first_calls.hpp"

#include <algorithm>

namespace plait::detail {
namespace {

enum class kind { waits, does_both, computes };
kind kind_of(double computing, double waited) noexcept {
  const double share = computing + waited > 0 ? computing / (computing + waited) : 0;
  return share >= 0.75 ? kind::computes : share < 0.25 ? kind::waits : kind::does_both;
}

}  // namespace

void first_calls::run(job& j) noexcept {
  if (taken_.fetch_add(1, std::memory_order_relaxed) >= most) return j.run();
  const call_lane::account before = call_lane::own();
  const std::int64_t begun = call_lane::now();
  j.run();
  const double took = 1e-9 * double(call_lane::now() - begun);
  const call_lane::account after = call_lane::own();
  call& c = calls_[ended_.fetch_add(1, std::memory_order_relaxed)];
  c.computing = std::min(took, after.computing - before.computing);
  c.runnable = std::min(took - c.computing, std::max(0.0, after.runnable - before.runnable));
  c.waited = took - c.computing - c.runnable;
  c.done.store(true, std::memory_order_release);
}

first_calls::verdict first_calls::judge() const noexcept {
  verdict v;
  kind last = kind::waits;
  for (const auto& c : calls_) {
    if (!c.done.load(std::memory_order_acquire)) continue;
    ++v.measured;
    v.computing += c.computing;
    v.waited += c.waited;
    v.runnable += c.runnable;
    const kind now = kind_of(v.computing, v.waited);
    if (v.measured == 1 || now != last) v.clear_after = v.measured;
    last = now;
  }
  return v;
}

}  // namespace plait::detail
