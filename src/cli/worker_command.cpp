// plait worker: runs the tasks of a shared library that come over a Celery broker.
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "celery/operations.hpp"
#include "cli/commands.hpp"
#include "cli/standard_output.hpp"
#include "plait/celery.hpp"
#include "plait/celery/library.hpp"
#include "plait/threads/cpu_count.hpp"

namespace plait::cli {
namespace {

struct worker_settings {
  std::string library, broker, backend;
  std::string pool = "processes";
  double lease = 60;
  celery::worker_options run;
};

// Loaded for as long as the program runs: worker processes open the same file.
const celery::detail::task_library& load(const std::string& file) {
  const std::filesystem::path path = std::filesystem::absolute(file);
  if (!std::filesystem::exists(path))
    throw complaint(exit_status::usage, fmt::format("there is no file {}: it is built by "
                                                    "add_library(... MODULE ...), see "
                                                    "plait/celery/library.hpp",
                                                    file));
  void* const opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr)
    throw complaint(exit_status::usage,
                    fmt::format("{} cannot be loaded as a library: {}", file, dlerror()));
  const auto* tasks =
      static_cast<const celery::detail::task_library*>(dlsym(opened, "plait_celery_library"));
  if (tasks == nullptr)
    throw complaint(exit_status::usage,
                    fmt::format("{} has no tasks: it needs PLAIT_CELERY_TASKS(app) {{ ... }} of "
                                "plait/celery/library.hpp",
                                file));
  if (tasks->layout != celery::detail::task_library_layout ||
      std::string_view(tasks->version) != plait::version)
    throw complaint(exit_status::usage,
                    fmt::format("{} was compiled with plait {}, this is plait {}: compile it anew",
                                file, tasks->version, plait::version));
  return *tasks;
}

std::string banner(const celery::app& app, const worker_settings& s) {
  const auto names = app.task_names();
  const std::size_t at_once = s.run.concurrency != 0 ? s.run.concurrency : usable_cpu_count();
  std::string text = fmt::format(
      "broker       {}\nresults      {}\nqueues       {}\nconcurrency  {} {}\ntasks        {}\n",
      celery::detail::without_password(s.broker),
      celery::detail::without_password(s.backend.empty() ? s.broker : s.backend),
      s.run.queues.empty() ? app.options().queue : fmt::format("{}", fmt::join(s.run.queues, ", ")),
      at_once, s.pool, fmt::join(names, "\n             "));
  return text;
}

exit_status work(worker_settings s) {
  const auto& library = load(s.library);
  try {
    celery::app app{{.broker = s.broker, .backend = s.backend}};
    library.define(app);
    if (app.task_names().empty())
      throw complaint(exit_status::usage, s.library + " registers no task");
    s.run.pool = s.pool == "threads" ? celery::pool_kind::threads : celery::pool_kind::processes;
    s.run.lease = duration(static_cast<std::int64_t>(1e9 * s.lease));
    write_out(banner(app, s));
    return app.worker(s.run).run() == 0 ? exit_status::ok : exit_status::interrupted;
  } catch (const std::invalid_argument& e) {
    throw complaint(exit_status::usage, e.what());
  } catch (const celery::transport_error& e) {
    throw complaint(exit_status::failed, e.what());
  } catch (const complaint&) {
    throw;
  } catch (const std::exception& e) {
    throw complaint(exit_status::failed, fmt::format("the worker ended: {}", e.what()));
  }
}

}  // namespace

void add_worker_command(CLI::App& tool, command_run& chosen) {
  auto s = std::make_shared<worker_settings>();
  auto* command = tool.add_subcommand(
      "worker", "Run the background tasks of a shared library: a Celery worker");
  command->add_option("library", s->library, "The library, for example ./libtasks.so")->required();
  command
      ->add_option(
          "--broker", s->broker,
          "Where calls come from: sqlite:FILE, redis://HOST:PORT/DB, amqp://HOST:PORT/VHOST")
      ->required()
      ->envname("CELERY_BROKER_URL");
  command->add_option("--backend", s->backend, "Where results go; without it: the broker")
      ->envname("CELERY_RESULT_BACKEND");
  command->add_option("-Q,--queues", s->run.queues, "Queues to take calls from, comma-separated")
      ->delimiter(',');
  command->add_option("-c,--concurrency", s->run.concurrency, "Calls at once; 0: one for each CPU")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_option("--pool", s->pool, "Where plain functions run")
      ->check(CLI::IsMember({"processes", "threads"}))
      ->capture_default_str();
  command->add_option("-n,--hostname", s->run.hostname,
                      "The worker's name; without it: celery@HOST");
  command->add_flag("-E,--events", s->run.events,
                    "Tell monitors of each call from the beginning, not only when they ask");
  command
      ->add_option("--max-tasks-per-child", s->run.max_tasks_per_child,
                   "Calls after which a worker process is replaced; 0: never")
      ->capture_default_str();
  command->add_option("--lease", s->lease, "Seconds after which others take a dead worker's calls")
      ->check(CLI::Range(0.03, 86'400.0))
      ->capture_default_str();
  command
      ->add_option("--max-deliveries", s->run.max_deliveries,
                   "Workers that may die of one call before it goes to the dead list")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->footer(
      "SIGINT or SIGTERM let what runs come to its end and give the rest back; a second one ends "
      "at "
      "once.\n"
      "docs/celery.md says what is promised, plait/celery/library.hpp how a library is made.");
  command->callback([s, &chosen] { chosen = [s] { return work(*s); }; });
}

}  // namespace plait::cli
