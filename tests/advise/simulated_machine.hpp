// A machine that runs calls of a known kind in virtual time: so many cores shared by those that
// compute, one lock, and a service outside that may be full. Seeded, so every run can be repeated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "advise/width_controller.hpp"

namespace plait::testing {

struct simulated_call {
  double cpu = 0;     // seconds
  double locked = 0;  // of CPU under the lock, first
  double wait = 0;    // at the service outside, afterwards
};

struct simulated_service {
  double most = 1e9;    // calls at once; the others queue
  double degrades = 0;  // slower by this share for each call above `most`
};

class simulated_machine {
 public:
  using source = std::function<simulated_call(double now, std::mt19937& random)>;
  simulated_machine(double cores, source next, simulated_service service, unsigned seed)
      : cores_(cores), next_(std::move(next)), service_(service), random_(seed) {}

  // Calls ended in so many seconds at a fixed width.
  double fixed(std::size_t width, double seconds) {
    width_ = width;
    advance(seconds);
    return ended_;
  }
  // The same under a controller that looks every `tick`.
  double controlled(detail::width_controller& controller, double seconds, double tick = 0.002) {
    width_ = controller.width();
    while (now_ < seconds) {
      seen_ = {.elapsed = tick, .queued = 1000};
      epoch_ = controller.epoch();
      advance(now_ + tick);
      for (const auto& c : calls_) seen_.oldest = std::max(seen_.oldest, now_ - c.begun);
      const auto next = controller.observe(seen_);
      if (next != width_) widths.emplace_back(now_, next);
      width_ = next;
    }
    return ended_;
  }
  std::vector<std::pair<double, std::size_t>> widths;  // every change, and when
  double now() const { return now_; }

 private:
  enum class step { lock, cpu, queue, outside };
  struct running {
    simulated_call call;
    double begun;
    std::uint32_t epoch;
    step at;
    double left;
  };

  // To the next end of anything, or to `until`.
  void advance(double until) {
    while (now_ < until) {
      while (calls_.size() < width_) begin();
      std::size_t computing = 0, outside = 0, lockers = 0;
      for (const auto& c : calls_) {
        computing += c.at == step::cpu || (c.at == step::lock && lockers++ == 0);
        outside += c.at == step::outside;
      }
      const double cpu_rate = std::min(1.0, cores_ / double(std::max<std::size_t>(computing, 1)));
      const double over = std::max(0.0, double(outside) - service_.most);
      // One that degrades takes everybody in; else the rest queue.
      const double outside_rate = service_.degrades > 0 ? 1 / (1 + service_.degrades * over) : 1;
      double span = until - now_;
      bool holder = true;
      for (auto& c : calls_) {
        if (c.at == step::queue) continue;
        if (c.at == step::lock && !std::exchange(holder, false)) continue;
        span = std::min(span, c.left / rate(c, cpu_rate, outside_rate));
      }
      pass(span, cpu_rate, outside_rate);
    }
  }
  static double rate(const running& c, double cpu_rate, double outside_rate) {
    return c.at == step::outside ? outside_rate : cpu_rate;
  }
  void pass(double span, double cpu_rate, double outside_rate) {
    now_ += span;
    bool holder = true;
    for (auto& c : calls_) {
      seen_.under_way += span;
      if (c.at == step::queue) continue;
      if (c.at == step::lock && !holder) {
        seen_.locked += span;
        continue;
      }
      if (c.at == step::lock) holder = false;
      if (c.at != step::outside) {
        seen_.computing += span * cpu_rate;
        seen_.runnable += span * (1 - cpu_rate);
      }
      c.left -= span * rate(c, cpu_rate, outside_rate);
    }
    for (std::size_t i = 0; i < calls_.size();) {
      auto& c = calls_[i];
      if (c.at == step::queue || c.left > 1e-12 || !move_on(c)) {
        ++i;
        continue;
      }
      end(c);
      calls_.erase(calls_.begin() + std::ptrdiff_t(i));
    }
    std::size_t outside = std::size_t(std::count_if(
        calls_.begin(), calls_.end(), [](const auto& c) { return c.at == step::outside; }));
    for (auto& c : calls_)
      if (c.at == step::queue && double(outside) < service_.most) {
        c.at = step::outside;
        ++outside;
      }
  }
  // To its next step; true: there is none.
  bool move_on(running& c) {
    if (c.at == step::lock && c.call.cpu > 0) {
      c.at = step::cpu;
      c.left = c.call.cpu;
      return false;
    }
    if (c.at != step::outside && c.call.wait > 0) {
      c.at = service_.degrades > 0 ? step::outside : step::queue;
      c.left = c.call.wait;
      return false;
    }
    return true;
  }
  void begin() {
    const simulated_call call = next_(now_, random_);
    running c{call, now_, epoch_, step::cpu, call.cpu};
    if (call.locked > 0) {
      c.at = step::lock;
      c.left = call.locked;
    } else if (call.cpu <= 0) {
      c.at = service_.degrades > 0 ? step::outside : step::queue;
      c.left = call.wait;
    }
    calls_.push_back(c);
    if (c.at == step::queue) pass_queue();
  }
  void pass_queue() {
    const auto outside = std::count_if(calls_.begin(), calls_.end(),
                                       [](const auto& c) { return c.at == step::outside; });
    if (double(outside) < service_.most) calls_.back().at = step::outside;
  }
  void end(const running& c) {
    ++ended_;
    ++seen_.ended;
    const double latency = now_ - c.begun;
    seen_.longest = std::max(seen_.longest, latency);
    if (c.epoch != epoch_) return;
    ++seen_.whole;
    seen_.latency_sum += latency;
    seen_.latency_squares += latency * latency;
  }

  const double cores_;
  const source next_;
  const simulated_service service_;
  std::mt19937 random_;
  double now_ = 0, ended_ = 0;
  std::uint32_t epoch_ = 0;
  std::size_t width_ = 1;
  std::deque<running> calls_;
  detail::observation seen_;
};

}  // namespace plait::testing
