// celery/wire/task_message.hpp: a call of a task as it travels: message protocol 2, on input also 1.
//
//   headers   who is called, when, how often, as part of what
//   body      [args, kwargs, embed]: the arguments, and what comes after the call
//
// Throws:   decode_error with the task's id as soon as that can be read.
// Source:   Celery's "Message Protocol", https://docs.celeryq.dev/en/stable/internals/protocol.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "celery/wire/envelope.hpp"
#include "plait/celery/signature.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery::detail {

using float_seconds = std::chrono::duration<double>;

struct time_limits {
  std::optional<float_seconds> hard = {}, soft = {};
};

// What follows on the call.
struct embedded_calls {
  std::vector<signature> callbacks = {}, errbacks = {};
  std::vector<signature> chain = {};  // the rest of the chain; the next call is the last of them
  std::optional<signature> chord = {};
  dict other = {};
};

struct task_message {
  std::string task = {};
  std::string id = {};
  std::string root_id = {};
  std::optional<std::string> parent_id = {};
  std::optional<std::string> group = {};
  std::optional<std::int64_t> group_index = {};
  std::uint32_t retries = 0;
  std::optional<datetime> eta = {}, expires = {};  // without a zone: UTC is meant
  time_limits limits = {};
  std::optional<std::string> shadow = {};  // shown instead of `task`
  std::optional<bool> ignore_result = {};  // nothing: as the task says
  std::optional<std::int64_t> replaced_task_nesting = {};
  // For people: Python's repr() of the arguments, made when it is encoded if they are empty.
  std::string argsrepr = {}, kwargsrepr = {};
  std::string origin = {};  // "gen<pid>@<host>"
  value stamped_headers = {}, stamps = {};
  // Everything else that stood in the headers: the user's own, `lang`, `redelivered` ...
  dict headers = {};

  list args = {};
  dict kwargs = {};
  embedded_calls embed = {};
};

// Takes the envelope apart. `limits` are those of the body.
task_message decode_task(envelope from, const json_limits& limits = {});

enum class compression : unsigned char { none, zlib };

// Body, headers, and of the properties correlation_id; delivery_tag, routing and the rest are left
// to who sends it.
envelope encode_task(const task_message& m, dialect d = dialect::typed,
                     compression c = compression::none);

}  // namespace plait::celery::detail
