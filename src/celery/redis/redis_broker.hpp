// src/celery/redis/redis_broker.hpp: kombu's queues in Redis, with leases that lose nothing.
//
// A message goes from its list to `unacked` inside one script, so there is no moment at which nobody
// has it. Leases are measured by the server's clock and kept in a set of our own; `unacked_index` has
// their last renewal, so that Python's workers, which give back what is older than their visibility
// timeout, leave alone what is renewed. Who waits does not ask: the server says when a list that was
// seen empty has changed (CLIENT TRACKING). Without that (before Redis 6, behind some proxies) lists
// are looked at every 0.1 s to 1 s.
#pragma once

#include <memory>
#include <set>

#include "celery/broker.hpp"
#include "celery/redis/connection.hpp"
#include "celery/redis/keys.hpp"
#include "plait/coroutines/event.hpp"

namespace plait::celery::redis {

struct broker_options {
  redis::keys keys = {};
  // After how long Python's workers take what others reserved for lost.
  duration visibility_timeout = std::chrono::hours(1);
  duration sweep_every = std::chrono::seconds(5);
  // How long a command may take, the wait for a connection included.
  duration patience = std::chrono::seconds(30);
};

class redis_broker final : public detail::broker {
 public:
  redis_broker(connection_options server, broker_options options);
  ~redis_broker() override;

  task<> publish(std::vector<detail::parcel> parcels) override;
  task<std::vector<detail::delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                              duration lease) override;
  bool may_have_more() const noexcept override;
  task<std::vector<std::string>> renew(std::vector<std::string> tags, duration lease) override;
  task<> finish(std::vector<detail::ending> endings) override;
  task<> restore(std::vector<std::string> tags, hand_out h) override;
  bool keeps(const detail::result_backend& backend) const noexcept override;
  task<std::vector<detail::queue_length>> lengths(std::vector<std::string> queues) override;
  task<std::vector<detail::dead_message>> dead(std::string queue, std::size_t at_most) override;
  task<bool> retry_dead(std::string queue, std::string id) override;
  task<bool> drop_dead(std::string queue, std::string id) override;

  redis::connection& connection() noexcept;
  // Gives back what nobody renews; returns how many. reserve() does that by itself.
  task<std::int64_t> sweep();
  // What an operator must know of this server: an eviction policy that loses messages. Or "".
  task<std::string> warning();
  void close() noexcept;

 private:
  struct store;
  struct hand_over;
  std::shared_ptr<store> store_;
};

}  // namespace plait::celery::redis
