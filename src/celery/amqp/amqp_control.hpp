// src/celery/amqp/amqp_control.hpp: kombu's mailboxes and events in RabbitMQ.
//
//   celery.pidbox             fanout: requests; each worker has a queue <name>.celery.pidbox
//   reply.celery.pidbox       direct: answers, to <asker>.reply.celery.pidbox
//   celeryev                  topic: events
//
// What comes faster than it is taken is kept up to a limit, beyond which the oldest goes.
#pragma once

#include <memory>

#include "celery/amqp/connection.hpp"
#include "celery/control_channel.hpp"

namespace plait::celery::amqp {

class amqp_control final : public detail::control_channel {
 public:
  explicit amqp_control(std::shared_ptr<amqp::connection> server);
  ~amqp_control() override;

  task<> broadcast(std::string envelope) override;
  task<std::string> next_request() override;
  task<> reply(std::string exchange, std::string routing_key, std::string envelope) override;
  // Answers may come from the first call on, or from the broadcast() of a request that names it.
  task<std::string> next_reply(std::string routing_key) override;
  task<> emit(std::string routing_key, std::string envelope) override;
  task<std::pair<std::string, std::string>> next_event() override;

 private:
  struct post;
  std::shared_ptr<post> post_;
};

}  // namespace plait::celery::amqp
