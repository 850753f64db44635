// The pool behind the handle: where calls wait, which worker has which, and who takes replies back.
//
// Two kinds of threads meet here. Callers place calls straight into a worker's channel and, while
// they wait, take replies out of all channels themselves. The manager thread sleeps until a worker
// rings and nobody is polling; it alone starts workers, hears of deaths and judges them.
//
// One mutex guards the bookkeeping; under it nothing blocks, and no user code runs. Replies are
// copied out under it and decoded after it.
//
// Files: process_engine.cpp places and takes back; replies.cpp takes answers; limits.cpp ends calls;
// manager.cpp is the manager thread, verdict.cpp its judgement of deaths.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "inspect/registry.hpp"
#include "plait/processes/process_pool_executor.hpp"
#include "processes/control_groups.hpp"
#include "processes/error_stream.hpp"
#include "processes/reply_batch.hpp"
#include "processes/seat.hpp"
#include "processes/zygote.hpp"

namespace plait::detail {

class process_engine final : public inspected {
 public:
  explicit process_engine(process_pool_options options);
  process_engine(const process_engine&) = delete;
  ~process_engine();

  // Takes the job over, or throws: then the job has been cancelled.
  void enqueue(remote_job& job);
  // Helps along while a thread waits for `job`: takes replies back, and looks on for a while if
  // that has paid off lately.
  void assist(remote_job& job) noexcept;
  // Takes back a call that has not begun; true if it did, and the call is cancelled.
  bool withdraw(remote_job& job) noexcept;
  // The same, or asks a call that runs to stop. True unless that does not listen: its signature
  // `hears`, or it has asked for its token.
  bool stop(remote_job& job, bool hears) noexcept;
  bool has_begun(const remote_job& job) noexcept;
  // See process_pool_executor::kill.
  bool kill(remote_job& job) noexcept;
  void shutdown(shutdown_options options);
  // The executor goes. In a callback nothing is waited for: the manager then ends on its own.
  void abandon();

  // What a call throws that was ended for that reason.
  static std::exception_ptr sentence_of(const remote_job& job, sentence why);

  std::vector<int> worker_pids();
  process_pool_statistics statistics();
  std::size_t limit() const noexcept { return limit_; }
  void describe(inspection& into) override;

  void add_ref() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  // Workers that sleep and have been given calls: woken after the mutex is free.
  class wake_list {
   public:
    ~wake_list() { flush(); }
    void add(channel& c) noexcept {
      if (count_ == capacity) flush();
      asleep_[count_++] = &c;
    }
    void flush() noexcept {
      while (count_ != 0) futex_wake(asleep_[--count_]->asleep);
    }

   private:
    static constexpr std::size_t capacity = 8;
    channel* asleep_[capacity];
    std::size_t count_ = 0;
  };
  // Calls in order of submission.
  class job_list {
   public:
    bool empty() const noexcept { return head_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    void push_back(remote_job& job) noexcept;
    void push_front(remote_job& job) noexcept;
    void remove(remote_job& job) noexcept;
    remote_job* front() const noexcept { return head_; }

   private:
    remote_job *head_ = nullptr, *tail_ = nullptr;
    std::size_t size_ = 0;
  };
  enum class placement { done, no_room, impossible };
  struct failure {
    remote_job* job;
    std::exception_ptr error;
  };
  enum class breakage { none, initializer, image, limits, other };

