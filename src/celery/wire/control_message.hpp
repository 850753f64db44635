// celery/wire/control_message.hpp: what is asked of workers from afar, what they answer, and the
// events that they tell of.
//
// Throws:   decode_error.
// Source:   kombu/pidbox.py, celery/events/event.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "celery/wire/envelope.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery::detail {

struct control_request {
  struct address {
    std::string exchange = {}, routing_key = {};
  };
  std::string method = {};  // "ping", "revoke" ...
  dict arguments = {};
  std::optional<std::vector<std::string>> destination = {};  // names of nodes; nothing: all of them
  std::optional<std::string> pattern = {}, matcher = {};  // "glob" or "pcre", over names of nodes
  std::string ticket = {};                                // of the answers; empty: none is wanted
  std::optional<address> reply_to = {};
  std::int64_t clock = 0;              // Lamport's
  std::optional<double> expires = {};  // seconds since 1970; too late is not answered

  // Whether it is for the node of this name, "worker1@host". Globs are matched; pcre is not: false.
  bool is_for(std::string_view node) const;
};
control_request decode_request(const envelope& from);
envelope encode_request(const control_request& r, const std::string& exchange = "celery.pidbox");

struct control_reply {
  std::string ticket = {};
  std::string node = {};
  value answer = {};  // {"ok": ...}, {"error": ...}, or a list
  std::int64_t clock = 0;
};
control_reply decode_reply(const envelope& from);
envelope encode_reply(const control_reply& r, const control_request::address& to);

struct event {
  std::string type = {};       // "task-received", "worker-heartbeat" ...
  std::string hostname = {};   // the node that tells it
  double timestamp = 0;        // seconds since 1970
  std::int64_t utcoffset = 0;  // hours, west is above zero
  std::int64_t pid = 0;
  std::int64_t clock = 0;
  dict fields = {};  // what is particular to the type
};
// One or, under "task.multi", several.
std::vector<event> decode_events(const envelope& from);
// `routing_key`: "task.multi" for a batch, else the type with a dot: "worker.online".
envelope encode_event(const event& e);
envelope encode_events(const std::vector<event>& batch);

}  // namespace plait::celery::detail
