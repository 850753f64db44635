#include "advise/width_keeper.hpp"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace plait::detail {
namespace {

using namespace std::chrono_literals;
constexpr auto while_learning = 2ms, while_steady = 10ms;
constexpr int quiet_looks = 10;              // without a queue, after which it sleeps
constexpr std::size_t accounts_a_look = 32;  // of threads, and as many open files at most
constexpr int samples_a_look = 4;

duration to_span(double seconds) { return duration(std::int64_t(1e9 * seconds)); }

}  // namespace

width_keeper::width_keeper(width_limits limits)
    : limits_(limits), controller_(limits), width_(controller_.width()) {
  totals_.first_width = controller_.width();
}
width_keeper::~width_keeper() = default;

std::shared_ptr<call_lane> width_keeper::add_lane() {
  auto lane = std::make_shared<call_lane>();
  const std::lock_guard hold(state_);
  std::erase_if(lanes_, [&](const auto& l) {
    if (!l->gone.load(std::memory_order_acquire)) return false;
    forgotten_ += l->begun.load(std::memory_order_relaxed);
    return true;
  });
  lanes_.push_back(lane);
  return lane;
}

void width_keeper::wake() noexcept {
  const std::lock_guard hold(mutex_);
  if (stopping_ || wanted_.exchange(true, std::memory_order_seq_cst)) return;
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { watch(); });
    } catch (...) {  // no thread to be had: the width stays as it is
      stopping_ = true;
    }
  }
  changed_.notify_one();
}