  // process_engine.cpp; those marked (m) need the mutex.
  std::uint32_t depth() const noexcept;                      // (m) calls a worker may hold
  seat* choose() noexcept;                                   // (m)
  placement place(seat& s, remote_job& job) noexcept;        // (m)
  void dispatch(wake_list& wakes) noexcept;                  // (m) pending calls to seats
  void wake_for(seat& s, wake_list& wakes) noexcept;         // (m)
  bool take_back(seat& s, std::uint32_t sequence) noexcept;  // (m) C1
  bool harvest(seat& s, reply_batch& batch) noexcept;        // (m)
  bool is_enclosed(seat& s) noexcept;                        // (m) C7
  void settle(remote_job& job) noexcept;                     // (m) it is about to have a result
  bool condemn(seat& s, std::uint32_t sequence, sentence why) noexcept;  // (m)
  static void ask_before_kill(call_limits& limits, sentence why, std::int64_t now) noexcept;
  bool ask_to_stop(remote_job& job) noexcept;       // (m)
  void end_worker(seat& s, sentence why) noexcept;  // (m)
  void signal_condemned(seat& s) noexcept;          // (m)
  std::size_t wanted_workers() const noexcept;      // (m)
  void refuse(remote_job& job) const;
  bool in_a_forked_child() const noexcept;
  bool harvest_ready() noexcept;
  // replies.cpp
  bool take_reply(seat& s, std::uint32_t sequence, slot_state state,
                  reply_batch& batch) noexcept;  // (m)
  bool copy_reply(seat& s, std::uint32_t sequence, slot_state state, reply_batch& batch,
                  remote_job& job) noexcept;  // (m)
  void copy_beside(seat& s, std::uint32_t sequence, const message_head& head,
                   reply_batch::item& to);                  // (m)
  void harvest_rest(seat& s, reply_batch& batch) noexcept;  // (m)
  void spoil(seat& s) noexcept;                             // (m)
  void look_at_sleepers(std::int64_t now) noexcept;
  bool awaits_hearing(const seat& s, std::uint32_t sequence) const noexcept;  // (m)
  void hear_reports() noexcept;                                               // the manager's
  void hear_report(seat& s) noexcept;                                         // the manager's
  std::shared_ptr<const report_listener> begin_hearing(seat& s,
                                                       std::uint32_t sequence) noexcept;  // (m)
  void return_lent(const reply_batch::came_along& beside) noexcept;
  void resolve(reply_batch& batch) noexcept;
  void reject_all(std::vector<failure>& failures) noexcept;
  void finished(std::size_t calls) noexcept;
  bool spin_until_done(remote_job& job) noexcept;
  seat& seat_at(std::size_t i) const noexcept { return *seats_[i]; }
  // 0: not known yet. The word of a sandboxed worker is not taken for it.
  int pid_of(const seat& s) const noexcept {
    const int told = s.pid.load(std::memory_order_relaxed);
    return told != 0 || options_.sandbox ? told : s.shared->pid.load(std::memory_order_relaxed);
  }
  void stop_taking(shutdown_options options);

  // manager.cpp: the manager thread and nobody else.
  void manage() noexcept;
  void manage_until_done();
  void sleep_until_event();
  void reject_impossible();
  void keep_deadlines();
  void lose_patience(std::int64_t now);
  void kill_without_handles();
  bool may_begin_again(remote_job& job) noexcept;  // (m)
  void cancel_pending();
  bool all_gone();
  bool anybody_proven();  // (m)
  void handle_event(std::uint64_t tag);
  void start_zygote();
  void greet();
  void hear_zygote();
  void heed(const zygote_report& report, descriptor handle);
  void lose_zygote();
  void end_zygote();
  void start_workers();
  void start_worker(seat& s);
  void prepare_channel() noexcept;
  std::size_t task_limit() const noexcept;  // of the worker that is started
  std::size_t workers_on_their_way() const noexcept;
  seat* empty_seat();
  void tee(seat& s);
  void pass_on_errors();
  void watch_errors(seat& s);
  // verdict.cpp
  void bury(seat& s, int status, bool supervisor_died);
  void judge(seat& s, int status, bool supervisor_died, std::vector<failure>& failures);
  void count_failed_start(const std::string& reason, breakage how = breakage::other);
  static std::string start_failure(const seat& s, int status, worker_life life);
  static std::exception_ptr lost_answer(const seat& s, const remote_job& job);
  static std::exception_ptr lost_supervisor(const seat& s, const remote_job& job);
  void break_pool(breakage how, std::string reason);
  void fail_pending();
  crash_cause cause_of_death(const seat& s, int status);
  worker_crashed::verdict verdict_of(seat& s, const remote_job& job, int status);
  void retire(seat& s, wake_list& wakes) noexcept;  // (m)
  bool is_worn_out(const seat& s) const noexcept;   // (m)
  void rebalance();
  bool unbalanced();
  void dismiss_workers();
  std::exception_ptr broken_error() const;
  // limits.cpp: calls that take too long
  void enforce_limits();
  static std::exception_ptr late(const remote_job& job);
  bool take_out(remote_job& job) noexcept;  // (m) if it has not begun
  std::int64_t sleep_limit_ns();
  void watch(int fd, std::uint64_t tag);

