// celery/builtin_tasks.hpp: the tasks that every worker has: Celery's own (celery/app/builtins.py).
//
//   celery.map, celery.starmap      a registered task for each item, one after the other
//   celery.accumulate               its arguments as a list, or the one at `index`
//   celery.chain, .group, .chord,
//   .chunks                         replaced by the workflow that they are
//   celery.backend_cleanup          nothing: results expire by themselves
#pragma once

#include "celery/canvas.hpp"

namespace plait::celery::detail {

// `tasks` outlives them.
task_table builtin_tasks(const task_table& tasks);

}  // namespace plait::celery::detail
