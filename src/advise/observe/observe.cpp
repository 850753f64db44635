#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <random>

#include "advise/observe/machine_load.hpp"
#include "advise/observe/open_files.hpp"
#include "advise/observe/proc_file.hpp"
#include "advise/observe/process_tree.hpp"
#include "advise/observe/spinning.hpp"
#include "advise/observe/thread_wait.hpp"
#include "plait/advise/observation.hpp"

namespace plait {

using namespace detail;

const char* to_text(activity what) noexcept {
  static constexpr const char* names[] = {"running",  "disk",     "network", "clients", "sleep",
                                          "terminal", "lock",     "gil",     "timer",   "peer",
                                          "pipe",     "children", "join",    "other",   "absent"};
  return names[static_cast<std::size_t>(what)];
}

namespace {

constexpr double mean_period = 0.014;  // never a fixed beat: +-50 %
constexpr double budget = 0.008;       // of a core, for looking at threads
constexpr double clocks_every = 0.2, tree_every = 0.1, machine_every = 0.25;
constexpr std::size_t most_waits = 256;  // different names that are counted

void sleep_seconds(double seconds) {
  timespec span{static_cast<time_t>(seconds),
                static_cast<long>(1e9 * (seconds - std::floor(seconds)))};
  while (nanosleep(&span, &span) != 0 && errno == EINTR) {
  }
}

class observer {
 public:
  observer(int pid, const observe_options& options)
      : options_(options), began_(monotonic_seconds()), cpu_at_begin_(own_thread_cpu_seconds()) {
    struct stat facts {};
    const std::string folder = "/proc/" + std::to_string(pid);
    if (pid <= 0 || stat(folder.c_str(), &facts) != 0)
      throw observation_failed("there is no process " + std::to_string(pid));
    seen_.root = pid;
    seen_.began = options.began;
    seen_.command = read_whole(folder + "/cmdline");
    while (!seen_.command.empty() && seen_.command.back() == '\0') seen_.command.pop_back();
    std::replace(seen_.command.begin(), seen_.command.end(), '\0', ' ');
    around_.is_in_tree = [this](int other) { return tree_ && tree_->find(other) != nullptr; };
    around_.has_pipe_in_tree = [this](std::uint64_t inode, int self) {
      return has_pipe(inode, self);
    };
    around_.listening_ports = find_listening_ports();
    load_.emplace(pid);
    seen_.cpus = load_->cpus();
    seen_.quota = load_->quota();
    seen_.machine.push_back(load_->read(0));
    tree_.emplace(pid, seen_, around_);
    tree_->refresh(0, true);
    tree_->read_switches();
    if (!tree_->processes().front()->alive &&
        options.began == observation::beginning::running_already)
      throw observation_failed("process " + std::to_string(pid) + " has ended");
    if (tree_->was_refused() && !can_read_calls(pid)) {
      if (read_whole(folder + "/schedstat").empty())
        throw observation_failed(
            "no permission to look into process " + std::to_string(pid) +
            ": it is another user's, or ptrace is restricted (run as its user, or root)");
      seen_.notes.push_back(
          "what its threads wait for is hidden: another user's process, or ptrace is "
          "restricted; only its use of the CPU is known");
    }
    if (read_whole(folder + "/schedstat").empty())
      throw observation_failed(
          "this kernel does not tell how long threads run: /proc/PID/schedstat is "
          "missing (CONFIG_SCHED_INFO)");
  }

  observation run() {
    const double end = 1e-9 * static_cast<double>(options_.window.count());
    const double progress = 1e-9 * static_cast<double>(options_.progress_every.count());
    double next_clocks = clocks_every, next_tree = tree_every, next_machine = machine_every,
           next_progress = progress;
    std::mt19937_64 random(std::random_device{}());
    std::uniform_real_distribution<double> factor(0.5, 1.5);
    for (;;) {
      const double now = elapsed();
      tree_->refresh(now, now >= next_tree);
      if (now >= next_tree) next_tree = now + tree_every * tree_factor_;
      tick(now);
      if (now >= next_clocks) {
        tree_->read_clocks(now);
        next_clocks = now + clocks_every;
      }
      if (now >= next_machine) {
        load_->follow();
        seen_.cpus = load_->cpus();
        seen_.quota = load_->quota();
        seen_.machine.push_back(load_->read(static_cast<float>(now)));
        around_.listening_ports = find_listening_ports();
        next_machine = now + machine_every;
        seen_.own_cpu = own_thread_cpu_seconds() - cpu_at_begin_;
        // Where looking is dear it is done less often.
        const double spent = (seen_.own_cpu - spent_before_) / (now - spent_since_);
        spent_before_ = seen_.own_cpu;
        spent_since_ = now;
        tree_factor_ = std::clamp(tree_factor_ * spent / budget, 1.0, 10.0);
        slowness_ = std::clamp(slowness_ * spent / budget, 1.0, 4.0);
      }
      spinning_.look(*tree_, now);
      if (options_.progress && now >= next_progress) {
        next_progress = now + progress;
        finish(now);
        options_.progress(seen_);
      }
      if (!tree_->anything_alive()) {
        seen_.ended = observation::ending::program_ended;
        break;
      }
      if (now >= end) break;
      if (options_.stop.stop_requested()) {
        seen_.ended = observation::ending::stopped;
        break;
      }
      // A program that has just begun is looked at more often: it may end soon.
      const double period = (now < 0.3 && seen_.began == observation::beginning::started_for_it
                                 ? 0.004
                                 : mean_period * slowness_) *
                            factor(random);
      sleep_seconds(std::min(period, std::max(0.0005, end - now)));
    }
    const double now = elapsed();
    tree_->read_switches();
    if (now - seen_.machine.back().at > 0.02)
      seen_.machine.push_back(load_->read(static_cast<float>(now)));
    seen_.spinning = spinning_.share();
    finish(now);
    return std::move(seen_);
  }

