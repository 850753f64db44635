// plait advise: where a program's time goes, seen from outside, and which model would help.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <thread>

#include "cli/advise/advice_report.hpp"
#include "cli/advise/verification.hpp"
#include "cli/advise/watched_program.hpp"
#include "cli/child_process.hpp"
#include "cli/commands.hpp"
#include "cli/interruption.hpp"
#include "cli/standard_output.hpp"
#include "plait/advise/diagnosis.hpp"

namespace plait::cli {
namespace {

struct advise_options {
  int pid = 0;
  std::vector<std::string> command;
  double seconds = 5;
  std::string html;
  enum class proof { none, other_widths } wanted = proof::none;
  enum class view { at_the_end, live } shown = view::at_the_end;
  enum class output { text, json } format = output::text;
  enum class afterwards { end, keep_running } then = afterwards::end;
};

// Asks for a stop when a signal to end arrives.
class signal_watch {
 public:
  explicit signal_watch(const interruption& signals)
      : done_(eventfd(0, EFD_CLOEXEC)), thread_([this, fd = signals.fd()] { wait(fd); }) {}
  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;
  ~signal_watch() {
    eventfd_write(done_, 1);
    thread_.join();
    close(done_);
  }
  std::stop_token token() const { return stop_.get_token(); }

 private:
  void wait(int fd) {
    pollfd set[] = {{fd, POLLIN, 0}, {done_, POLLIN, 0}};
    while (poll(set, 2, -1) < 0 && errno == EINTR) {
    }
    if ((set[0].revents & POLLIN) != 0) stop_.request_stop();
  }
  int done_;
  std::stop_source stop_;
  std::thread thread_;
};

void write_page(const std::string& path, const std::string& page) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << page;
  if (!file.flush())
    throw complaint(exit_status::usage,
                    fmt::format("cannot write {}: {}", path, std::strerror(errno)));
}

// The answer so far: on a terminal in place of the one before, else a line a second.
void show_live(const observation& seen) {
  const terminal screen = terminal::of(STDERR_FILENO);
  const diagnosis found = diagnose(seen);
  if (screen.is_terminal)
    fmt::print(stderr, "\033[H\033[J{}", advice_text(seen, found, screen));
  else
    fmt::print(stderr, "{:6.1f} s  {:<14} {:<13} {}\n", seen.seconds, to_text(found.cause),
               to_text(found.advice), found.why);
}

observation watch(int pid, const advise_options& options, std::stop_token stop) {
  const auto window =
      std::chrono::duration_cast<duration>(std::chrono::duration<double>(options.seconds));
  try {
    observe_options how{.window = window,
                        .stop = std::move(stop),
                        .began = options.pid != 0 ? observation::beginning::running_already
                                                  : observation::beginning::started_for_it};
    if (options.shown == advise_options::view::live) how.progress = show_live;
    return observe(pid, std::move(how));
  } catch (const observation_failed& failure) {
    throw complaint(exit_status::usage, failure.what());
  }
}

// Starts the command, watches it, and ends it.
observation watch_command(const std::vector<std::string>& command, const advise_options& options,
                          const interruption& signals) {
  watched_program program(command);
  observation seen;
  {
    const signal_watch watcher(signals);
    seen = watch(program.pid(), options, watcher.token());
  }
  const auto status = program.status();
  if (status && *status != 0)
    seen.notes.push_back(
        fmt::format("the program {} after {:.2f} s", describe_status(*status), seen.seconds));
  if (options.then == advise_options::afterwards::keep_running)
    program.let_go();
  else
    program.end();
  // It is what was typed that a person knows.
  seen.command = fmt::format("{}", fmt::join(command, " "));
  return seen;
}

void print_answer(const advise_options& options, const observation& seen, const diagnosis& found,
                  const std::vector<verified_width>& widths) {
  if (!options.html.empty()) write_page(options.html, advice_html(seen, found));
  if (options.format == advise_options::output::text) {
    write_out(advice_text(seen, found, terminal::of(STDOUT_FILENO)) + verification_text(widths));
    return;
  }
  auto report = advice_json(seen, found);
  if (options.wanted == advise_options::proof::other_widths)
    report["verified"] = verification_json(widths);
  // A command line may hold bytes that are no text.
  write_out(report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

exit_status run_advise(const advise_options& options) {
  if ((options.pid != 0) == !options.command.empty())
    throw complaint(exit_status::usage,
                    "name either a command (plait advise -- COMMAND...) or a process (--pid N)");
  if (options.wanted == advise_options::proof::other_widths && !has_width(options.command))
    throw complaint(
        exit_status::usage,
        "--verify runs the command at several widths: write {width} where it is told how many");
  if (!options.html.empty() && !std::ofstream(options.html, std::ios::binary | std::ios::app))
    throw complaint(exit_status::usage,
                    fmt::format("cannot write {}: {}; choose another file for --html", options.html,
                                std::strerror(errno)));
  const interruption signals;
  if (options.pid != 0) {
    observation seen;
    {
      const signal_watch watcher(signals);
      seen = watch(options.pid, options, watcher.token());
    }
    print_answer(options, seen, diagnose(seen), {});
    return seen.ended == observation::ending::stopped ? exit_status::interrupted : exit_status::ok;
  }
  const bool verify = options.wanted == advise_options::proof::other_widths;
  const observation first =
      watch_command(verify ? at_width(options.command, 1) : options.command, options, signals);
  const diagnosis found = diagnose(first);
  std::vector<verified_width> widths;
  bool stopped = first.ended == observation::ending::stopped;
  for (const std::size_t width :
       verify && !stopped ? widths_to_verify(found) : std::vector<std::size_t>()) {
    const observation again = watch_command(at_width(options.command, width), options, signals);
    if (stopped = again.ended == observation::ending::stopped; stopped) break;
    widths.push_back(compare_width(width, first, found, again));
  }
  print_answer(options, first, found, widths);
  return stopped ? exit_status::interrupted : exit_status::ok;
}

constexpr const char* footer =
    "The program's own output goes to standard error. When the time is up the program that was "
    "started\n"
    "here is ended with all that it started, unless --keep-running; a process of --pid is only "
    "watched.\n"
    "Exit status: 0 there is an answer (\"unsure\" is one), 2 there was nothing to observe, 130 "
    "interrupted\n"
    "(what was seen until then is reported). See docs/advise.md.";

}  // namespace

void add_advise_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<advise_options>();
  auto* command =
      tool.add_subcommand("advise", "Say where a program's time goes, and which model would help");
  command->add_option("command", options->command, "The program to start and watch, after --")
      ->type_name("COMMAND");
  command->add_option("--pid", options->pid, "Watch this process and all below it instead")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->add_option("-d,--duration", options->seconds, "Seconds to watch")
      ->check(CLI::Range(0.1, 86400.0))
      ->type_name("SECONDS")
      ->capture_default_str();
  command->add_flag_callback(
      "--json", [options] { options->format = advise_options::output::json; },
      "One JSON object on standard output");
  command->add_option("--html", options->html, "Write a page with a picture of every thread's time")
      ->type_name("FILE");
  command->add_flag_callback(
      "--verify", [options] { options->wanted = advise_options::proof::other_widths; },
      "Run COMMAND, in which {width} stands, at other widths too: predicted against measured");
  command->add_flag_callback(
      "--watch", [options] { options->shown = advise_options::view::live; },
      "The answer so far, every second, on standard error");
  command->add_flag_callback(
      "--keep-running", [options] { options->then = advise_options::afterwards::keep_running; },
      "Let the started program go on after the time is up");
  command->footer(footer);
  command->callback([options, &chosen] { chosen = [options] { return run_advise(*options); }; });
}

}  // namespace plait::cli
