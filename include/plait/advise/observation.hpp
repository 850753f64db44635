// plait/advise/observation.hpp: what a running program does with its time, seen from outside.
//
//   const auto seen = plait::observe(pid, {.window = 5s});
//   const auto verdict = plait::diagnose(seen);       // plait/advise/diagnosis.hpp
//
// A whole process tree, in any language, without stopping it, touching it or asking it: the kernel's
// exact clocks say how long each thread ran and how long it waited for a CPU; the system call it is
// in, read 70 times a second at random moments, says for what it waited the rest of the time.
//
// Threads:  observe may be called on any thread, several at once for different programs.
// Blocks:   for options.window, or until the program has ended or a stop is asked for.
// Stops:    options.stop; what was seen until then is returned.
// Throws:   observation_failed if there is nothing to see: no such process, no permission.
// Cost:     about 0.6 % of a core; more than about 100 threads that are awake are looked at in turn.
//           About 1 KB a thread and second.
// Source:   docs/advise.md says how it measures and what it cannot see.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "plait/core/clock.hpp"

namespace plait {

class observation_failed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a thread does at one moment. In this order: where several threads of a program do several
// things, the first of these is what the program as a whole does.
enum class activity : std::uint8_t {
  running,           // computes, or waits for a CPU
  disk,              // a file, a file system, a page of memory that is not there
  network,           // an answer from another program
  clients,           // a request that nobody has sent yet; a signal; an outsider's pipe
  sleep,             // an amount of time
  terminal,          // a person
  lock,              // a mutex, a file's lock
  interpreter_lock,  // CPython's GIL
  timer,             // another thread, or a time, whichever comes first
  peer,              // another thread: a lock, a queue, a condition
  pipe,              // another process of the program
  children,          // the end of another process of the program
  join,              // the end of another thread
  other,             // what is none of these
  absent,            // not there, or not looked at
};
inline constexpr std::size_t activity_count = static_cast<std::size_t>(activity::absent);
const char* to_text(activity what) noexcept;

// The kernel's clocks of a thread, in seconds since the first reading of that thread.
struct thread_clock {
  float at = 0;      // since the beginning of the observation
  double run = 0;    // on a CPU
  double queue = 0;  // waiting for a CPU
};

struct observed_thread {
  int pid = 0, tid = 0;
  std::string name = {};
  std::vector<thread_clock> clocks = {};  // the first and the last, and several a second between
  std::uint32_t first_tick = 0;
  std::vector<activity> samples = {};  // one a tick from first_tick on
  double switches = 0;                 // how often it went to wait by itself
};

// Where the code of a process says that its threads cannot compute side by side.
enum class runtime_kind : std::uint8_t { native, cpython, javascript, go, jvm };

struct observed_process {
  int pid = 0, parent = 0;
  std::string name = {};
  runtime_kind runtime = runtime_kind::native;
  double first_seen = 0, last_seen = 0;         // seconds since the beginning
  double user_seconds = 0, system_seconds = 0;  // in the window
};

// The machine, in seconds of CPU since the beginning; of the CPUs that the program may use.
struct machine_reading {
  float at = 0;
  double busy = 0;       // of every program
  double stolen = 0;     // by other virtual machines
  double throttled = 0;  // wall time in which a quota held the program back
};

// What was waited for, so that a person can find it.
struct waited_for {
  activity what = activity::other;
  std::string name;  // "127.0.0.1:5432", "/var/lib/data.db", "futex 0x55d0c8 of 4711"
  std::size_t samples = 0;
};

struct tick_reading {
  float at = 0;
  std::uint32_t in_flight = 0;  // requests that event loops had sent and that had no answer yet
  bool in_loop =
      false;  // a thread waited for an answer or a time in an event loop (epoll, poll, ...)
};

struct observation {
  int root = 0;
  std::string command;
  double seconds = 0;
  enum class beginning { running_already, started_for_it } began = beginning::running_already;
  enum class ending { time_is_up, program_ended, stopped } ended = ending::time_is_up;

  double cpus = 1;   // that the program may use: affinity, cut by a cgroup's quota
  double quota = 0;  // of a cgroup, in CPUs; 0: none
  std::vector<tick_reading> ticks;
  std::vector<machine_reading> machine;
  std::vector<observed_thread> threads;
  std::vector<observed_process> processes;
  std::vector<waited_for> waits;  // the most frequent first

  std::size_t outbound_connections = 0, inbound_connections = 0,
              listening_sockets = 0;  // at most at once
  double bytes_received = 0;          // on outbound connections that are still there
  double unseen_children_cpu = 0;     // of children that lived and died between two looks
  double unseen_threads_cpu = 0;      // of threads that did so
  double spinning = -1;  // share of sampled instructions within a loop that spins; -1: not looked
  double own_cpu = 0;    // seconds of CPU that observing took
  std::vector<std::string> notes;  // what could not be seen, and why
};

struct observe_options {
  duration window = std::chrono::seconds(5);
  std::stop_token stop = {};
  observation::beginning began = observation::beginning::running_already;
  // Called about every progress_every with what was seen so far.
  std::function<void(const observation&)> progress = {};
  duration progress_every = std::chrono::seconds(1);
};

observation observe(int pid, observe_options options = {});

}  // namespace plait
