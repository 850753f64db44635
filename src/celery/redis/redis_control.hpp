// src/celery/redis/redis_control.hpp: kombu's mailboxes and events in Redis.
//
//   /<db>.celery.pidbox             channel: requests to every worker
//   /<db>.celeryev/<routing key>    channels: events
//   <asker>.reply.celery.pidbox     list: answers, bound in _kombu.binding.reply.celery.pidbox
//
// What comes faster than it is taken is kept up to a limit, beyond which the oldest goes.
#pragma once

#include <memory>

#include "celery/control_channel.hpp"
#include "celery/redis/connection.hpp"
#include "celery/redis/keys.hpp"

namespace plait::celery::redis {

class redis_control final : public detail::control_channel {
 public:
  redis_control(connection_options server, redis::keys keys, duration patience);
  ~redis_control() override;

  task<> broadcast(std::string envelope) override;
  task<std::string> next_request() override;
  task<> reply(std::string exchange, std::string routing_key, std::string envelope) override;
  // Answers may come from the first call on, or from the broadcast() of a request that names it.
  task<std::string> next_reply(std::string routing_key) override;
  task<> emit(std::string routing_key, std::string envelope) override;
  task<std::pair<std::string, std::string>> next_event() override;

  // Takes back what it has declared.
  task<> withdraw();
  void close() noexcept;

 private:
  struct post;
  std::shared_ptr<post> post_;
};

}  // namespace plait::celery::redis
