// celery/control_channel.hpp: the seam to what carries remote control and events: best effort, to
// all who listen at the moment. Texts are kombu envelopes, as in broker.hpp.
//
// Threads, stops, throws: as broker.hpp.
#pragma once

#include <string>
#include <utility>

#include "plait/coroutines/task.hpp"

namespace plait::celery::detail {

class control_channel {
 public:
  control_channel() = default;
  control_channel(const control_channel&) = delete;
  control_channel& operator=(const control_channel&) = delete;
  virtual ~control_channel() = default;

  // To every worker's mailbox (celery.pidbox).
  virtual task<> broadcast(std::string envelope) = 0;
  // As a worker: from the first call on nothing is missed until the channel goes.
  virtual task<std::string> next_request() = 0;
  // `routing_key` is the asker's reply_to; `next_reply` waits for what comes under its own.
  virtual task<> reply(std::string exchange, std::string routing_key, std::string envelope) = 0;
  virtual task<std::string> next_reply(std::string routing_key) = 0;
  // An event (celeryev) under a routing key such as worker.heartbeat or task.multi.
  virtual task<> emit(std::string routing_key, std::string envelope) = 0;
  // As a monitor: the next event of any kind, its routing key first.
  virtual task<std::pair<std::string, std::string>> next_event() = 0;
};

}  // namespace plait::celery::detail
