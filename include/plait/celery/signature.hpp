// plait/celery/signature.hpp: a call that is yet to be made: a task's name, arguments and options.
//
//   signature s{.task = "reports.add", .args = {2, 3}};
//   signature all = chain({s, {.task = "reports.mail", .kwargs = {{"to", "me"}}}});
//
// What canvas is made of, and what travels inside of messages as callbacks, the rest of a chain or
// the body of a chord. Options are Celery's: task_id, queue, priority, countdown, link, link_error,
// group_index, root_id ...; what is not known here goes along untouched.
//
// Threads:  a value.
// Throws:   decode_error for what is no signature.
// Source:   Celery's userguide, "Canvas", and celery/canvas.py.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plait/celery/value.hpp"

namespace plait::celery {

struct signature {
  std::string task = {};
  list args = {};
  dict kwargs = {};
  dict options = {};
  std::optional<std::string> subtask_type = {};  // "chain", "group", "chord", "map" ...
  bool immutable = false;                        // the result before it is not its first argument
  dict other = {};                               // chord_size and what newer Celerys add

  value to_value() const;
  static signature from_value(value from);

  // The arguments of the call that follows on a call with this result.
  list arguments_after(const value& result) const;
  // The signatures inside of a chain, a group, or of a chord's header; nothing in others.
  std::vector<signature> members() const;
  // Of a chord: what is called with all the results.
  std::optional<signature> body() const;

  // One more that is called with the result, or with the id of the call that failed.
  signature& link(const signature& callback);
  signature& link_error(const signature& errback);

  bool operator==(const signature&) const = default;
};

// One after the other, each with the result of the one before as its first argument.
signature chain(std::vector<signature> calls);
// At the same time; the result is the list of theirs.
signature group(std::vector<signature> calls);
// A group, and what is called with the list of its results.
signature chord(std::vector<signature> header, signature body);
// One call that runs the task for each item, or with each list of arguments; the result is a list.
signature map(signature task, list items);
signature starmap(signature task, list argument_lists);
// A group of starmaps of `size` each.
signature chunks(signature task, list argument_lists, std::size_t size);

}  // namespace plait::celery
