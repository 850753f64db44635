// plait fetch: many URLs, into a folder or as a line of JSON each.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "cli/commands.hpp"
#include "cli/fetch/fetcher.hpp"
#include "cli/machine.hpp"
#include "cli/terminal.hpp"
#include "cli/units.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/http/errors.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/run_until_signal.hpp"

namespace plait::cli {
namespace {

using fetch::fetch_plan;
using fetch::fetch_progress;

constexpr std::size_t other_descriptors =
    64;  // files that are written, and what the tool itself has

struct fetch_options {
  std::vector<std::string> urls, lists, header_lines;
  std::string folder, lines, user_agent = "plait/" PLAIT_VERSION, ca;
  std::size_t concurrency = 100, per_host = 0;
  double rate = 0, timeout_seconds = 300;
  unsigned retries = 2;
  bool resume = false, robots = false, quiet = false;
};

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// A line on standard error that says how far it is: on a terminal it is rewritten.
class progress_line {
 public:
  progress_line(const fetch::fetcher& of, const fetch::url_list& urls)
      : of_(of), urls_(urls), paint_(terminal::of(STDERR_FILENO)) {}

  task<> show_for_ever() {
    const auto& screen = paint_.target();
    const duration pause =
        screen.is_terminal ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
    for (;;) {
      co_await sleep(pause);
      const std::string line = text();
      const std::string out =
          screen.is_terminal ? "\r\033[K" + line.substr(0, screen.columns - 1) : line + "\n";
      std::fwrite(out.data(), 1, out.size(), stderr);
      shown_ = true;
    }
  }
  void wipe() const {
    if (shown_ && paint_.target().is_terminal) std::fputs("\r\033[K", stderr);
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }

 private:
  std::string text() {
    const fetch_progress& p = of_.progress();
    const double now = seconds();
    // Of the last seconds, so that it follows what happens.
    constexpr double memory = 5;
    const double span = std::max(now - last_, 1e-3);
    const double weight = std::min(span / std::min(memory, std::max(now, span)), 1.0);
    rate_ += (static_cast<double>(p.done - last_done_) / span - rate_) * weight;
    byte_rate_ += (static_cast<double>(p.bytes - last_bytes_) / span - byte_rate_) * weight;
    last_ = now;
    last_done_ = p.done;
    last_bytes_ = p.bytes;
    const auto total = urls_.total();
    std::string line = grouped(p.done);
    if (total) {
      line += " of " + grouped(*total);
      if (*total != 0) line += fmt::format(" ({}%)", p.done * 100 / *total);
    }
    line +=
        fmt::format(", {} failed, {} under way, {}/s, {}/s", grouped(p.failed), grouped(p.active),
                    grouped(static_cast<std::uint64_t>(rate_ + 0.5)), format_bytes(byte_rate_));
    if (total && rate_ > 0 && p.done < *total)
      line += ", " + clock_text(static_cast<double>(*total - p.done) / rate_) + " to go";
    return line;
  }