void width_keeper::stop() noexcept {
  {
    const std::lock_guard hold(mutex_);
    stopping_ = true;
    wanted_.store(true, std::memory_order_seq_cst);  // so that nobody wakes it any more
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void width_keeper::watch() noexcept {
  pthread_setname_np(pthread_self(), "plait-auto");
  std::unique_lock hold(mutex_);
  while (!stopping_) {
    changed_.wait(hold, [&] { return wanted_.load() || stopping_; });
    int quiet = 0;
    looked_ = 0;
    while (!stopping_ && quiet < quiet_looks) {
      hold.unlock();
      look();
      const bool waiting = before_.queued != 0;
      quiet = waiting ? 0 : quiet + 1;
      const bool learning = controller_.now() != width_controller::stage::steady;
      hold.lock();
      changed_.wait_for(hold, learning && waiting ? while_learning : while_steady,
                        [&] { return stopping_; });
    }
    if (stopping_) break;
    // Who comes after this store wakes us; who came before it left something in the queue.
    wanted_.store(false, std::memory_order_seq_cst);
    if (now().queued != 0) wanted_.store(true, std::memory_order_seq_cst);
  }
}

void width_keeper::look() noexcept {
  const std::int64_t time = call_lane::now();
  const load current = now();
  const std::unique_lock hold(state_);
  const double elapsed = 1e-9 * double(time - looked_);
  observation o = read_lanes();
  const bool first = std::exchange(looked_, time) == 0;
  const load before = std::exchange(before_, current);
  if (first) return;  // there was nobody looking when it began
  o.elapsed = elapsed;
  o.queued = std::min(current.queued, before.queued);
  const auto most = double(controller_.width());
  o.under_way = std::min(most, double(current.under_way + before.under_way) / 2) * elapsed;
  o.under_way = std::max(o.under_way, o.computing + o.runnable);
  split_the_rest(o);
  totals_.seconds += elapsed;
  totals_.ended += o.ended;
  totals_.under_way += o.under_way;
  totals_.computing += o.computing;
  totals_.runnable += o.runnable;
  totals_.locked += o.locked;
  const std::size_t width = controller_.observe(o);
  epoch_.store(controller_.epoch(), std::memory_order_relaxed);
  const bool changed = width != width_.load(std::memory_order_relaxed);
  if (totals_.classified_after < 0 &&
      (changed || controller_.now() != width_controller::stage::learning))
    totals_.classified_after = totals_.ended;
  if (!changed) return;
  ++totals_.changes;
  width_.store(width, std::memory_order_relaxed);
  try {
    apply(width);
  } catch (...) {  // no memory or threads: it stays as wide as it is
  }
}

// What the calls did, but for the sums that need now().
observation width_keeper::read_lanes() noexcept {
  observation o;
  const std::int64_t time = call_lane::now();
  std::size_t busy = 0, read = 0;
  for (const auto& lane : lanes_) {
    auto& last = lane->last;
    const auto take = [](auto& then, auto current) {
      const auto delta = current - then;
      then = current;
      return double(delta);
    };
    const double ended = take(last.ended, lane->ended.load(std::memory_order_relaxed));
    const std::int64_t since = lane->since.load(std::memory_order_relaxed);
    if (since != 0) o.oldest = std::max(o.oldest, 1e-9 * double(time - since));
    if (ended == 0 && since == 0) continue;
    o.ended += ended;
    o.whole += take(last.whole, lane->whole.load(std::memory_order_relaxed));
    o.latency_sum += take(last.latency, lane->latency.load(std::memory_order_relaxed));
    o.latency_squares += take(last.squares, lane->squares.load(std::memory_order_relaxed));
    o.longest = std::max(o.longest, lane->longest.exchange(0, std::memory_order_relaxed));
    ++busy;
    call_lane::account spent;
    if (read < accounts_a_look && lane->read(spent)) {
      ++read;
      o.computing += spent.computing;
      o.runnable += spent.runnable;
    }
  }
  if (read != 0 && busy > read) {  // those that were read stand for the others
    const double each = double(busy) / double(read);
    o.computing *= each;
    o.runnable *= each;
  }
  return o;
}

// What the accounts do not tell: of the time that is neither computing nor waiting for a CPU, how much
// goes to locks, and how much only seems to be waiting, because the machine below took the CPU away.
// Some of the threads are asked at each look.
void width_keeper::split_the_rest(observation& o) noexcept {
  const double rest = o.under_way - o.computing - o.runnable;
  if (!has_locks() || lanes_.empty() || rest < 0.05 * o.under_way) return;
  for (int i = 0, tries = 0; i < samples_a_look && tries < 64; ++tries) {
    const auto& lane = lanes_[next_lane_++ % lanes_.size()];
    if (lane->since.load(std::memory_order_relaxed) == 0) continue;
    ++i;
    const auto found = lane->look();
    const double weight = std::max(1.0 / 32, 1 / ++samples_);
    at_locks_ += weight * ((found == call_lane::waiting::for_a_futex) - at_locks_);
    outside_ += weight * ((found == call_lane::waiting::for_the_world) - outside_);
  }
  const double waiting = at_locks_ + outside_;
  if (samples_ < 8) return;
  if (waiting < 0.05) {
    o.runnable += rest;
  } else if (at_locks_ > 0.05) {
    o.locked = rest * at_locks_ / waiting;
  }
}

auto_form_report width_keeper::report() const {
  const std::lock_guard hold(state_);
  auto_form_report r;
  for (const auto& lane : lanes_) r.calls += lane->begun.load(std::memory_order_relaxed);
  r.calls += forgotten_;
  r.width = controller_.width();
  r.first_width = totals_.first_width;
  r.classified_after = std::uint64_t(std::max(0.0, totals_.classified_after));
  r.changes = totals_.changes;
  r.phases = controller_.phases();
  r.is_known = totals_.classified_after >= 0 && totals_.under_way > 0;
  r.throughput = controller_.throughput();
  r.bounded_by = static_cast<auto_form_report::bound>(controller_.bounded_by());
  const double outside =
      std::max(0.0, totals_.under_way - totals_.computing - totals_.runnable - totals_.locked);
  const double own = totals_.computing + outside;
  r.computing = own > 0 ? totals_.computing / own : 0;
  if (totals_.ended == 0) return r;
  r.cpu = to_span(totals_.computing / totals_.ended);
  r.waited = to_span(outside / totals_.ended);
  r.waited_for_cpu = to_span(totals_.runnable / totals_.ended);
  r.waited_for_locks = to_span(totals_.locked / totals_.ended);
  r.gain = r.throughput * own / totals_.ended;
  return r;
}

}  // namespace plait::detail
