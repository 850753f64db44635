#include "processes/process_engine.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "plait/threads/cpu_count.hpp"
#include "processes/launch.hpp"
#include "processes/reply_batch.hpp"
#include "processes/sandbox_walls.hpp"
#include "processes/worker_limits.hpp"

namespace plait::detail {

thread_local const callback_scope* callback_scope::innermost = nullptr;

namespace {

// A child that the user forked has the pool's memory, but neither its manager nor its workers.
std::atomic<unsigned> forks{0};
unsigned watch_forks() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
  return forks.load(std::memory_order_relaxed);
}

constexpr std::int64_t queued_ns_a_worker = 200'000;  // enough to hide the way there and back

process_pool_options checked(process_pool_options options) {
  if (!options.sandbox) {
    options.start = chosen_start(options.start);
  } else if (options.start == start_method::fork) {
    throw std::invalid_argument(
        "process_pool_options: start_method::fork gives workers this program's memory; a sandbox "
        "would hide nothing");
  }
  if (options.sandbox) options.sandbox = detail::checked(std::move(*options.sandbox));
  return options;
}

}  // namespace

void process_engine::job_list::push_back(remote_job& job) noexcept {
  job.next_ = nullptr;
  job.previous_ = tail_;
  (tail_ != nullptr ? tail_->next_ : head_) = &job;
  tail_ = &job;
  job.place_ = remote_job::place::pending;
  ++size_;
}

void process_engine::job_list::push_front(remote_job& job) noexcept {
  job.previous_ = nullptr;
  job.next_ = head_;
  (head_ != nullptr ? head_->previous_ : tail_) = &job;
  head_ = &job;
  job.place_ = remote_job::place::pending;
  ++size_;
}

void process_engine::job_list::remove(remote_job& job) noexcept {
  (job.previous_ != nullptr ? job.previous_->next_ : head_) = job.next_;
  (job.next_ != nullptr ? job.next_->previous_ : tail_) = job.previous_;
  job.place_ = remote_job::place::nowhere;
  --size_;
}