  const fetch::fetcher& of_;
  const fetch::url_list& urls_;
  painter paint_;
  const time_point started_ = std::chrono::steady_clock::now();
  double last_ = 0, rate_ = 0, byte_rate_ = 0;
  std::uint64_t last_done_ = 0, last_bytes_ = 0;
  bool shown_ = false;
};

void say(const std::string& line) {
  const std::string text = line + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void sum_up(const fetch_progress& p, const fetch::url_list& urls, double seconds) {
  const std::uint64_t came = p.done - p.failed - p.kept;
  std::string line = fmt::format("Fetched {}", grouped(came));
  if (const auto total = urls.total(); total) line += " of " + grouped(*total);
  line += fmt::format(
      " URLs in {}: {}/s, {} ({}/s).", format_seconds(seconds),
      grouped(static_cast<std::uint64_t>(static_cast<double>(came) / std::max(seconds, 1e-9))),
      format_bytes(static_cast<double>(p.bytes)),
      format_bytes(static_cast<double>(p.bytes) / std::max(seconds, 1e-9)));
  say(line);
  if (p.kept != 0) say(fmt::format("{} were there already.", grouped(p.kept)));
  if (p.failed == 0) return;
  std::vector<std::pair<std::uint64_t, std::string>> kinds;
  for (const auto& [kind, n] : p.failures) kinds.emplace_back(n, kind);
  std::sort(kinds.rbegin(), kinds.rend());
  say(fmt::format("{} failed:", grouped(p.failed)));
  constexpr std::size_t most_shown = 10;
  for (std::size_t i = 0; i < std::min(kinds.size(), most_shown); ++i)
    say(fmt::format("  {:>9}  {}", grouped(kinds[i].first), kinds[i].second));
  if (kinds.size() > most_shown)
    say(fmt::format("  and {} other kinds", kinds.size() - most_shown));
}

task<> fetch_all(fetch::fetcher& fetcher, progress_line* line) {
  if (line == nullptr) {
    co_await fetcher.run();
    co_return;
  }
  const auto shown = spawn(line->show_for_ever());
  const struct ends {
    const any_future& showing;
    ~ends() { showing.cancel(); }
  } scope{shown};
  co_await fetcher.run();
}

http::headers read_headers(const std::vector<std::string>& lines) {
  http::headers fields;
  for (const auto& line : lines) {
    const auto colon = line.find(':');
    if (colon == std::string::npos)
      throw complaint(exit_status::usage,
                      fmt::format("--header '{}' has no colon: write 'Name: value'", line));
    try {
      fields.add(line.substr(0, colon), line.substr(colon + 1));
    } catch (const http::invalid_header& e) {
      throw complaint(exit_status::usage, e.what());
    }
  }
  return fields;
}

fetch_plan plan_of(const fetch_options& given) {
  fetch_plan plan;
  plan.concurrency = given.concurrency;
  plan.order = {.per_host = given.per_host, .rate = given.rate};
  plan.timeout = plait::detail::to_duration(std::chrono::duration<double>(given.timeout_seconds));
  plan.retries = given.retries;
  plan.folder = given.folder;
  while (plan.folder.size() > 1 && plan.folder.ends_with('/')) plan.folder.pop_back();
  plan.resume = given.resume;
  plan.robots = given.robots;
  plan.user_agent = given.user_agent;
  plan.headers = read_headers(given.header_lines);
  plan.tls.ca = given.ca;
  // A connection each, and a file each.
  const std::uint64_t per_url = plan.folder.empty() ? 1 : 2;
  const auto limit = raise_descriptor_limit(plan.concurrency * per_url + other_descriptors);
  const std::uint64_t room =
      limit.now > other_descriptors ? (limit.now - other_descriptors) / per_url : 1;
  if (room < plan.concurrency) {
    say(fmt::format("plait: the limit on open files allows {} at once, not {} (ulimit -n {})",
                    grouped(room), grouped(plan.concurrency), limit.now));
    plan.concurrency = room;
  }
  return plan;
}

exit_status run_fetch(fetch_options given) {
  if (given.urls.empty() && given.lists.empty()) {
    if (isatty(STDIN_FILENO) != 0)
      throw complaint(
          exit_status::usage,
          "nothing to fetch: name URLs, a list with --from FILE, or send one to standard input");
    given.lists.emplace_back("-");
  }
  const fetch_plan plan = plan_of(given);
  if (!plan.folder.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(plan.folder, failed);
    if (failed)
      throw complaint(exit_status::usage,
                      fmt::format("cannot make the folder {}: {}", plan.folder, failed.message()));
  }
  if (given.lines.empty() && plan.folder.empty()) given.lines = "-";
  if (given.resume && plan.folder.empty() && given.lines == "-")
    throw complaint(
        exit_status::usage,
        "--resume needs to know what was done: a folder (--output) or a file (--json-lines)");
  fetch::url_list urls(given.urls, given.lists);
  std::optional<fetch::journal> lines;
  if (!given.lines.empty())
    lines.emplace(given.lines,
                  given.resume ? fetch::journal::begin::go_on : fetch::journal::begin::fresh);

  // In this order, so that the session ends before its loop: all of it lives in the main task.
  struct outcome {
    fetch_progress progress;
    bool all_came = false;
  } result;
  double seconds = 0;
  bool interrupted = false;
  const auto main_task = [&]() -> task<> {
    fetch::fetcher fetcher(plan, urls, lines ? &*lines : nullptr);
    progress_line line(fetcher, urls);
    const struct at_end {
      outcome& into;
      const fetch::fetcher& of;
      const progress_line& shown;
      double& seconds;
      fetch::url_list& urls;
      ~at_end() {
        urls.close();
        into.progress = of.progress();
        seconds = shown.seconds();
        shown.wipe();
      }
    } scope{result, fetcher, line, seconds, urls};
    co_await fetch_all(fetcher, given.quiet ? nullptr : &line);
  };
  try {
    net::run_until_signal(main_task());
  } catch (const net::interrupted&) {
    interrupted = true;
  }
  if (lines) lines->flush();
  if (!given.quiet) {
    sum_up(result.progress, urls, seconds);
    if (interrupted) say("Interrupted; the same command with --resume goes on.");
  }
  if (interrupted) return exit_status::interrupted;
  return result.progress.failed == 0 ? exit_status::ok : exit_status::failed;
}

}  // namespace

void add_fetch_command(CLI::App& tool, command_run& chosen) {
  auto options = std::make_shared<fetch_options>();
  auto& o = *options;
  auto* command =
      tool.add_subcommand("fetch", "Fetch many URLs, into a folder or as lines of JSON");
  command->add_option("urls", o.urls, "URLs; none: they are read from standard input");
  command->add_option("--from", o.lists,
                      "Lists of URLs, one a line, # for remarks; - is standard input");
  command->add_option("-o,--output", o.folder, "Keep the bodies in this folder");
  command->add_option(
      "--json-lines", o.lines,
      "Write url, status, bytes, sha256, seconds and error of each URL to this file; - is\n"
      "standard output, and the default without --output");
  command->add_option("-c,--concurrency", o.concurrency, "Most URLs under way at once")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--per-host", o.per_host, "Most under way at one host; 0: no limit of its own")
      ->capture_default_str();
  command->add_option("--rate", o.rate, "Most URLs begun a second; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--timeout", o.timeout_seconds, "Seconds for one URL, with its retries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--retries", o.retries, "How often more one that fails for a moment is tried")
      ->capture_default_str();
  command->add_flag("--resume", o.resume,
                    "Go on: leave out what is there, and complete parts of files");
  command->add_flag("--robots", o.robots, "Ask each host's robots.txt first, and obey it");
  command->add_option("--header", o.header_lines, "'Name: value', sent with every request");
  command->add_option("--user-agent", o.user_agent, "Who we say we are")->capture_default_str();
  command->add_option("--ca", o.ca, "Trust the certificates of this file instead of the system's");
  command->add_flag("-q,--quiet", o.quiet, "Neither progress nor a summary on standard error");
  command->footer(
      "Exit status: 0 every URL succeeded, 1 some did not, 130 interrupted.\n"
      "Ctrl-C keeps what was done; the same command with --resume goes on there.\n"
      "In the folder a body is SCHEME/HOST/NAME, where NAME is the percent-encoded path and "
      "query.");
  command->callback([options, &chosen] { chosen = [options] { return run_fetch(*options); }; });
}

}  // namespace plait::cli
