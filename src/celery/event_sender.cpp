#include "celery/event_sender.hpp"

#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "celery/wall_clock.hpp"
#include "plait/celery/errors.hpp"
#include "plait/core/version.hpp"

namespace plait::celery::detail {
namespace {

constexpr duration beat = std::chrono::seconds(2), batch = std::chrono::milliseconds(100);

// Hours, west is above zero.
std::int64_t utc_offset() {
  const time_t now = ::time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  return -local.tm_gmtoff / 3600;
}

}  // namespace

event_sender::event_sender(control_channel& to, std::string hostname, interest now)
    : to_(to), hostname_(std::move(hostname)), interest_(now) {}

event event_sender::made(const char* type, dict fields) {
  event e;
  e.type = type;
  e.hostname = hostname_;
  e.timestamp = static_cast<double>(wall_clock_now()) / 1000;
  e.utcoffset = utc_offset();
  e.pid = ::getpid();
  e.clock = ++clock_;
  e.fields = std::move(fields);
  return e;
}

dict event_sender::description(const load& now) {
  double averages[3] = {0, 0, 0};
  static_cast<void>(getloadavg(averages, 3));
  list loads;
  for (const double each : averages) loads.push_back(each);
  return dict{{"freq", 2.0},
              {"active", static_cast<std::int64_t>(now.active)},
              {"processed", static_cast<std::int64_t>(now.processed)},
              {"loadavg", std::move(loads)},
              {"sw_ident", "plait"},
              {"sw_ver", plait::version},
              {"sw_sys", "Linux"}};
}

bool event_sender::set_calls(bool wanted) {
  if (wants_calls() == wanted) return false;
  interest_ = wanted ? interest::calls : interest::workers;
  news_.set();
  return true;
}

void event_sender::tell(const char* type, dict fields) {
  if (!wants_calls()) return;
  if (kept_.size() >= most_kept) return;
  kept_.push_back(made(type, std::move(fields)));
  news_.set();
}

task<> event_sender::send_one(const char* type, dict fields) {
  const event e = made(type, std::move(fields));
  std::string key = e.type;
  key.replace(key.find('-'), 1, ".");
  std::string text = encode_envelope(encode_event(e));
  try {
    co_await to_.emit(std::move(key), std::move(text));
  } catch (const transport_error&) {
    // Nobody hears it.
  }
}

task<> event_sender::flush() {
  if (kept_.empty()) co_return;
  const std::vector<event> these = std::exchange(kept_, {});
  std::string text = encode_envelope(encode_events(these));
  try {
    co_await to_.emit("task.multi", std::move(text));
  } catch (const transport_error&) {
  }
}

task<> event_sender::run(std::function<load()> read) {
  auto& loop = event_loop::current();
  while (interest_ == interest::nobody) {
    co_await news_.wait();
    news_.clear();
  }
  auto hello = description(read());
  co_await send_one("worker-online", std::move(hello));
  announced_ = true;
  time_point next = loop.now() + beat;
  for (;;) {
    const bool told = co_await move_on_after(next - loop.now(), news_.wait());
    if (told) {
      news_.clear();
      co_await sleep(batch);
      co_await flush();
    }
    if (loop.now() < next) continue;
    next = loop.now() + beat;
    auto now = description(read());
    co_await send_one("worker-heartbeat", std::move(now));
  }
}

task<> event_sender::say_goodbye() {
  if (!announced_) co_return;
  const auto last_words = [](event_sender& self) -> task<> {
    co_await self.flush();
    dict nothing = description({});
    co_await self.send_one("worker-offline", std::move(nothing));
  };
  auto words = last_words(*this);
  static_cast<void>(co_await move_on_after(std::chrono::seconds(1), std::move(words)));
}

}  // namespace plait::celery::detail