process_engine::process_engine(process_pool_options options)
    : inspected(engine_kind::process_pool),
      options_(checked(std::move(options))),
      limit_(options_.max_workers != 0 ? options_.max_workers : usable_cpu_count()),
      may_spin_(usable_cpu_count() > 1),
      fork_generation_(watch_forks()),
      seats_(new std::unique_ptr<seat>[2 * limit_]) {
  if (nesting_depth >= max_nesting_depth)
    throw broken_executor("process pools are nested more than " +
                          std::to_string(max_nesting_depth) + " deep");
  check_limits(options_);
  if (const char* objection = objection_to_fork();
      options_.start == start_method::fork && objection != nullptr)
    throw broken_executor(objection);
  page_file_ = make_memfd("plait-pool", sizeof(pool_page));
  page_.reset(static_cast<pool_page*>(map_shared(page_file_.get(), sizeof(pool_page))));
  if (options_.sandbox) seal(page_file_.get(), page_access::read);
  doorbell_ = make_eventfd();
  alarm_ = make_eventfd();
  events_ = descriptor(epoll_create1(EPOLL_CLOEXEC));
  if (!events_) throw_errno("epoll_create1");
  if (std::getenv(zygote_variable) != nullptr) {
    // Static initialisation in a process that will be a zygote; or a main that should not run.
    closed_ = true;
    broken_ = breakage::other;
    broken_reason_ =
        "this process was started to be a pool's worker: its own pools of static duration do not "
        "work, and with a static C library main must first call plait::run_worker_if_requested()";
    return;
  }
  if (options_.limits.group) groups_ = std::make_unique<control_groups>(*options_.limits.group);
  // No handler of the program's signals runs on our thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  add_ref();  // the manager's
  try {
    manager_ = std::thread([this] { manage(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (options_.start == start_method::fork) launched_.acquire();  // it sees our memory of now
  inspected::enter();
  entered_ = true;
}

process_engine::~process_engine() {
  if (entered_) inspected::leave();
  for (std::size_t i = 0; i < seat_count_; ++i) munmap(seat_at(i).shared, sizeof(channel));
}
void process_engine::unmaps::operator()(pool_page* page) const noexcept {
  munmap(page, sizeof *page);
}

// ---- placing -----------------------------------------------------------------------------------

std::uint32_t process_engine::depth() const noexcept {
  if (typical_ns_ < 0) return 2;
  constexpr std::int64_t most = slot_count - 4;
  return static_cast<std::uint32_t>(
      std::min(most, 1 + queued_ns_a_worker / std::max<std::int64_t>(typical_ns_, 1)));
}

seat* process_engine::choose() noexcept {
  seat* best = nullptr;
  std::uint32_t least = depth();
  const std::size_t n = seat_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    seat& s = seat_at(i);
    if (s.state != seat::life::alive || s.in_flight() >= least) continue;
    best = &s;
    least = s.in_flight();
    if (least == 0) break;
  }
  return best;
}

process_engine::placement process_engine::place(seat& s, remote_job& job) noexcept {
  slot& to = s.slot_of(s.placed);
  const std::size_t n = job.request.size();
  const std::uint64_t mark = s.arena.mark();
  if (n <= sizeof to.bytes) {
    to.where = tier::in_slot;
    __builtin_memcpy(to.bytes, job.request.data(), n);
  } else if (n <= arena_limit) {
    const std::uint64_t offset = s.arena.allocate(n);
    if (offset == ring_arena::full) return placement::no_room;
    to.where = tier::in_arena;
    to.offset = static_cast<std::uint32_t>(offset);
    __builtin_memcpy(s.shared->pool.requests + offset, job.request.data(), n);
  } else {
    try {
      job.request.move_to_memfd();
    } catch (...) {
      return s.in_flight() == 0 ? placement::impossible : placement::no_room;
    }
    to.where = tier::in_memfd;
    message_place place{job.request.memory_id(), job.request.capacity(), message_place::not_lent};
    if (options_.sandbox) place.capacity = seal_message(job.request);
    __builtin_memcpy(to.bytes, &place, sizeof place);
  }
  to.attached = static_cast<std::uint8_t>(job.request.attached());
  if (to.where == tier::in_memfd || to.attached != 0) {
    int fds[max_sent];
    // A request that did not grow past the arena may lie in a memfd nevertheless; that one stays.
    const std::size_t all = job.request.descriptors(fds);
    const std::size_t skipped = job.request.fd() >= 0 && to.where != tier::in_memfd;
    if (!send_packet(s.socket.get(), &s.placed, sizeof s.placed, fds + skipped, all - skipped,
                     MSG_DONTWAIT)) {
      s.arena.rewind(mark);
      return s.in_flight() == 0 ? placement::impossible : placement::no_room;
    }
  }
  to.size = n;
  to.began.store(0, std::memory_order_relaxed);  // until the worker says when
  to.entry = job.entry_;
  to.has_listener = job.listener_ != nullptr;
  to.took = 0;
  to.check = checksum({.where = to.where,
                       .attached = to.attached,
                       .offset = to.offset,
                       .size = n,
                       .entry = job.entry_,
                       .took = 0},
                      slot_state::queued, s.placed, to.bytes);
  const std::uint32_t index = s.placed % slot_count;
  s.jobs[index] = &job;
  s.marks[index] = s.arena.mark();
  job.place_ = remote_job::place::placed;
  job.seat_ = s.index;
  job.sequence_ = s.placed++;
  ++s.tasks;
  to.state.store(slot_state::queued, std::memory_order_seq_cst);
  return placement::done;
}

void process_engine::wake_for(seat& s, wake_list& wakes) noexcept {
  auto& asleep = s.shared->asleep;  // C5
  if (asleep.load(std::memory_order_seq_cst) != 0 &&
      asleep.exchange(0, std::memory_order_seq_cst) != 0)
    wakes.add(*s.shared);
}

void process_engine::dispatch(wake_list& wakes) noexcept {
  while (!pending_.empty()) {
    seat* s = choose();
    if (s == nullptr) return;
    remote_job& job = *pending_.front();
    pending_.remove(job);
    switch (place(*s, job)) {
      case placement::no_room:
        return pending_.push_front(job);
      case placement::impossible:
        impossible_.push_back(job);
        settle(job);  // the manager rejects it
        ring(alarm_.get());
        break;
      case placement::done:
        wake_for(*s, wakes);
        if (is_worn_out(*s)) retire(*s, wakes);
    }
  }
}

// One from the start, so that the first call finds it; then as many as there were ever calls for: a
// worker that died is replaced before anybody asks.
std::size_t process_engine::wanted_workers() const noexcept {
  const std::size_t calls = std::min(limit_, unfinished_.load(std::memory_order_relaxed));
  return closed_ ? calls : std::max(calls, most_alive_);
}

bool process_engine::in_a_forked_child() const noexcept {
  return forks.load(std::memory_order_relaxed) != fork_generation_;
}

void process_engine::refuse(remote_job& job) const {
  job.cancelled();
  if (broken_ != breakage::none) std::rethrow_exception(broken_error());
  if (in_a_forked_child())
    throw broken_executor("this process was forked from the one that owns the pool");
  throw executor_shutdown();
}

void process_engine::enqueue(remote_job& job) {
  if (in_a_forked_child()) [[unlikely]]
    refuse(job);
  bool need_manager = false;
  {
    wake_list wakes;
    std::unique_lock hold(mutex_);
    if (closed_) [[unlikely]] {
      hold.unlock();
      refuse(job);
    }
    add_ref();
    job.engine_ = this;
    if (call_limits* limits = job.limits_.get()) {
      limits->job = &job;
      limits->next = limited_;
      if (limited_ != nullptr) limited_->previous = limits;
      limited_ = limits;
      const std::int64_t due =
          std::min(limits->deadline, time_from_now(duration(limits->timeout_ns)));
      if (due < next_limit_) {
        next_limit_ = due;
        need_manager = true;
      }
    }
    const auto unfinished = unfinished_.fetch_add(1, std::memory_order_relaxed) + 1;
    pending_.push_back(job);
    dispatch(wakes);
    if (alive_ < std::min(limit_, unfinished) && !start_requested_)
      need_manager = start_requested_ = true;
    hold.unlock();
  }
  if (need_manager) ring(alarm_.get());
}

// ---- taking back -------------------------------------------------------------------------------

bool process_engine::take_back(seat& s, std::uint32_t sequence) noexcept {
  if (s.is_heard_now(sequence)) return false;  // whatever its slot says
  auto expected = slot_state::queued;
  if (!s.slot_of(sequence).state.compare_exchange_strong(expected, slot_state::revoked,
                                                         std::memory_order_acq_rel))
    return false;  // C1: the worker has it
  remote_job*& job = s.jobs[sequence % slot_count];
  job->place_ = remote_job::place::nowhere;
  job = nullptr;
  --s.tasks;
  return true;
}

bool process_engine::withdraw(remote_job& job) noexcept {
  {
    const std::lock_guard hold(mutex_);
    if (!take_out(job)) return false;
    settle(job);
  }
  job.cancelled();
  finished(1);
  return true;
}

void process_engine::settle(remote_job& job) noexcept {
  job.place_ = remote_job::place::resolving;
  call_limits* limits = job.limits_.get();
  if (limits == nullptr || limits->job == nullptr) return;
  (limits->previous != nullptr ? limits->previous->next : limited_) = limits->next;
  if (limits->next != nullptr) limits->next->previous = limits->previous;
  limits->job = nullptr;
}

bool process_engine::harvest_ready() noexcept {
  bool took = false;
  const std::size_t n = seat_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < n; ++i) {
    seat& s = seat_at(i);
    while (s.has_reply()) {
      reply_batch batch;
      {
        wake_list wakes;
        const std::lock_guard hold(mutex_);
        if (s.state == seat::life::empty || !harvest(s, batch)) break;
        took = true;
        if (s.state == seat::life::alive && is_worn_out(s)) retire(s, wakes);
        dispatch(wakes);
      }
      resolve(batch);
    }
  }
  return took;
}

void process_engine::reject_all(std::vector<failure>& failures) noexcept {
  if (failures.empty()) return;
  {
    const callback_scope inside(*this);
    for (auto& f : failures) f.job->reject(std::move(f.error));
  }
  finished(failures.size());
  failures.clear();
}

void process_engine::finished(std::size_t calls) noexcept {
  if (unfinished_.fetch_sub(calls, std::memory_order_seq_cst) == calls &&
      closing_.load(std::memory_order_seq_cst))
    ring(alarm_.get());
}

// ---- waiting -----------------------------------------------------------------------------------

bool process_engine::spin_until_done(remote_job& job) noexcept {
  const std::int64_t until = monotonic_ns() + spin_budget_ns;
  do {
    for (int i = 0; i < 16; ++i) {
      harvest_ready();
      if (job.is_done()) return true;
      relax();
    }
  } while (monotonic_ns() < until);
  return false;
}

void process_engine::assist(remote_job& job) noexcept {
  if (!may_spin_) return;
  if (spins_to_skip_.load(std::memory_order_relaxed) > 0) {
    spins_to_skip_.fetch_sub(1, std::memory_order_relaxed);
    harvest_ready();
    return;
  }
  // While we look, nobody needs to be woken.
  pollers_.fetch_add(1, std::memory_order_seq_cst);
  page_->listener.store(pool_page::nobody, std::memory_order_seq_cst);
  page_->hot.store(1, std::memory_order_relaxed);
  const bool paid_off = spin_until_done(job);
  if (pollers_.fetch_sub(1, std::memory_order_seq_cst) == 1) {
    page_->listener.store(pool_page::always, std::memory_order_seq_cst);
    harvest_ready();  // C5: what came before the store rang nobody's bell
  }
  if (paid_off) {
    spin_penalty_.store(0, std::memory_order_relaxed);
  } else {
    const int penalty = std::min(256, 2 * spin_penalty_.load(std::memory_order_relaxed) + 1);
    spin_penalty_.store(penalty, std::memory_order_relaxed);
    spins_to_skip_.store(penalty, std::memory_order_relaxed);
    page_->hot.store(0, std::memory_order_relaxed);
  }
}

// ---- the end -----------------------------------------------------------------------------------

void process_engine::stop_taking(shutdown_options options) {
  {
    const std::lock_guard hold(mutex_);
    closed_ = true;
    if (options.grace != duration::max())
      patient_until_ = std::min(patient_until_, time_from_now(options.grace));
  }
  if (options.pending == shutdown_options::pending_calls::cancel) cancel_pending();
  closing_.store(true, std::memory_order_seq_cst);
  ring(alarm_.get());
}

// In a callback there is nothing to wait for that would not wait for us.
void process_engine::shutdown(shutdown_options options) {
  if (in_a_forked_child()) return;  // the parent's pool
  stop_taking(options);
  if (callback_scope::is_within(*this)) return;
  const std::lock_guard hold(join_mutex_);
  if (manager_.joinable()) manager_.join();
}

void process_engine::abandon() {
  if (!callback_scope::is_within(*this)) return shutdown({});
  if (in_a_forked_child()) return;
  stop_taking({});
  const std::unique_lock hold(join_mutex_, std::try_to_lock);  // else somebody waits for it
  if (hold.owns_lock() && manager_.joinable()) manager_.detach();
}

void process_engine::cancel_pending() {
  std::vector<remote_job*> withdrawn;
  {
    const std::lock_guard hold(mutex_);
    while (remote_job* job = pending_.front()) {
      pending_.remove(*job);
      withdrawn.push_back(job);
    }
    for (std::size_t i = 0; i < seat_count_; ++i) {
      seat& s = seat_at(i);
      if (s.state == seat::life::empty) continue;
      for (std::uint32_t q = s.harvested; q != s.placed; ++q) {
        remote_job* job = s.jobs[q % slot_count];
        if (job != nullptr && take_back(s, q)) withdrawn.push_back(job);
      }
    }
    for (remote_job* job : withdrawn) settle(*job);
  }
  {
    const callback_scope inside(*this);
    for (remote_job* job : withdrawn) job->cancelled();
  }
  if (!withdrawn.empty()) finished(withdrawn.size());
}

// ---- the doors for the templates ---------------------------------------------------------------

void remote_job::assist_engine() noexcept {
  if (engine_ != nullptr) engine_->assist(*this);
}
bool remote_job::stop_at_engine(bool hears) noexcept {
  return engine_ != nullptr && engine_->stop(*this, hears);
}
bool remote_job::has_begun_at_engine() const noexcept {
  return engine_ != nullptr && engine_->has_begun(*this);
}
void remote_job::set_options(const process_call_options& options) {
  name_ = options.name;
  if (options.timeout != duration::max() || options.deadline != duration::max() ||
      options.retries != 0 || options.stop_first != duration::zero())
    limits_ = std::make_unique<call_limits>(options);
  if (options.on_report) listener_ = std::make_shared<const report_listener>(options.on_report);
}
void remote_job::release_engine() noexcept {
  if (engine_ != nullptr) engine_->release();
}

}  // namespace plait::detail
