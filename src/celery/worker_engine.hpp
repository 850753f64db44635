// celery/worker_engine.hpp: one worker on its loop: takes messages, has them run, ends them.
//
//   reserve ──> read ──> hold until eta ──> wait for a slot ──> run ──> finish
//                 │                                              │
//                 └── malformed: dead list                       ├── failed: FAILURE, or a retry
//                     revoked, expired: REVOKED                  ├── its process died: back, or dead
//                     unknown: NotRegistered                     └── its pool broke: back, a new pool
//
// A message stays leased from the first step to the last, and the lease is renewed by a task of its
// own. Whatever happens to this process, the message comes back when the lease ends.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "celery/builtin_tasks.hpp"
#include "celery/event_sender.hpp"
#include "celery/outcome.hpp"
#include "celery/rate_limits.hpp"
#include "celery/recent_ids.hpp"
#include "celery/told_states.hpp"
#include "celery/transport.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/celery/options.hpp"
#include "plait/celery/task_entry.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {

// As many short calls may wait in a worker as keep its slots busy while the next are fetched.
constexpr std::size_t most_taken(std::size_t concurrency) {
  return concurrency + std::min<std::size_t>(8, concurrency);
}

struct worker_counts {
  std::uint64_t succeeded = 0, failed = 0, retried = 0, revoked = 0, crashed = 0, buried = 0,
                leases_lost = 0;
};

class worker_engine {
 public:
  struct settings {
    worker_options options;  // with no defaults left
    duration result_expires;
    std::string default_queue = "celery";  // of what a call calls
    // Another pool in the place of a broken one, which may still end what runs. Throws if it cannot.
    std::function<process_pool_executor*()> new_processes = {};
    dict facts = {};  // what `inspect conf` and `report` tell, in Celery's names
  };
  // All of them outlive it.
  worker_engine(const task_table& tasks, transport& broker, result_backend& results, engines where,
                settings s);

  // Until shutdown(), then until what runs has ended.
  task<> run();
  // Warm; cold the second time. On the loop.
  void shutdown();
  bool was_cold() const noexcept { return cold_; }
  const worker_counts& counts() const noexcept { return counts_; }

 private:
  enum class phase : unsigned char { held, running };
  // Of a message that counts against what is reserved: whoever reserved it has counted it.
  class place {
   public:
    explicit place(worker_engine& engine) noexcept : engine_(engine) {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() { leave(); }
    void leave() noexcept {
      if (!std::exchange(is_taken_, false)) return;
      --engine_.taken_;
      engine_.room_.set();
    }
    void take_again() noexcept { engine_.taken_ += std::exchange(is_taken_, true) ? 0 : 1; }

   private:
    worker_engine& engine_;
    bool is_taken_ = true;
  };
  struct job {
    std::string tag;
    task_message message;
    phase at = phase::held;
    future<std::string> call;
    std::shared_ptr<told_states> states;  // once it began
    worker_engine::place* place = nullptr;
    std::string queue;
    int priority = 0;
    unsigned deliveries = 1;
    bool in_process = false;
    process_pool_executor* pool = nullptr;  // that runs the call, until it is replaced
    bool acknowledged = false, terminated = false;
    double began = 0;  // seconds since 1970
  };
  using job_list = std::unordered_map<std::string, job*>;  // by tag

  task<> consume(task_group& group);
  task<> take_in(task_group* group, std::size_t nth);
  task<> renew();
  task<> listen();
  task<> handle(delivery d);
  task<> handle_task(delivery d, task_message m, place& taken);
  enum class look : unsigned char { when_reserved, now };
  task<bool> is_settled(const task_message& m, const delivery& d, look when);
  task<> hold(const task_message& m);
  task<> wait_for_turn(const std::string& task);
  task<> run_call(delivery d, job& j, const task_entry& entry, semaphore::permit slot);
  task<> replace_pool(process_pool_executor* broken);
  task<outcome> call(const task_entry& entry, job& j, const delivery& d);
  task<> conclude(delivery d, const task_message& m, const task_entry* entry, outcome o,
                  bool acknowledged);
  void make_room(const std::string& tag);
  task<> finish(std::string tag, call_end end, std::optional<std::string> bury = {});
  task<> refuse(delivery d, std::string why, std::optional<std::string> id, exception_info error);
  task<> bury(delivery d, const task_message& m, const task_entry* entry, std::string why,
              exception_info error);
  const task_entry* find_task(const std::string& name) const;
  // Counts the chords' parts that end here, which may end a chord, which may be a part of one.
  task<> end_parts(const call_facts& f, call_end& end);
  call_facts facts_of(const task_message& m, const delivery& d, const task_entry* entry) const;
  value answer(const control_request& r);
  dict told_of(const job& j) const;
  list jobs_at(phase p) const;
  list scheduled() const;
  dict query(const dict& arguments) const;
  dict statistics() const;
  dict report() const;
  dict tell_calls(bool wanted);
  dict greet(const dict& arguments);
  dict add_queue(const dict& arguments);
  dict drop_queue(const dict& arguments);
  void reserve_anew();
  void tell_of_end(const task_message& m, const outcome& o, bool retried);
  dict revoke(const dict& arguments);
  dict change_rate(const dict& arguments);
  dict change_limits(const dict& arguments);
  // Zero: none. What the call asks for, what was set from afar, or what the task has.
  struct limits {
    duration soft = duration::zero(), hard = duration::zero();
  };
  limits limits_of(const task_message& m, const task_entry& entry) const;

  const task_table& tasks_;
  const task_table builtins_;
  transport& transport_;
  broker& broker_;
  result_backend& results_;
  engines engines_;
  const settings settings_;
  semaphore slots_;
  semaphore replacing_{1};
  time_point next_pool_{};
  std::size_t taken_ = 0;  // messages that count against what is reserved
  plait::event room_, stop_;
  bool stopping_ = false, cold_ = false;
  std::size_t asked_ = 0;  // of the broker, and not here yet
  bool are_plenty_ = false;
  std::array<future<std::vector<delivery>>, 2> reserving_;
  job_list jobs_;
  recent_ids revoked_;
  std::vector<std::string> queues_;
  std::uint64_t round_ = 0;                    // of reserving: another one when the queues change
  std::map<std::string, limits> time_limits_;  // set from afar
  // A thread whose call was given up may run on, and tell of its state, when all of this has gone.
  struct door {
    std::mutex mutex;
    bool is_open = true;
  };
  const std::shared_ptr<door> open_ = std::make_shared<door>();
  std::map<std::string, std::uint64_t> done_by_task_;
  std::set<std::string> chords_ending_;  // groups whose body is on its way
  std::int64_t clock_ = 0;               // Lamport's
  time_point started_{};
  worker_counts counts_;
  event_sender events_;
  rate_limits rates_;
  std::mt19937_64 random_{std::random_device()()};
};

}  // namespace plait::celery::detail
