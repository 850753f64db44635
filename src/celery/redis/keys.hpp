// src/celery/redis/keys.hpp: kombu's names of keys, and ours beside them.
//
//   <queue>, <queue>␞3, ␞6, ␞9      lists: messages of priority 0..2, 3..5, 6..8, 9; popped from the right
//   _kombu.binding.<exchange>       set of "routing key␞pattern␞queue"
//   unacked                         hash: tag -> [message, exchange, routing key], what somebody works on
//   unacked_index                   sorted set: tag -> when it was reserved or renewed, in seconds
//   celery-task-meta-<id>           a result, and the channel that tells of it
//   celery-taskset-meta-<group>     .j .s .t: a chord's parts, size and its correction
//   plait:leases                    sorted set: tag -> when our lease ends, in ms
//   plait:deliveries                hash: tag -> how many hand-outs did not come to an end
//   plait:dead:<queue>              hash: id -> "milliseconds reason\nmessage"
//   plait:count                     for tags and ids that must differ
//   plait:did:<token>               a transaction that has been carried out; kept ten minutes
//
// ␞ is \x06\x16.
#pragma once

#include <string>
#include <string_view>

namespace plait::celery::redis {

inline constexpr std::string_view separator = "\x06\x16";
inline constexpr int priority_steps[] = {0, 3, 6, 9};

struct keys {
  std::string prefix = {};  // kombu's global_keyprefix

  std::string operator()(std::string_view name) const { return prefix + std::string(name); }
  // The list of a queue for a step of priority.
  std::string list(std::string_view queue, int step) const {
    std::string key = prefix + std::string(queue);
    if (step > 0) key.append(separator) += std::to_string(step);
    return key;
  }
  std::string binding(std::string_view exchange) const {
    return prefix + "_kombu.binding." + std::string(exchange);
  }
  std::string meta(std::string_view task_id) const {
    return prefix + "celery-task-meta-" + std::string(task_id);
  }
  std::string taskset(std::string_view group, std::string_view part) const {
    return prefix + "celery-taskset-meta-" + std::string(group) + std::string(part);
  }
  std::string dead(std::string_view queue) const {
    return prefix + "plait:dead:" + std::string(queue);
  }
};

// The step that a priority goes to: the largest that is not above it.
constexpr int step_of(int priority) noexcept {
  return priority >= 9 ? 9 : priority >= 6 ? 6 : priority >= 3 ? 3 : 0;
}

// A binding's member: what is bound, and to which queue.
inline std::string bound(std::string_view routing_key, std::string_view queue) {
  return std::string(routing_key).append(separator).append(separator).append(queue);
}

}  // namespace plait::celery::redis
