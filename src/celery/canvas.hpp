// celery/canvas.hpp: what a signature becomes when it is called: Celery's canvas.
//
// A workflow is first frozen, which gives each call in it an id and brings it into the form in which
// it travels; then it is called, which makes the messages of what begins now. What comes later
// travels inside of them, so that any worker, ours or Python's, can go on with it:
//
//   celery.chain    its steps; a chain in a chain is spliced, of a group or a chord that something
//                   follows on that something is the body
//   celery.group    one message a member, all with the group's id; groups in groups are flattened
//   celery.chord    the header as a group, each part with the body; who ends the last part calls it
//   celery.chunks   a group of celery.starmap
//
// Source:   celery/canvas.py and celery/backends/redis.py of Celery 5.2.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "celery/broker.hpp"
#include "celery/wire/task_message.hpp"
#include "plait/celery/options.hpp"
#include "plait/celery/signature.hpp"
#include "plait/celery/task_entry.hpp"

namespace plait::celery::detail {

using task_table = std::map<std::string, std::unique_ptr<task_entry>>;

// The result that a workflow will have: one task's, or a list of others.
struct result_tree {
  std::string id = {};
  bool is_group = false;
  std::vector<result_tree> members = {};
  // Celery's AsyncResult.as_tuple() and GroupResult.as_tuple().
  value to_value() const;
  static result_tree from_value(const value& from);  // throws decode_error
  bool operator==(const result_tree&) const = default;
};
// What GroupResult.restore() reads.
std::string encode_group(const result_tree& group);
result_tree decode_group(std::string_view text);

// Idempotent: ids that are there stay. Throws decode_error for what is no workflow.
void freeze(signature& s);
// Of what is frozen.
result_tree result_of(const signature& frozen);
// Every task in it, in the order in which they may begin.
std::vector<std::string> tasks_of(const signature& frozen);
// The calls with which it begins, and those whose end is its end.
std::vector<signature> beginnings_of(const signature& frozen);
std::vector<signature> ends_of(const signature& frozen);
std::vector<signature> errbacks_of(const signature& s);
// Makes it what `m` is for others: its result is m's, and what follows on m follows on it.
void take_place(signature& s, const task_message& m);
// Adds to the calls in it whose result is the workflow's: a callback, which a group cannot have, or
// to all calls an errback.
void add_link(signature& s, const signature& callback);
void add_link_error(signature& s, const signature& errback);

// What calls in it do not say themselves: of each call, and of those that begin first.
void set_options(signature& s, const dict& each, const dict& first);

bool is_workflow(const signature& s);

// What there is to do, in this order.
struct workflow_start {
  struct chord {
    std::string group;
    std::size_t size;
  };
  std::vector<result_tree> groups = {};  // to be saved, where a chord has lists among its results
  std::vector<chord> chords = {};
  std::vector<parcel> parcels = {};
};

// Who calls: its tasks know their queues; what is none of them goes to the default queue.
struct caller {
  const task_table& tasks;
  std::string default_queue;
  std::optional<std::string> parent_id = {}, root_id = {};
  value stamped_headers = {}, stamps = {};
  bool ignore_result = false;  // of all that is called
};

// Adds to `start` what calls `s` with `before` in front of its arguments, unless it is immutable.
// Returns its result.
result_tree call_signature(const caller& by, signature s, const list& before,
                           workflow_start& start);

}  // namespace plait::celery::detail
