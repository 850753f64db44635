// plait/celery/options.hpp: what can be said of an application, a task, one call of it, a worker.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plait/celery/parameters.hpp"
#include "plait/celery/signature.hpp"
#include "plait/core/clock.hpp"

namespace plait::celery {

struct app_options {
  // sqlite:FILE, redis://HOST:PORT/DB, rediss://...
  std::string broker;
  // Where results are kept; empty: with the broker.
  std::string backend = {};
  // Where calls go that do not say otherwise, and what workers consume.
  std::string queue = "celery";
  // How long results are kept; zero: for ever.
  duration result_expires = std::chrono::hours(24);
  // sqlite:FILE: what the broker has not taken after `outbox_after` is kept there and sent when the
  // broker is back, by this program or another one with the same outbox. Empty: an error of the call.
  std::string outbox = {};
  duration outbox_after = std::chrono::seconds(2);
};

struct task_options {
  // How often a failed call may begin again when it asks for it, or by autoretry.
  unsigned max_retries = 3;
  // Whether every failure is a reason to retry; else only context::retry() is.
  bool autoretry = false;
  // How long until a retry, if it does not say; with back-off doubled each time up to the maximum,
  // and with jitter a random part of that.
  duration retry_delay = std::chrono::minutes(3);
  bool retry_backoff = false;
  duration retry_backoff_max = std::chrono::minutes(10);
  bool retry_jitter = true;
  // Results of this task are not kept.
  bool ignore_result = false;
  // The state STARTED is stored too.
  bool track_started = false;
  // At most once: the message is gone before the call begins, and lost with a worker that dies.
  bool acks_early = false;
  // After the soft limit the call's stop token is stopped; after the hard one its process is
  // killed. Zero: none. In threads and coroutines the hard limit stops the token as well.
  duration time_limit = duration::zero();
  duration soft_time_limit = duration::zero();
  // How often its calls begin in each worker: "10/s", "10/m", "10/h"; empty: as they come. Calls that
  // wait for their turn keep their place among those a worker has taken.
  std::string rate_limit = {};
  // Where its calls go; empty: the application's queue.
  std::string queue = {};
  int priority = 0;  // 0 first, 9 last
  // The names that callers may use, with defaults: {"a", {"b", 3}}. Without: by position only.
  celery::parameters parameters = {};
};

struct send_options {
  duration countdown = duration::zero();
  // In the system clock's time; the first moment of it means none.
  datetime::instant eta = {};
  datetime::instant expires = {};  // not begun any more after this
  std::string queue = {};
  int priority = -1;  // as the task says
  dict headers = {};  // the caller's own; context::headers() there
  duration time_limit = duration::zero();
  duration soft_time_limit = duration::zero();
  bool ignore_result = false;
  std::vector<signature> link = {};        // called with the result
  std::vector<signature> link_error = {};  // called with the id of the failed call
  std::string task_id = {};                // a new one
};

// Where a worker runs plain functions. Coroutines run on the worker's loop, and what has captures
// runs in threads, whatever is chosen.
enum class pool_kind : unsigned char { processes, threads };

struct worker_options {
  // Calls at once; 0: usable_cpu_count().
  std::size_t concurrency = 0;
  pool_kind pool = pool_kind::processes;
  std::vector<std::string> queues = {};  // the application's
  std::string hostname = {};             // celery@HOST
  // How long a dead worker's calls wait until others take them; renewed three times in that span.
  duration lease = std::chrono::seconds(60);
  // How often one message may be handed out to workers that die of it.
  unsigned max_deliveries = 3;
  // Tell monitors of each call from the beginning; else from `celery control enable_events` on.
  bool events = false;
  // A worker process is replaced after this many calls; 0: never.
  std::size_t max_tasks_per_child = 0;
};

}  // namespace plait::celery
