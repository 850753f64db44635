#include "cli/schedule.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <system_error>

#include "cli/child_process.hpp"
#include "cli/exit_status.hpp"
#include "cli/progress_display.hpp"

namespace plait::cli {
namespace {

using real_clock = std::chrono::steady_clock;
constexpr int frame_ms = 100;

double seconds_since(real_clock::time_point start) {
  return std::chrono::duration<double>(real_clock::now() - start).count();
}

// The last line that says something: of a traceback, the exception.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

outcome outcome_of(const child_process& child) {
  const int status = child.status().value_or(0);
  if (status != 0) {
    const std::string said = last_line(child.err());
    return {nullptr, said.empty() ? describe_status(status) : said};
  }
  auto result = nlohmann::json::parse(last_line(child.out()), nullptr, false);
  if (!result.is_object()) return {nullptr, "gave no result"};
  return {std::move(result), ""};
}

// One lane of the present phase.
class running_lane {
 public:
  explicit running_lane(const lane& steps) : steps_(&steps) {}

  bool finished() const noexcept { return !child_ && next_ == steps_->size(); }
  const step* current() const noexcept { return child_ ? &(*steps_)[next_ - 1] : nullptr; }
  double elapsed() const { return seconds_since(started_); }

  void watch(std::vector<pollfd>& fds) const {
    if (!child_) return;
    for (const int fd : {child_->out_fd(), child_->err_fd(), child_->exit_fd()})
      fds.push_back({fd, POLLIN, 0});
  }
  // Starts the next step, or sees how the present one does.
  void advance(outcomes& results) {
    if (!child_ && next_ < steps_->size()) start(results);
    if (!child_) return;
    child_->read_available();
    if (child_->ended()) {
      end(results, outcome_of(*child_));
    } else if (elapsed() > current()->limit_seconds) {
      child_->kill();
      end(results, {nullptr, fmt::format("was ended after {:.0f} s without a result", elapsed())});
    }
  }

 private:
  void start(outcomes& results) {
    const step& s = (*steps_)[next_++];
    started_ = real_clock::now();
    try {
      child_ = std::make_unique<child_process>(s.argv);
    } catch (const std::system_error& e) {
      results[s.key] = {nullptr, e.what()};
    }
  }
  void end(outcomes& results, outcome o) {
    results[current()->key] = std::move(o);
    child_.reset();
  }
  const lane* steps_;
  std::size_t next_ = 0;
  std::unique_ptr<child_process> child_;
  real_clock::time_point started_;
};

class run_of_phases {
 public:
  run_of_phases(const std::vector<phase>& phases, const interruption& stop, progress_display& d)
      : stop_(stop), display_(d), total_(cli::expected_seconds(phases)) {
    for (const auto& p : phases)
      for (const auto& l : p)
        for (const auto& s : l) work_ += s.expected_seconds;
    struct stat where {};
    stdout_is_pipe_ = fstat(STDOUT_FILENO, &where) == 0 && S_ISFIFO(where.st_mode);
  }

  void run(const phase& p) {
    std::vector<running_lane> lanes(p.begin(), p.end());
    for (;;) {
      for (auto& l : lanes) advance(l);
      std::erase_if(lanes, [](const running_lane& l) { return l.finished(); });
      if (lanes.empty()) return;
      draw(lanes);
      wait(lanes);
    }
  }
  outcomes take() { return std::move(results_); }

 private:
  // A lane whose step has just ended starts the next one without waiting for a frame.
  void advance(running_lane& l) {
    for (;;) {
      const step* before = l.current();
      l.advance(results_);
      if (before != nullptr && l.current() == nullptr) done_ += before->expected_seconds;
      if (l.current() != nullptr || l.finished()) return;
    }
  }
  void draw(const std::vector<running_lane>& lanes) {
    double done = done_;
    std::vector<progress_display::line> lines;
    for (const auto& l : lanes) {
      const double expected = l.current()->expected_seconds;
      done += std::min(l.elapsed(), 0.97 * expected);
      lines.push_back({l.current()->label, l.elapsed(), std::min(0.97, l.elapsed() / expected)});
    }
    display_.draw(done / work_, seconds_since(began_), total_, lines);
  }
  void wait(const std::vector<running_lane>& lanes) {
    std::vector<pollfd> fds{{stop_.fd(), POLLIN, 0}, {stdout_is_pipe_ ? STDOUT_FILENO : -1, 0, 0}};
    for (const auto& l : lanes) l.watch(fds);
    poll(fds.data(), fds.size(), frame_ms);
    if (fds[0].revents != 0) throw complaint(exit_status::interrupted, "interrupted");
    if (fds[1].revents != 0)
      throw complaint(exit_status::usage,
                      "nobody reads standard output any more, so nothing more is "
                      "measured; send it to a file or a terminal");
  }

  const interruption& stop_;
  progress_display& display_;
  outcomes results_;
  double work_ = 0, done_ = 0, total_;
  bool stdout_is_pipe_ = false;
  real_clock::time_point began_ = real_clock::now();
};

}  // namespace

double expected_seconds(const std::vector<phase>& phases) {
  double total = 0;
  for (const auto& p : phases) {
    double longest = 0;
    for (const auto& l : p) {
      double sum = 0;
      for (const auto& s : l) sum += s.expected_seconds;
      longest = std::max(longest, sum);
    }
    total += longest;
  }
  return total;
}

outcomes run_schedule(const std::vector<phase>& phases, const interruption& stop,
                      progress_display& display) {
  run_of_phases run(phases, stop, display);
  for (const auto& p : phases) run.run(p);
  display.clear();
  return run.take();
}

}  // namespace plait::cli
