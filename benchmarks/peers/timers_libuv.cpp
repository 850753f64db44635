// libuv for the timers' row; it has no coroutines.
#include <uv.h>

#include <vector>

#include "../coroutine_workloads.hpp"

namespace {

void timers(const measurement::arguments& given) {
  uv_loop_t* loop = uv_default_loop();
  const long n = given.n_or(5'000'000);
  std::vector<uv_timer_t> alive(workloads::timers_alive);
  for (auto& timer : alive) uv_timer_init(loop, &timer);
  const measurement::stopwatch watch;
  for (long i = 0; i < n; ++i) {
    uv_timer_t* oldest = &alive[static_cast<std::size_t>(i % workloads::timers_alive)];
    uv_timer_stop(oldest);
    uv_timer_start(
        oldest, [](uv_timer_t*) {}, static_cast<std::uint64_t>(workloads::timer_delay_ms(i)), 0);
  }
  workloads::report_coroutines(given, "libuv", n, watch);
}

}  // namespace

int main(int argc, char** argv) { return measurement::run_mode(argc, argv, {{"timers", timers}}); }