 private:
  double elapsed() const { return monotonic_seconds() - began_; }

  static bool can_read_calls(int pid) {
    return !read_whole("/proc/" + std::to_string(pid) + "/syscall").empty();
  }

  // Whether another process of the tree holds the pipe too.
  bool has_pipe(std::uint64_t inode, int self) {
    if (!tree_) return false;
    const std::string wanted = "pipe:[" + std::to_string(inode) + "]";
    std::size_t own = 0;
    for (const auto& process : tree_->processes()) {
      if (!process->alive) continue;
      const std::string folder = "/proc/" + std::to_string(process->pid) + "/fd";
      auto fds = numbers_in(folder);
      if (fds.size() > 256) fds.resize(256);
      for (const int fd : fds)
        if (link_target(folder + "/" + std::to_string(fd)) == wanted) {
          if (process->pid != self) return true;
          if (fd > 2 && ++own == 2) return true;  // both ends: threads wake one another by it
        }
    }
    return false;
  }

  void tick(double now) {
    const double cpu_before = own_thread_cpu_seconds();
    std::size_t looked = 0, awake = 0;
    tick_reading tick{.at = static_cast<float>(now)};
    ++turn_;
    for (auto& process : tree_->processes()) {
      if (!process->alive) continue;
      const watched_process watched{process->pid, process->runtime, *process->files, now};
      bool any_alive = false;
      for (auto& thread : process->threads) {
        if (!thread.alive) continue;
        any_alive = true;
        // A parked thread whose clocks stand still is parked yet; where there are too many to afford it,
        // the others are looked at in turn.
        const bool parked = thread.alike > 5 && !tree_->has_run(thread);
        if (!parked) ++awake;
        const unsigned lot =
            static_cast<unsigned>(turn_) * 2654435761u + static_cast<unsigned>(thread.tid) * 40503u;
        const bool due = !parked && (affordable_ >= 1 || lot % 1024 < affordable_ * 1024);
        if (due || thread.last == activity::absent) {
          look(thread, watched, now, tick);
          ++looked;
        }
        if (thread.alive) note(thread);
      }
      if (!any_alive && !process->threads.empty()) process->links = 0;  // the next look finds out
    }
    seen_.ticks.push_back(tick);
    const double cost = own_thread_cpu_seconds() - cpu_before;
    if (looked > 0) cost_each_ += 0.1 * (cost / static_cast<double>(looked) - cost_each_);
    const double all = cost_each_ * static_cast<double>(std::max<std::size_t>(awake, 1));
    affordable_ = now < 0.3 ? 1 : std::clamp((budget * mean_period - 30e-6) / all, 0.02, 1.0);
  }

  void look(tracked_thread& thread, const watched_process& watched, double now,
            tick_reading& tick) {
    char block[256];
    const std::string_view line = thread.call.read(block, sizeof block);
    if (line.empty() && thread.call.is_open()) {
      thread.alive = false;
      return;
    }
    thread_wait wait =
        line.empty() ? hidden_wait(watched.pid, thread.tid) : wait_of(line, thread.tid, watched);
    if (wait.what == activity::absent) {
      tree_->read_clock(thread, now);
      thread.alive = false;
      return;
    }
    const bool futex =
        wait.what == activity::peer || wait.what == activity::join || wait.what == activity::timer;
    thread.alike = futex && wait.what == thread.last ? thread.alike + 1 : 0;
    thread.last = wait.what;
    thread.on_children = wait.on_children;
    const bool outside = wait.what == activity::network || wait.what == activity::sleep;
    if (wait.event_loop) {
      tick.in_flight += static_cast<std::uint32_t>(wait.in_flight);
      tick.in_loop = tick.in_loop || outside;
    } else if (wait.what == activity::network) {
      ++tick.in_flight;
    }
    if (now - thread.born < 0.3) tree_->read_clock(thread, now);
    if (wait.what != activity::running && !wait.name.empty()) count(wait.what, wait.name);
  }

