// src/celery/amqp/amqp_broker.hpp: Celery's queues in RabbitMQ.
//
// A lease is an unacknowledged delivery: it lasts as long as the connection, however long that is, and
// ends with it. What waits is taken with basic.get, and when nothing waits a consumer with a prefetch of
// one sleeps on each queue until something comes; so nothing is held here that nobody has reserved.
//
// Queues are declared as kombu does it, durable, with a direct exchange of the same name; one that is
// there with other arguments is taken as it is. Publishing is confirmed and mandatory. What follows on
// an ending is confirmed before the message is acknowledged. The dead lie in plait.dead.<queue>.
//
// What RabbitMQ does not tell: a classic queue says only whether a message was handed out before, so
// deliveries are counted exactly where this broker puts them back (a child process died), and beyond
// that 2 stands for "more than once". A quorum queue (?quorum=1) counts.
#pragma once

#include <memory>

#include "celery/amqp/rpc_backend.hpp"
#include "celery/broker.hpp"

namespace plait::celery::amqp {

class amqp_broker final : public detail::broker {
 public:
  // `results`: listens before a call is published whose result is wanted.
  amqp_broker(std::shared_ptr<amqp::connection> server, std::shared_ptr<reply_book> book,
              rpc_backend& results);
  ~amqp_broker() override;

  task<> publish(std::vector<detail::parcel> parcels) override;
  task<std::vector<detail::delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                              duration lease) override;
  task<std::vector<std::string>> renew(std::vector<std::string> tags, duration lease) override;
  task<> finish(std::vector<detail::ending> endings) override;
  task<> restore(std::vector<std::string> tags, hand_out h) override;
  bool keeps(const detail::result_backend& backend) const noexcept override;
  // leased: only what this connection holds.
  task<std::vector<detail::queue_length>> lengths(std::vector<std::string> queues) override;
  task<std::vector<detail::dead_message>> dead(std::string queue, std::size_t at_most) override;
  task<bool> retry_dead(std::string queue, std::string id) override;
  task<bool> drop_dead(std::string queue, std::string id) override;

 private:
  struct store;
  struct intake;
  struct dead_look;
  std::shared_ptr<store> store_;
};

}  // namespace plait::celery::amqp
