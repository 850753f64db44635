#include "plait/advise/auto_executor.hpp"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "advise/auto_engine.hpp"
#include "plait/threads/cpu_count.hpp"

namespace plait {
namespace detail {
namespace {

// The lane of this thread, which runs calls of one executor only.
thread_local constinit call_lane* own_lane = nullptr;
struct lane_of_this_thread {
  std::shared_ptr<call_lane> lane;
  ~lane_of_this_thread() {
    own_lane = nullptr;
    if (lane != nullptr) lane->gone.store(true, std::memory_order_release);
  }
};

constexpr std::size_t first_tasks = 16;     // a coroutine under way costs little
constexpr std::size_t most_threads = 1024;  // that a pool has room for, whatever it began with

width_limits limits_of(std::size_t least, std::size_t most, std::size_t cores,
                       width_limits others = {}) {
  if (least == 0 || most < least)
    throw std::invalid_argument(
        "auto_executor: min_threads and min_tasks must be at least 1, and no more than their "
        "maximum");
  others.least = least;
  others.most = most;
  others.cores = cores;
  return others;
}

}  // namespace

// --- Blocking calls -------------------------------------------------------------------------------

call_lane* thread_side::join() noexcept {
  static thread_local lane_of_this_thread mine;
  try {
    mine.lane = add_lane();
    own_lane = mine.lane.get();
  } catch (...) {  // its calls go unseen
  }
  return own_lane;
}

void thread_side::run(job& j) noexcept {
  call_lane* const lane = own_lane != nullptr ? own_lane : join();
  if (lane == nullptr) return j.run();
  call_lane::add(lane->begun, std::uint64_t{1});
  if (!lane->is_seen()) {
    j.run();
    return lane->ended_unseen();
  }
  const std::uint32_t then = epoch();
  const std::int64_t begun = call_lane::now();
  lane->since.store(begun, std::memory_order_relaxed);
  if (first_.are_over()) [[likely]] {
    j.run();
  } else {
    first_.run(j);
  }
  lane->since.store(0, std::memory_order_relaxed);
  lane->ended_one(begun, same_epoch(then));
}

auto_form_report thread_side::report() const {
  auto_form_report r = width_keeper::report();
  const auto first = first_.judge();
  r.classified_after = first.clear_after;
  if (r.is_known || first.measured == 0) return r;
  // Nobody had to wait, or too shortly to be looked at: these few are all there is to go by.
  const auto each = [&](double sum) {
    return duration(std::int64_t(1e9 * sum / double(first.measured)));
  };
  r.cpu = each(first.computing);
  r.waited = each(first.waited);
  r.waited_for_cpu = each(first.runnable);
  const double own = first.computing + first.waited;
  r.computing = own > 0 ? first.computing / own : 0;
  return r;
}

width_keeper::load thread_side::now() const noexcept {
  const auto s = engine_->statistics();
  return {s.queued, s.running > s.blocked ? s.running - s.blocked : 0};
}

// --- Coroutines -----------------------------------------------------------------------------------

task_gate::task_gate(task_side& side, std::size_t limit, std::size_t most)
    : side_(side), most_(most), places_(most) {
  withheld_.reserve(most);
  set_limit(limit);
}

void task_gate::set_limit(std::size_t limit) noexcept {
  const std::size_t held_back = most_ - std::clamp<std::size_t>(limit, 1, most_);
  owed_ = 0;
  while (withheld_.size() > held_back) withheld_.pop_back();
  while (withheld_.size() < held_back) {
    auto permit = places_.try_acquire();
    if (!permit) break;
    withheld_.push_back(*std::move(permit));
  }
  owed_ = held_back - withheld_.size();
}

void task_gate::publish_oldest() noexcept {
  lane_->since.store(oldest_ != nullptr ? oldest_->begun_ : 0, std::memory_order_relaxed);
}

std::optional<semaphore::permit> try_permit(task_gate& gate) noexcept {
  return gate.places_.try_acquire();
}

task<semaphore::permit> next_permit(task_gate& gate) {
  struct count {
    std::atomic<std::size_t>& n;
    explicit count(std::atomic<std::size_t>& waiting) noexcept : n(waiting) { n.fetch_add(1); }
    ~count() { n.fetch_sub(1); }
  } const counted(gate.waiting);
  gate.side_.backlog();
  co_return co_await gate.places_.acquire();
}

task_place::task_place(task_gate& gate, semaphore::permit permit) noexcept
    : gate_(gate),
      permit_(std::move(permit)),
      begun_(call_lane::now()),
      epoch_(gate.side_.epoch()),
      older_(gate.newest_) {
  (older_ != nullptr ? older_->newer_ : gate.oldest_) = this;
  gate.newest_ = this;
  gate.under_way.store(gate.under_way.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  if (gate.lane_ == nullptr) gate.lane_ = gate.side_.add_lane();
  call_lane::add(gate.lane_->begun, std::uint64_t{1});
  if (older_ == nullptr) gate.publish_oldest();
}

task_place::~task_place() {
  (older_ != nullptr ? older_->newer_ : gate_.oldest_) = newer_;
  (newer_ != nullptr ? newer_->older_ : gate_.newest_) = older_;
  if (older_ == nullptr) gate_.publish_oldest();
  gate_.under_way.store(gate_.under_way.load(std::memory_order_relaxed) - 1,
                        std::memory_order_relaxed);
  gate_.lane_->ended_one(begun_, gate_.side_.same_epoch(epoch_));
  if (gate_.owed_ == 0) return;
  --gate_.owed_;
  gate_.withheld_.push_back(std::move(permit_));
}

task_side::task_side(width_limits limits, std::size_t loops)
    : width_keeper(limits), group({.loops = loops, .thread_name_prefix = "plait-auto"}) {
  const std::size_t each = (limits.most + loops - 1) / loops;
  for (std::size_t i = 0; i < loops; ++i)
    gates.emplace_back(*this, std::max<std::size_t>(1, width() / loops), each);
}

width_keeper::load task_side::now() const noexcept {
  load all{0, 0};
  for (const auto& gate : gates) {
    all.queued += gate.waiting.load(std::memory_order_seq_cst);
    all.under_way += gate.under_way.load(std::memory_order_relaxed);
  }
  return all;
}

void task_side::apply(std::size_t width) {
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const std::size_t limit = width / gates.size() + (i < width % gates.size());
    group.loop(i).submit([&gate = gates[i], limit] { gate.set_limit(limit); });
  }
}

// --- Together -------------------------------------------------------------------------------------

namespace {
auto_executor_options checked(auto_executor_options o) {
  if (o.max_threads > most_threads)
    throw std::invalid_argument(
        "auto_executor: max_threads is at most 1024; more calls at once are "
        "for coroutines");
  limits_of(o.min_tasks, o.max_tasks, 1);
  return o;
}
}  // namespace

auto_engine::auto_engine(auto_executor_options o)
    : options(checked(std::move(o))),
      cores(options.cores != 0 ? options.cores : usable_cpu_count()),
      threads(std::make_shared<thread_side>(
          limits_of(options.min_threads, options.max_threads, cores, {.crowd = 4}))),
      pool(new thread_pool_engine(
          {.max_workers = threads->width(), .thread_name_prefix = "plait-auto"}, threads)) {
  threads->attach(*pool);
}

auto_engine::~auto_engine() {
  shutdown({});
  threads->stop();
  thread_pool_engine::dispose(pool);
}

void auto_engine::check_open() const {
  if (closed_) throw executor_shutdown();
}

task_side& auto_engine::tasks() {
  if (task_side* there = started_tasks.load(std::memory_order_acquire)) return *there;
  const std::lock_guard hold(lazily_);
  if (tasks_ == nullptr) {
    check_open();
    const std::size_t most = std::max(options.max_tasks, cores);
    tasks_ =
        std::make_unique<task_side>(limits_of(std::min(std::max(options.min_tasks, cores), most),
                                              most, cores, {.first = first_tasks, .crowd = 32}),
                                    cores);
    started_tasks.store(tasks_.get(), std::memory_order_release);
  }
  return *tasks_;
}

process_pool_executor& auto_engine::processes() {
  const std::lock_guard hold(lazily_);
  if (processes_ == nullptr) {
    check_open();
    auto how = options.isolation;
    if (how.max_workers == 0) how.max_workers = cores;
    processes_ = std::make_unique<process_pool_executor>(std::move(how));
  }
  return *processes_;
}

void auto_engine::shutdown(shutdown_options how) {
  {
    const std::lock_guard hold(lazily_);
    closed_ = true;
  }
  pool->shutdown(how);
  if (tasks_ != nullptr) tasks_->group.shutdown(how);
  if (processes_ != nullptr) processes_->shutdown(how);
}

auto_report auto_engine::report() const {
  auto_report r{.blocking = threads->report(),
                .awaiting = {},
                .isolated_workers = 0,
                .isolated_crashes = 0,
                .advice = {}};
  if (const task_side* there = started_tasks.load(std::memory_order_acquire))
    r.awaiting = there->report();
  {
    const std::lock_guard hold(lazily_);
    if (processes_ != nullptr) {
      const auto s = processes_->statistics();
      r.isolated_workers = s.workers;
      r.isolated_crashes = s.crashed;
    }
  }
  const auto& most = r.awaiting.calls > r.blocking.calls ? r.awaiting : r.blocking;
  r.advice = recommend({.cpu = most.cpu,
                        .waits = {.network = most.waited, .locks = most.waited_for_locks},
                        .calls = std::size_t(most.calls),
                        .cores = cores});
  return r;
}

}  // namespace detail

auto_executor::auto_executor(auto_executor_options options)
    : auto_executor(new detail::auto_engine(std::move(options))) {}
auto_executor::auto_executor(detail::auto_engine* engine) noexcept
    : local_executor(*engine->pool), engine_(engine) {}
auto_executor::~auto_executor() { delete engine_; }

process_pool_executor& auto_executor::isolated() { return engine_->processes(); }
void auto_executor::shutdown(shutdown_options options) { engine_->shutdown(options); }
auto_report auto_executor::report() const { return engine_->report(); }
std::size_t auto_executor::threads() const noexcept { return engine_->threads->width(); }
std::size_t auto_executor::tasks() const noexcept {
  const auto* there = engine_->started_tasks.load(std::memory_order_acquire);
  return there != nullptr ? there->width()
                          : std::clamp(detail::first_tasks, engine_->options.min_tasks,
                                       std::max(engine_->options.max_tasks, engine_->cores));
}

// Wide enough for every width that may come to be chosen while the range lives.
std::size_t auto_executor::default_window() const noexcept {
  return std::clamp<std::size_t>(4 * engine_->options.max_threads, 64, 4096);
}
std::size_t auto_executor::task_window() const noexcept {
  return std::clamp<std::size_t>(2 * engine_->options.max_tasks, 64, 8192);
}

auto_executor::turn auto_executor::next_turn() {
  detail::task_side& tasks = engine_->tasks();
  event_loop* const here = event_loop::current_or_null();
  for (std::size_t i = 0; i < tasks.gates.size(); ++i)
    if (&tasks.group.loop(i) == here) return {here, nullptr};
  event_loop& next = tasks.group.next_loop();
  for (std::size_t i = 0; i < tasks.gates.size(); ++i)
    if (&tasks.group.loop(i) == &next) return {&next, &tasks.gates[i]};
  return {&next, nullptr};
}

auto_executor::admission auto_executor::admit(detail::job& j, const call_options& how) {
  using answer = detail::thread_pool_engine::answer;
  static_assert(int(answer::accepted) == int(admission::accepted) &&
                int(answer::closed) == int(admission::closed) &&
                int(answer::full) == int(admission::full));
  return static_cast<admission>(engine_->pool->post(j, how));
}

}  // namespace plait
