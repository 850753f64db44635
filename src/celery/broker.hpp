// celery/broker.hpp: the seam to what keeps messages: a durable queue with leases.
//
// A broker moves envelopes and never reads more of them than it has to: they come back byte for
// byte. A message is either waiting, leased to one consumer, or dead. A lease that is not renewed
// ends, and the message waits again, as the next in line.
//
// Threads:  belongs to the loop on which its transport was opened.
// Stops:    a stopped reserve has leased nothing, or its leases were given back; a stopped write
//           happened as a whole or not at all.
// Throws:   transport_error when the store cannot do it, after a bounded wait.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "celery/result_backend.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::celery::detail {

// What is published.
struct parcel {
  parcel() = default;
  parcel(std::string text, std::string to, int first = 0, std::int64_t later = 0)
      : envelope(std::move(text)), queue(std::move(to)), priority(first), not_before(later) {}
  // kombu's message as one JSON text: body, headers, properties (research: the list element).
  std::string envelope;
  std::string queue = "celery";
  int priority = 0;  // 0 first, 9 last, as Celery has it on Redis
  // Milliseconds since 1970; 0: at once. A broker may keep the message back until then, or deliver
  // it at once: who consumes looks at the eta in the headers anyway.
  std::int64_t not_before = 0;
};

// What was reserved.
struct delivery {
  std::string tag;  // the lease
  std::string envelope;
  std::string queue;
  // How often it was handed out, this time included; a warm shutdown's hand-outs do not count.
  unsigned deliveries = 1;
  int priority = 0;
  // What the backend that the broker keeps() holds of this task, if the broker looked by the way.
  std::string looked_up = {};  // the task's id; empty: it did not look
  std::optional<std::string> result = {};
};

// How a lease ends, in one transaction where broker and backend are one store; else in this order.
struct ending {
  std::string tag;
  std::vector<parcel> then = {};             // published: a retry, callbacks, the rest of a chain
  std::optional<stored_result> result = {};  // stored; only if broker::keeps() its backend
  std::optional<std::string> bury_because = {};  // to the dead list instead of gone
};

struct dead_message {
  std::string id;  // of the entry in the dead list
  std::string queue;
  std::string reason;
  std::string envelope;
  std::int64_t died_at = 0;  // milliseconds since 1970
};

struct queue_length {
  std::string queue;
  std::uint64_t waiting = 0;  // to be reserved, those with an eta included
  std::uint64_t leased = 0;
  std::uint64_t dead = 0;
};

class broker {
 public:
  broker() = default;
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;
  virtual ~broker() = default;

  // Durable, in the order given, when it returns. Declares queues that it does not know.
  virtual task<> publish(std::vector<parcel> parcels) = 0;
  // Waits, asleep, until one message waits in one of `queues`; leases up to `at_most` (at least 1).
  // Ended leases of others are found on the way, at the latest five seconds after their end.
  virtual task<std::vector<delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                              duration lease) = 0;
  // Whether the last reserve left messages behind, as far as that is known.
  virtual bool may_have_more() const noexcept { return true; }
  // Leases run `lease` from now. Returns the tags that are nobody's lease any more.
  virtual task<std::vector<std::string>> renew(std::vector<std::string> tags, duration lease) = 0;
  // A tag whose lease was lost still stores and publishes; the message itself is left alone.
  virtual task<> finish(std::vector<ending> endings) = 0;
  // Gives leases back: the messages are the next to be reserved. `counts`: whether this hand-out
  // counts as a delivery (a crash does, a shutdown does not).
  enum class hand_out { counts, does_not_count };
  virtual task<> restore(std::vector<std::string> tags, hand_out h) = 0;

  // Whether ending::result may be used for what `backend` keeps.
  virtual bool keeps(const result_backend& backend) const noexcept = 0;

  // Of none: of all that have something or that somebody has sent to, where the broker can list them
  // (RabbitMQ cannot).
  virtual task<std::vector<queue_length>> lengths(std::vector<std::string> queues) = 0;
  virtual task<std::vector<dead_message>> dead(std::string queue, std::size_t at_most) = 0;
  // By dead_message::id; false: no longer there. A retried message starts with no deliveries.
  virtual task<bool> retry_dead(std::string queue, std::string id) = 0;
  virtual task<bool> drop_dead(std::string queue, std::string id) = 0;
};

}  // namespace plait::celery::detail
