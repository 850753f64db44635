// celery/wire/result_meta.hpp: what a result backend keeps of a task under celery-task-meta-<id>.
//
// Throws:   decode_error.
// Source:   celery/backends/base.py, _get_result_meta.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "celery/wire/exception_info.hpp"
#include "plait/celery/json.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery::detail {

struct result_meta {
  std::string task_id = {};
  // PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED, or any word of the task's own.
  std::string status = {};
  value result = {};  // an exception_info's value() for FAILURE, RETRY and REVOKED
  std::optional<std::string> traceback = {};
  list children = {};  // result_node() each
  // Celery before 5.4 writes it without a zone and means UTC; only of what is_ready().
  std::optional<datetime> date_done = {};
  std::optional<std::string> group_id = {}, parent_id = {};
  dict other = {};  // name, args, kwargs, worker, retries, queue with result_extended

  // SUCCESS, FAILURE, REVOKED: it stays so.
  bool is_ready() const noexcept;
  // Of FAILURE, RETRY and REVOKED. Throws decode_error if the result says nothing of an exception.
  exception_info failure() const;
};

result_meta decode_result(std::string_view text, const json_limits& limits = {});
result_meta result_from(value from);
std::string encode_result(const result_meta& m, dialect d = dialect::typed);

// A task among the children of another, or a member of a group: [[id, parent], null].
value result_node(const std::string& id, const std::optional<std::string>& parent = {});

}  // namespace plait::celery::detail