  const process_pool_options options_;
  const std::size_t limit_;
  const bool may_spin_;
  const unsigned fork_generation_;
  std::atomic<std::size_t> references_{1};

  std::mutex mutex_;
  std::unique_ptr<std::unique_ptr<seat>[]> seats_;  // 2 * limit_ at most: leavers and successors
  std::atomic<std::size_t> seat_count_{0};          // grows only
  job_list pending_;
  job_list impossible_;    // calls that could not even be handed over: the manager rejects them
  std::size_t alive_ = 0;  // seats in life::alive
  std::size_t most_alive_ = 1;
  bool closed_ = false;
  bool start_requested_ = false;
  breakage broken_ = breakage::none;
  std::string broken_reason_;
  std::int64_t typical_ns_ = -1;  // a call's time, lately; -1: not known
  std::size_t started_ = 0, crashed_ = 0;
  call_limits* limited_ = nullptr;          // the calls that have a timeout or a deadline
  std::int64_t next_limit_ = INT64_MAX;     // when to look at them
  std::int64_t next_look_ = 0;              // when to look at sleepers again
  std::int64_t patient_until_ = INT64_MAX;  // then shutdown() kills
  bool out_of_patience_ = false;

  std::atomic<std::size_t> unfinished_{0};
  std::atomic<bool> closing_{false};
  std::atomic<int> pollers_{0};
  std::atomic<int> spins_to_skip_{0}, spin_penalty_{0};

  struct unmaps {
    void operator()(pool_page* page) const noexcept;
  };
  std::unique_ptr<pool_page, unmaps> page_;
  descriptor page_file_, doorbell_, alarm_, events_;

  // The manager's alone.
  int zygote_pid_ = -1;
  std::optional<channel_files> prepared_;  // for the next worker
  descriptor zygote_;
  bool zygote_ready_ = false;
  std::int64_t zygote_deadline_ = 0;
  std::uint64_t nonce_ = 0;
  unsigned failed_starts_ = 0, idle_deaths_ = 0;  // in a row
  std::unique_ptr<control_groups> groups_;
  std::uint64_t last_number_ = 0;          // of a worker
  std::uint64_t out_of_memory_kills_ = 0;  // accounted for
  std::int64_t start_pause_until_ = 0;
  error_stream errors_;
  bool listens_to_errors_ = true;
  bool dismissed_ = false;
  std::int64_t dismissal_deadline_ = 0;

  std::atomic<start_method> start_{options_.start};  // what workers are really started by
  std::counting_semaphore<2> launched_{0};           // the first zygote has been, or cannot be

  bool entered_ = false;  // among those that can be looked at
  std::mutex join_mutex_;
  std::thread manager_;
};

// On CLOCK_MONOTONIC, saturating.
std::int64_t time_from_now(duration span) noexcept;

// Around the callbacks of an engine's calls, which must not wait for that engine; they may cause
// callbacks of another's.
class callback_scope {
 public:
  explicit callback_scope(const process_engine& of) noexcept : of_(of), outer_(innermost) {
    innermost = this;
  }
  callback_scope(const callback_scope&) = delete;
  ~callback_scope() { innermost = outer_; }
  static bool is_within(const process_engine& e) noexcept {
    for (auto* each = innermost; each != nullptr; each = each->outer_)
      if (&each->of_ == &e) return true;
    return false;
  }

 private:
  static thread_local const callback_scope* innermost;
  const process_engine& of_;
  const callback_scope* outer_;
};

}  // namespace plait::detail