  // Without permission only a thread's state is told: R, S, D ...
  static thread_wait hidden_wait(int pid, int tid) {
    const std::string stat =
        read_whole("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/stat");
    const auto name_end = stat.rfind(')');
    if (name_end == stat.npos || name_end + 2 >= stat.size()) return {};
    const char state = stat[name_end + 2];
    return {.what = state == 'R'                   ? activity::running
                    : state == 'D'                 ? activity::disk
                    : state == 'Z' || state == 'X' ? activity::absent
                                                   : activity::other};
  }

  void note(const tracked_thread& thread) {
    auto& samples = seen_.threads[thread.record].samples;
    const std::size_t index = seen_.ticks.size() - seen_.threads[thread.record].first_tick;
    samples.resize(index, activity::absent);
    samples.push_back(thread.last);
  }

  void count(activity what, const std::string& name) {
    const auto at = waits_.find({what, name});
    if (at != waits_.end())
      ++at->second;
    else if (waits_.size() < most_waits)
      waits_[{what, name}] = 1;
  }

  void finish(double now) {
    seen_.seconds = now;
    // A process's clock before those of its threads: what it has more is of threads that were not seen.
    for (auto& process : tree_->processes())
      if (process->alive) tree_->read_process_times(*process, now);
    tree_->read_clocks(now);
    seen_.own_cpu = own_thread_cpu_seconds() - cpu_at_begin_;
    seen_.waits.clear();
    for (const auto& [key, samples] : waits_)
      seen_.waits.push_back({key.first, key.second, samples});
    std::sort(seen_.waits.begin(), seen_.waits.end(),
              [](const auto& a, const auto& b) { return a.samples > b.samples; });
    double reaped = 0, known = 0;
    for (const auto& process : tree_->processes()) {
      reaped += process->children_cpu;
      if (!process->alive && process->pid != seen_.root) {
        // What it had used before we came reaches its parent's account too.
        known += process->children_cpu + process->first_user + process->first_system +
                 process->first_children;
        for (const auto& thread : seen_.threads)
          if (thread.pid == process->pid && !thread.clocks.empty())
            known += thread.clocks.back().run;
      }
    }
    seen_.unseen_children_cpu = std::max(0.0, reaped - known);
    seen_.unseen_threads_cpu = 0;
    for (const auto& process : tree_->processes()) {
      if (!process->alive) continue;
      double unseen = process->clock - process->first_clock;
      for (const auto& thread : seen_.threads)
        if (thread.pid == process->pid && !thread.clocks.empty())
          unseen -= thread.clocks.back().run;
      seen_.unseen_threads_cpu += std::max(0.0, unseen);
    }
    count_connections(now);
    for (const auto& process : tree_->processes())
      if (process->files->was_refused()) {
        const std::string note =
            "its sockets could not be looked at: directions and answers are guessed";
        if (std::find(seen_.notes.begin(), seen_.notes.end(), note) == seen_.notes.end())
          seen_.notes.push_back(note);
      }
  }

  void count_connections(double now) {
    std::size_t outbound = 0, inbound = 0, listening = 0;
    double received = 0;
    for (const auto& process : tree_->processes()) {
      if (!process->alive) continue;
      auto fds = numbers_in("/proc/" + std::to_string(process->pid) + "/fd");
      if (fds.size() > 1024) fds.resize(1024);
      for (const int fd : fds) {
        const open_file& file = process->files->look_at(fd, now);
        if (file.outbound_tcp) received += process->files->bytes_received(fd);
        outbound += file.outbound_tcp ? 1 : 0;
        inbound += file.inbound ? 1 : 0;
        listening += file.listens ? 1 : 0;
      }
    }
    seen_.bytes_received = received;
    seen_.outbound_connections = std::max(seen_.outbound_connections, outbound);
    seen_.inbound_connections = std::max(seen_.inbound_connections, inbound);
    seen_.listening_sockets = std::max(seen_.listening_sockets, listening);
  }

  const observe_options& options_;
  observation seen_;
  surroundings around_;
  std::optional<machine_load> load_;
  std::optional<process_tree> tree_;
  spin_sampler spinning_;
  std::map<std::pair<activity, std::string>, std::size_t> waits_;
  double began_, cpu_at_begin_;
  double cost_each_ = 2e-6, affordable_ = 1, tree_factor_ = 1, slowness_ = 1;
  double spent_before_ = 0, spent_since_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace

observation observe(int pid, observe_options options) { return observer(pid, options).run(); }

}  // namespace plait
