// celery/event_sender.hpp: tells monitors (celery events, Flower) what a worker does.
//
// Silent until somebody wants to hear: worker_options::events, or `celery control enable_events`,
// which Flower sends by itself. From then on: worker-online, a heartbeat every two seconds, the
// events of each call in batches of a tenth of a second; worker-offline at the end. What cannot be
// sent is lost, as in Celery, and so is what more than `most_kept` would keep.
//
// Threads:  the worker's loop.
// Source:   celery/events/dispatcher.py, celery/worker/heartbeat.py; Celery's "Event Reference".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "celery/control_channel.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {

class event_sender {
 public:
  struct load {
    std::size_t active = 0;
    std::uint64_t processed = 0;
  };
  enum class interest : unsigned char { nobody, workers, calls };

  event_sender(control_channel& to, std::string hostname, interest now);

  // Until it is cancelled. `read` is asked for each heartbeat.
  task<> run(std::function<load()> read);
  // Afterwards: what is left, and that the worker has gone. In a second at most.
  task<> say_goodbye();

  // False: it was so already.
  bool set_calls(bool wanted);
  bool wants_calls() const noexcept { return interest_ == interest::calls; }
  // The event of a call. Of little cost while nobody wants to hear; `fields` are made by whoever knows that
  // somebody does.
  void tell(const char* type, dict fields);

 private:
  static constexpr std::size_t most_kept = 10'000;
  event made(const char* type, dict fields);
  task<> send_one(const char* type, dict fields);
  task<> flush();
  static dict description(const load& now);

  control_channel& to_;
  const std::string hostname_;
  interest interest_;
  bool announced_ = false;
  std::vector<event> kept_;
  std::int64_t clock_ = 0;
  plait::event news_;
};

}  // namespace plait::celery::detail
