// plait/celery/library.hpp: tasks in a shared library, for `plait worker ./libtasks.so --broker URL`.
//
//   PLAIT_CELERY_TASKS(app) {
//     app.task("reports.add", add);
//   }
//
// Once in a library. The function that follows registers the tasks; it is called when the library is
// loaded by a worker, and may read files and the environment. What it throws is printed and ends the
// worker. The library must have been compiled with the headers of the same version of plait as the
// worker that loads it: another one is refused.
//
// CMake:    add_library(tasks MODULE tasks.cpp)
//           target_link_libraries(tasks PRIVATE plait::celery)
// Example:  examples/celery/task_library.cpp
#pragma once

#include "plait/celery/app.hpp"
#include "plait/core/version.hpp"

namespace plait::celery::detail {

// What a library exports under the name plait_celery_library. The first two members stay where they
// are in all versions.
struct task_library {
  unsigned layout;
  const char* version;
  void (*define)(app& tasks);
};
inline constexpr unsigned task_library_layout = 1;

}  // namespace plait::celery::detail

#define PLAIT_CELERY_TASKS(parameter)                                                             \
  static void plait_celery_define_tasks(::plait::celery::app&);                                   \
  extern "C" __attribute__((visibility("default")))                                               \
  const ::plait::celery::detail::task_library plait_celery_library;                               \
  extern "C" const ::plait::celery::detail::task_library plait_celery_library = {                 \
      ::plait::celery::detail::task_library_layout, ::plait::version, plait_celery_define_tasks}; \
  static void plait_celery_define_tasks(::plait::celery::app& parameter)
