// celery/outcome.hpp: from what became of a call to what is stored and published: Celery's rules.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "celery/broker.hpp"
#include "celery/canvas.hpp"
#include "celery/wire/result_meta.hpp"
#include "celery/wire/task_message.hpp"
#include "plait/celery/options.hpp"

namespace plait::celery::detail {

// What a call replied, or what was found out about it.
struct outcome {
  enum class kind { success, failure, retry, revoked, replaced } what = kind::failure;
  value result = {};                       // success
  exception_info error = {};               // the others
  std::optional<signature> in_place = {};  // replaced
  std::optional<duration> countdown = {};
  std::optional<unsigned> max_retries = {};  // of this one retry
};
outcome read_reply(const std::string& text);

// Whether a failure or a request for a retry leads to one; else it is a failure.
bool may_retry(const outcome& o, const task_message& m, const task_options& t);
// How long until it; `random` in [0, 1).
duration retry_delay(const outcome& o, const task_message& m, const task_options& t, double random);

// A part of a chord that has ended, or that now never comes.
struct part_end {
  std::string group, task_id;
  std::optional<std::int64_t> index;
  signature body;
  std::string state;
  value result;
};

// One call's end.
struct call_end {
  workflow_start next;  // callbacks, the next of a chain, a chord's body
  std::optional<stored_result> result;
  std::vector<stored_result> more;  // of the calls that now never come
  std::vector<part_end> parts;
  std::vector<std::string> chords;  // that are complete: to be closed when the rest is done
  std::vector<std::shared_ptr<void>> held = {};  // by the worker, as long as this end is under way
};
struct call_facts {
  const task_message& message;
  std::string queue;
  int priority;
  bool ignores_result;
  duration result_expires;
  const task_table& tasks;
  std::string default_queue;
};
call_end end_of(const call_facts& f, outcome o);
// Of a call that is replaced by another: nothing is stored, the other has its id.
call_end replacement_of(const call_facts& f, outcome o);
// The retry message and the state RETRY.
call_end retry_of(const call_facts& f, const outcome& o, duration delay);

// All parts of a chord have ended, and `f` was the last: calls its body with the results, ordered as
// `entries` are or put together as `shape` says, or fails it.
void end_chord(const call_facts& f, const signature& body, const std::vector<std::string>& entries,
               const std::optional<result_tree>& shape, call_end& end);

stored_result stored(const result_meta& m, duration expires);

}  // namespace plait::celery::detail
