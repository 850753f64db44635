#include "advise/width_controller.hpp"

#include <algorithm>
#include <cmath>

namespace plait::detail {
namespace {

constexpr double first_stop = 16, second_stop = 32, stride = 8;
constexpr double shortest_look = 0.005;  // seconds that a width is given at least
constexpr double stall = 0.004;          // without an end, after which more are tried at once
constexpr double full = 0.88;            // of the cores; more is hardly ever measured
constexpr double idle = 0.35;
constexpr double must_pay = 0.5;  // exponent of throughput over width
constexpr double climb_by = 1.25;
constexpr double first_patience = 0.4, most_patience = 30;
constexpr double another_phase = 3;
constexpr double handed_over_together = 200e-6;  // seconds of computing a core

}  // namespace

width_controller::width_controller(width_limits limits) noexcept
    : limits_(limits),
      width_(
          std::clamp(limits.first != 0 ? limits.first : limits.cores, limits.least, limits.most)),
      patience_(first_patience) {}

std::size_t width_controller::observe(const observation& o) noexcept {
  if (o.elapsed <= 0 || limits_.least == limits_.most) return width_;
  add(o);
  if (o.queued == 0) {  // nobody waits: there is nothing that a width could do
    if (stage_ != stage::learning || seen_.elapsed > 1) restart();
    return width_;
  }
  switch (stage_) {
    case stage::learning:
      learn();
      break;
    case stage::climbing:
      climb();
      break;
    case stage::steady:
      hold();
      break;
  }
  return width_;
}

void width_controller::add(const observation& o) noexcept {
  seen_.elapsed += o.elapsed;
  seen_.under_way += o.under_way;
  seen_.computing += o.computing;
  seen_.runnable += o.runnable;
  seen_.locked += o.locked;
  seen_.ended += o.ended;
  seen_.whole += o.whole;
  seen_.latency_sum += o.latency_sum;
  seen_.latency_squares += o.latency_squares;
  seen_.longest = std::max(seen_.longest, o.longest);
  longest_ = std::max({longest_, o.longest, o.oldest});
  const double cores = double(std::min(width_, limits_.cores));
  // A burst that waits for a CPU fills the cores now, not on average.
  const double wanted = std::min(o.computing + o.runnable, cores * o.elapsed);
  demand_ += wanted;
  const bool idles = wanted < idle * cores * o.elapsed;
  idle_for_ = idles ? idle_for_ + o.elapsed : 0;
  stalled_for_ = idles && o.ended == 0 ? stalled_for_ + o.elapsed : 0;
}

// --- What was seen --------------------------------------------------------------------------------

bool width_controller::is_uniform() const noexcept {
  const double mean = seen_.latency_sum / seen_.whole;
  return longest_ < 2 * mean &&
         seen_.latency_squares / seen_.whole - mean * mean < 0.12 * mean * mean;
}

bool width_controller::is_telling() const noexcept {
  if (seen_.elapsed < shortest_look || seen_.whole == 0) return false;
  const double n = double(width_);
  // Calls of one kind: each place has seen one end.
  if (is_uniform() && seen_.whole >= std::max(std::min(8.0, n), 0.5 * n)) return true;
  // Of several kinds: long ones too have had the time to end.
  if (seen_.whole >= std::max(50.0, 2 * n) && seen_.elapsed >= 2 * longest_) return true;
  // Far longer than they used to take: that tells as well.
  return before_.latency > 0 &&
         seen_.elapsed > std::max(0.05, 4 * std::max(before_.latency, longest_)) &&
         seen_.ended >= 8;
}

width_controller::trial width_controller::judge() const noexcept {
  trial t;
  t.width = double(width_);
  t.latency = seen_.latency_sum / std::max(1.0, seen_.whole);
  const double in_flight = std::min(t.width, seen_.under_way / seen_.elapsed);
  t.uniform = seen_.whole > 0 && is_uniform();
  t.throughput = t.uniform ? in_flight / t.latency : seen_.ended / seen_.elapsed;
  const double variance =
      std::max(0.0, seen_.latency_squares / std::max(1.0, seen_.whole) - t.latency * t.latency);
  t.error = 0.02 + std::sqrt(variance / std::max(1.0, seen_.whole)) / std::max(1e-9, t.latency);
  t.cpu = seen_.computing / std::max(1.0, seen_.ended);
  t.share = seen_.under_way > 0 ? seen_.computing / seen_.under_way : 0;
  t.busy = demand_ / seen_.elapsed;
  return t;
}

bool width_controller::fills_cores(const trial& t) const noexcept {
  return t.busy >= full * double(std::min(width_, limits_.cores));
}

// What every call does has been seen: the calls that were begun together have come apart.
bool width_controller::has_settled() const noexcept { return seen_.elapsed >= 2 * longest_; }

// The width of calls that only compute.
double width_controller::full_width(const trial& t) const noexcept {
  const double each = t.cpu > 0 ? handed_over_together / t.cpu : 1;
  return double(limits_.cores) * std::clamp(std::round(each), 1.0, double(limits_.crowd));
}

// The width that keeps the cores busy.
double width_controller::enough(const trial& t) const noexcept {
  const double cores = double(limits_.cores);
  const double outside =
      std::max(0.0, seen_.under_way - seen_.computing - seen_.runnable - seen_.locked);
  if (seen_.computing < 1e-4 * outside) return double(limits_.most);
  const double wanted = std::round(cores * (1 + 2 * outside / std::max(1e-12, seen_.computing)));
  // What waits behind full cores looks as if it waited outside, where calls share threads.
  const double by_little =
      fills_cores(t) && shortest_ > 0 ? std::ceil(1.5 * t.throughput * shortest_) : wanted;
  return std::max(full_width(t), std::min(wanted, by_little));
}

// Whether the step from `before_` was worth it.
bool width_controller::pays(const trial& t) const noexcept {
  const double steps = t.width / before_.width;
  // Where calls differ, a step that paid may seem not to have.
  const double noise = t.uniform ? 1 : 1 + 2 * std::hypot(t.error, before_.error);
  if (t.throughput <= 0) return false;
  return t.throughput * noise >= before_.throughput * std::pow(steps, must_pay) &&
         t.throughput >= before_.throughput;
}

double width_controller::knee(const trial& t) const noexcept {
  // The first ends after a step come early: what they promise has to be clear.
  const double most = t.throughput > 1.3 * before_.throughput ? t.throughput : before_.throughput;
  return t.uniform && shortest_ > 0 ? std::ceil(1.06 * most * shortest_) : before_.width;
}

// --- What follows ---------------------------------------------------------------------------------

void width_controller::learn() noexcept {
  const double n = double(width_);
  if (!is_telling()) {
    const bool locks = seen_.locked > 0.5 * seen_.under_way;
    if (n < first_stop && stalled_for_ >= stall && !locks) change(std::min(2 * n, first_stop));
    return;
  }
  const trial t = judge();
  if (t.uniform && (shortest_ == 0 || t.latency < shortest_)) shortest_ = t.latency;
  const double target = enough(t);
  const double blocked = seen_.under_way - seen_.computing - seen_.runnable;
  if (seen_.locked > 0.5 * blocked && seen_.locked > 0.2 * seen_.under_way)
    return settle(std::min(n, target), bound::locks, t);
  if (fills_cores(t) && !has_settled()) return;
  if (fills_cores(t) || (t.share > 0.02 && n >= 0.9 * target && n <= 1.1 * target))
    return settle(fills_cores(t) ? std::min(target, std::max(n, full_width(t))) : target,
                  bound::cores, t);
  if (before_.width > 0 && n > before_.width && !pays(t)) return settle(knee(t), bound::outside, t);
  const double next = n < first_stop ? first_stop : n < second_stop ? second_stop : stride * n;
  const double wider = std::min({next, target, double(limits_.most)});
  if (wider <= n) return settle(wider, n >= double(limits_.most) ? bound::limit : bound::cores, t);
  before_ = t;
  last_ = t;
  change(wider);
}

void width_controller::hold() noexcept {
  if (bound_ == bound::cores && idle_for_ > 0.02 && seen_.computing < 0.1 * seen_.under_way)
    return begin_phase();
  if (!is_telling() || seen_.elapsed < 0.05) return;
  const trial t = judge();
  if (is_another_phase(t)) {
    if (++odd_ >= 2) return begin_phase();
    return restart();
  }
  odd_ = 0;
  since_climb_ += seen_.elapsed;
  const double n = double(width_), target = enough(t);
  if (fills_cores(t)) {
    if (n > 1.3 * target) return settle(target, bound::cores, t);
    bound_ = bound_ == bound::locks ? bound_ : bound::cores;
  } else if (bound_ == bound::cores && 1.3 * n < target && has_settled()) {
    before_ = {};
    stage_ = stage::learning;
    return;
  } else if (bound_ != bound::cores && bound_ != bound::locks && shortest_ > 0 && t.uniform &&
             t.latency > 1.1 * shortest_ * (1 + 2 * t.error)) {
    before_ = t;
    return settle(std::min(n, knee(t)), bound::outside, t);
  } else if (since_climb_ >= patience_ && n < double(limits_.most)) {
    before_ = t;
    stage_ = stage::climbing;
    settled_ = false;
    return change(std::max(n + 1, std::ceil(climb_by * n)));
  }
  last_ = t;
  restart();
}

void width_controller::climb() noexcept {
  // What began before the change is still in everybody's way.
  if (!settled_) {
    if (seen_.elapsed < 1.2 * std::max(before_.latency, longest_)) return;
    settled_ = true;
    return restart();
  }
  if (!is_telling()) return;
  const trial t = judge();
  since_climb_ = 0;
  if (pays(t) && t.throughput > before_.throughput * (1 + std::hypot(t.error, before_.error))) {
    patience_ = first_patience;
    stage_ = stage::learning;  // and on, if there is more to be had
    return restart();
  }
  patience_ = std::min(most_patience, 2 * patience_);
  settle(before_.width, bound_, before_);
}

bool width_controller::is_another_phase(const trial& t) const noexcept {
  const auto differs = [](double a, double b, double least) {
    return (a > another_phase * b || b > another_phase * a) && std::max(a, b) > least;
  };
  return differs(t.cpu, last_.cpu, 20e-6) ||
         (t.uniform && last_.uniform && differs(t.latency, last_.latency, 1e-4));
}

void width_controller::settle(double width, bound why, const trial& t) noexcept {
  last_ = t;
  bound_ = why;
  stage_ = stage::steady;
  before_ = t;
  odd_ = 0;
  since_climb_ = 0;
  change(width);
}

void width_controller::change(double width) noexcept {
  width_ = std::clamp(std::size_t(std::max(1.0, width)), limits_.least, limits_.most);
  restart();
}

void width_controller::begin_phase() noexcept {
  ++phases_;
  stage_ = stage::learning;
  bound_ = bound::unknown;
  before_ = {};
  shortest_ = longest_ = 0;
  patience_ = first_patience;
  odd_ = 0;
  restart();
}

void width_controller::restart() noexcept {
  ++epoch_;
  seen_ = {};
  demand_ = 0;
  idle_for_ = stalled_for_ = 0;
  longest_ *= 0.9;
}

}  // namespace plait::detail
