// plait compare: the article's experiments and its comparison table, measured on this machine.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.hpp"
#include "cli/comparison.hpp"
#include "cli/embedded_server.hpp"
#include "cli/interruption.hpp"
#include "cli/progress_display.hpp"
#include "cli/reports.hpp"
#include "cli/standard_output.hpp"

namespace plait::cli {
namespace {

struct compare_options {
  std::size_t connections = 0;  // 0: the plan's
  std::string url;
  std::string python;
  std::string html;
  std::string trace;
  enum class output { text, json } format = output::text;
  enum class size { full, quick } how = size::full;
};

[[noreturn]] void refuse(const std::string& line) { throw complaint(exit_status::usage, line); }

comparison_plan make_plan(const compare_options& options) {
  auto plan = options.how == compare_options::size::quick ? comparison_plan::quickly()
                                                          : comparison_plan::full();
  if (options.connections != 0) plan.connections = options.connections;
  plan.url = options.url;
  while (plan.url.ends_with('/')) plan.url.pop_back();
  return plan;
}

// Every connection needs a descriptor and a local port; the server's side too, in its own process.
descriptor_limit require_descriptors(const comparison_plan& plan) {
  const auto limit = raise_descriptor_limit(plan.descriptors());
  if (limit.now < plan.descriptors()) {
    const std::uint64_t spare = plan.descriptors() - plan.connections;
    refuse(
        fmt::format("-n {} needs {} open files and this process may have {}: raise the limit "
                    "(ulimit -n {}, as root), or take -n {}",
                    plan.connections, plan.descriptors(), limit.now, plan.descriptors(),
                    limit.now > spare ? limit.now - spare : 1));
  }
  const std::uint64_t ports = ephemeral_ports();
  if (plan.connections > ports)
    refuse(
        fmt::format("-n {} needs as many local ports, and there are {}: widen the range (sysctl -w "
                    "net.ipv4.ip_local_port_range='1024 65535'), or take -n {}",
                    plan.connections, ports, ports));
  return limit;
}

// Before anything is measured, so that a minute's work is not lost for a mistyped name.
void require_writable(const std::string& html) {
  if (html.empty()) return;
  if (!std::ofstream(html, std::ios::binary | std::ios::app))
    refuse(fmt::format("cannot write {}: {}; choose another file for --html", html,
                       std::strerror(errno)));
}

void write_html(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) refuse(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
}

// One request before the long run: a server that is not there is a mistake in --url.
void require_server(const std::string& url, const interruption& stop) {
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    refuse(fmt::format("--url {}: an address begins with http:// or https://", url));
  progress_display silent{terminal{}};
  const auto results = run_schedule({{{first_request(url)}}}, stop, silent);
  const outcome& first = results.at("first");
  std::string why = first.error;
  if (first.ok() && first.result.value("failed", 0) != 0)
    why = first.result.value("error", "it did not answer");
  if (why.empty()) return;
  refuse(
      fmt::format("--url {}: {}{} a server with httpbin's routes there, or leave --url out to use "
                  "the embedded one",
                  url, why, why.ends_with('?') ? " Start" : "; start"));
}

comparison measure_all(const compare_options& options) {
  const auto began = std::chrono::steady_clock::now();
  comparison c;
  c.plan = make_plan(options);
  c.descriptors = require_descriptors(c.plan);
  c.machine = examine_machine();

  const interruption stop;
  std::optional<embedded_server> server;
  if (c.plan.url.empty()) {
    server.emplace(stop);
    c.plan.url = server->url();
    c.plan.own_server = true;
  } else {
    require_server(c.plan.url, stop);
  }
  c.python = find_python(options.python, stop);
  progress_display display(terminal::of(STDERR_FILENO));
  const auto results = run_schedule(phases_of(c.plan, c.python), stop, display);

  c.workloads = read_workloads(c.plan, c.machine, c.python, results);
  c.table = read_table(c.plan, c.python, c.workloads, results);
  c.failures = read_failures(c.workloads, results);
  c.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return c;
}

// The measurements run in processes of their own: each adds to one file, between the brackets of an
// array that this one writes.
class joint_trace {
 public:
  explicit joint_trace(const std::string& path) : path_(path) {
    unsetenv("PLAIT_TRACE");
    if (path_.empty()) return;
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file << "[\n";
    if (!file.flush())
      refuse(fmt::format("cannot write {}: {}; choose another file for --trace", path_,
                         std::strerror(errno)));
    setenv("PLAIT_TRACE_JOIN", path_.c_str(), 1);
  }
  ~joint_trace() {
    if (path_.empty()) return;
    unsetenv("PLAIT_TRACE_JOIN");
    std::ofstream(path_, std::ios::binary | std::ios::app)
        << R"({"ph":"M","name":"trace_end","pid":0,"args":{}})"
        << "\n]\n";
  }
  joint_trace(const joint_trace&) = delete;
  joint_trace& operator=(const joint_trace&) = delete;

 private:
  const std::string path_;
};

exit_status compare(const compare_options& options) {
  require_writable(options.html);
  std::optional<joint_trace> trace(options.trace);
  const comparison c = measure_all(options);
  trace.reset();
  if (!options.html.empty()) write_html(options.html, html_report(c));
  write_out(options.format == compare_options::output::json
                ? json_report(c).dump(2) + "\n"
                : text_report(c, terminal::of(STDOUT_FILENO)));
  if (c.failures.empty()) return exit_status::ok;
  const std::string more =
      c.failures.size() == 1 ? ""
                             : fmt::format(" (and {} more, see the report)", c.failures.size() - 1);
  throw complaint(exit_status::failed, c.failures.front() + more);
}

}  // namespace

void add_compare_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<compare_options>();
  auto* command = tool.add_subcommand(
      "compare", "Measure threads, coroutines and worker processes, beside Python's");
  command
      ->add_option("-n,--connections", options->connections,
                   "Requests at once on one thread (default 1000)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{10'000'000}))
      ->option_text("N");
  command->add_flag_callback(
      "--quick", [options] { options->how = compare_options::size::quick; },
      "Smaller runs, under 15 s; each figure says what was run");
  command->add_flag_callback(
      "--json", [options] { options->format = compare_options::output::json; },
      "One JSON object on standard output");
  command->add_option("--html", options->html, "Write one self-contained page with charts as well")
      ->type_name("FILE");
  command
      ->add_option("--trace", options->trace,
                   "Write a timeline for ui.perfetto.dev as well; figures are then a traced run's")
      ->type_name("FILE");
  command
      ->add_option("--url", options->url,
                   "Another server with httpbin's routes, not the embedded one")
      ->type_name("URL");
  command
      ->add_option("--python", options->python,
                   "The python3 to run beside; none for no Python (default: the better of "
                   "/usr/bin/python3 and the one on PATH)")
      ->type_name("FILE");
  command->footer(
      "Runs 10 requests of /delay/1 one after another and on 10 threads, 1,000 on one thread with\n"
      "coroutines, a list of primes sequentially, on threads and on worker processes; the same in "
      "Python;\n"
      "then measures the comparison table. Takes about 45 s. See docs/compare.md.");
  command->callback([options, &chosen] { chosen = [options] { return compare(*options); }; });
}

}  // namespace plait::cli
