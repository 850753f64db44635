// plait/celery/call_state.hpp: what is known of a call, by its id: Celery's AsyncResult. Part of app.hpp.
//
//   send_options how{.task_id = new_task_id()};      // a web page is told the id ...
//   app.state_of(id).get().state                     // ... and asks with it, from any process
#pragma once

#include <string>

#include "plait/celery/value.hpp"

namespace plait::celery {

struct call_state {
  // STARTED, RETRY, SUCCESS, FAILURE, REVOKED, or a word of the task's own; PENDING where nothing is
  // known: of a call that waits, one that nobody has sent, and one whose result has expired.
  std::string state = "PENDING";
  // Of SUCCESS what it returned, of a state of the task's own what came with it; else nothing.
  value result = {};
  // Of FAILURE, RETRY and REVOKED, for people.
  std::string error = {};
  std::string traceback = {};
};

// A random UUID, for send_options::task_id.
std::string new_task_id();

}  // namespace plait::celery
