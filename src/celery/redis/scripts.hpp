// src/celery/redis/scripts.hpp: what must happen inside Redis in one step.
//
// The first arguments of all that touch leases are the number of keys and the keys of lease_keys(),
// then the prefix. A lease is "COUNT:TAG": a later hand-out of the same message has another count, so
// who has lost a lease cannot end that of somebody else.
#pragma once

#include "celery/redis/connection.hpp"

namespace plait::celery::redis::scripts {

// more keys: none. lease ms, at most, number of queues, queues in the order of this time.
// Returns message, queue, priority step, lease, count, ... flat.
extern const script reserve;
// lease ms, leases. Returns those that are lost.
extern const script renew;
// "1" if the hand-out counts, leases. Returns how many were given back.
extern const script restore;
// visibility timeout of other workers in seconds, at most. Returns how many were given back.
extern const script sweep;
// lease; token; bury: "" or the reason; result: "" or its key, its text, its ttl in ms; then list,
// message, list, message ... Returns 1, or 0 if the lease was lost.
extern const script finish;
// queue, id. Returns 1, or 0 if there is no such.
extern const script retry_dead;
// queue, at most. Returns id, entry, id, entry ... the oldest first.
extern const script list_dead;
// queues. Returns how many are leased of each.
extern const script leased;

// keys: the result's; text, ttl in ms. Returns 0 if SUCCESS was there.
extern const script store;
// keys: .j .t .s .ids .last .done; task id, index, entry, ttl in s. Returns the entries for the last
// part, each time that it is the last, else nothing.
extern const script chord_part;

}  // namespace plait::celery::redis::scripts
