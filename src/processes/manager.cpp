// The manager thread of a pool: starts the zygote and the workers, hears of deaths and judges them,
// passes on what workers write to standard error, and takes replies while nobody else does.
// It is the zygote's parent thread: when it ends, the kernel ends the zygote.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <system_error>
#include <utility>

#include "processes/greeting_wire.hpp"
#include "processes/launch.hpp"
#include "processes/module_table.hpp"
#include "processes/process_engine.hpp"

namespace plait::detail {
namespace {

constexpr std::uint64_t doorbell_tag = 0, alarm_tag = 1, zygote_tag = 2, errors_tag = 3;
constexpr std::int64_t millisecond = 1'000'000, second = 1000 * millisecond;
constexpr std::int64_t start_limit = 20 * second;     // for the zygote to say that it is there
constexpr std::int64_t dismissal_limit = 5 * second;  // for a worker to leave when it is told to
constexpr std::size_t max_on_their_way = 32;
constexpr std::int64_t balance_interval = millisecond;
// While calls are this short and many, replies are gathered at this pace instead of one by one.
constexpr std::int64_t short_call = 20'000, gathering_interval = 100'000;
// So that sequence numbers stay far from where 1 + one of them is 0. A day of the shortest calls.
constexpr std::size_t longest_life = std::size_t{1} << 31;
// A running call this old is taken for one that will hold up those queued behind it.
constexpr std::int64_t old_call = 200'000;

void drain(int eventfd) noexcept {
  std::uint64_t ignored;
  [[maybe_unused]] const auto n = read(eventfd, &ignored, sizeof ignored);
}

}  // namespace

// ---- the loop ----------------------------------------------------------------------------------

void process_engine::manage() noexcept {
  pthread_setname_np(pthread_self(), "plait-pool");
  try {
    manage_until_done();
  } catch (const std::exception& e) {
    // No memory or no descriptors for the pool itself: nobody may be left waiting.
    end_zygote();
    break_pool(breakage::other, std::string("the pool's manager cannot go on: ") + e.what());
    for (std::size_t i = 0; i < seat_count_; ++i)
      if (seat_at(i).state != seat::life::empty) bury(seat_at(i), SIGKILL, true);
    fail_pending();
    reject_impossible();
  }
  launched_.release();  // also if that failed
  end_zygote();
  groups_.reset();
  errors_.drain();
  free_kept_message_memory();
  release();
}

void process_engine::manage_until_done() {
  watch(doorbell_.get(), doorbell_tag);
  watch(alarm_.get(), alarm_tag);
  start_zygote();
  out_of_memory_kills_ = out_of_memory_kills();
  launched_.release();
  for (;;) {
    start_workers();
    if (closing_.load(std::memory_order_seq_cst) &&
        unfinished_.load(std::memory_order_seq_cst) == 0) {
      if (!zygote_ready_ || !zygote_) return;  // no worker has begun anything
      if (!dismissed_) dismiss_workers();
      if (all_gone()) return;
    }
    prepare_channel();
    sleep_until_event();
    hear_reports();
    harvest_ready();
    pass_on_errors();
    reject_impossible();
    rebalance();
    enforce_limits();
    keep_deadlines();
    if (broken_ != breakage::none) fail_pending();
  }
}

void process_engine::watch(int fd, std::uint64_t tag) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = tag;
  if (epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &e) != 0) throw_errno("epoll_ctl");
}

std::int64_t process_engine::sleep_limit_ns() {
  const std::int64_t now = monotonic_ns();
  std::int64_t until = INT64_MAX;
  if (zygote_ && !zygote_ready_) until = std::min(until, zygote_deadline_);
  if (dismissed_) until = std::min(until, dismissal_deadline_);
  if (start_pause_until_ > now) until = std::min(until, start_pause_until_);
  {
    const std::lock_guard hold(mutex_);
    until = std::min({until, next_limit_, patient_until_});
    if (unfinished_.load(std::memory_order_relaxed) != 0) until = std::min(until, next_look_);
  }
  until = std::min(until, kept_message_memory_expires());
  if (!errors_.empty()) until = std::min(until, now + error_stream::retry_ns);
  if (unbalanced()) until = std::min(until, now + balance_interval);
  return until == INT64_MAX ? until : std::max<std::int64_t>(until - now, 0);
}

void process_engine::sleep_until_event() {
  std::int64_t limit = sleep_limit_ns();
  auto wish = pool_page::always;
  {
    const std::lock_guard hold(mutex_);
    if (typical_ns_ >= 0 && typical_ns_ < short_call &&
        unfinished_.load(std::memory_order_relaxed) > 4 * alive_) {
      wish = pool_page::when_idle;
      limit = std::min(limit, gathering_interval);
    }
  }
  if (pollers_.load(std::memory_order_seq_cst) == 0)
    page_->listener.store(wish, std::memory_order_seq_cst);
  if (harvest_ready()) limit = 0;  // C5
  timespec span{limit / second, limit % second};
  epoll_event ready[16];
  int n = epoll_pwait2(events_.get(), ready, 16, limit == INT64_MAX ? nullptr : &span, nullptr);
  if (n < 0 && errno == ENOSYS) {  // before Linux 5.11
    const int ms =
        limit == INT64_MAX ? -1 : static_cast<int>((limit + millisecond - 1) / millisecond);
    n = epoll_wait(events_.get(), ready, 16, ms);
  }
  // Awake: whoever rings now rings for nothing. Sandboxed workers cannot say so themselves.
  if (options_.sandbox) page_->listener.store(pool_page::nobody, std::memory_order_seq_cst);
  for (int i = 0; i < n; ++i) handle_event(ready[i].data.u64);
}

void process_engine::handle_event(std::uint64_t tag) {
  if (tag == doorbell_tag) return drain(doorbell_.get());
  if (tag == alarm_tag) return drain(alarm_.get());
  if (tag == zygote_tag) return hear_zygote();
  tee(seat_at(tag >> 8));
}

void process_engine::reject_impossible() {
  std::vector<failure> failures;
  {
    const std::lock_guard hold(mutex_);
    while (remote_job* job = impossible_.front()) {
      impossible_.remove(*job);
      settle(*job);
      failures.push_back({job, std::make_exception_ptr(serialization_error(
                                   "arguments of " + std::to_string(job->request.size()) +
                                   " bytes could not be handed to a worker: no memory, or too few "
                                   "file descriptors"))});
    }
  }
  reject_all(failures);
}

void process_engine::keep_deadlines() {
  const std::int64_t now = monotonic_ns();
  if (now >= kept_message_memory_expires()) free_kept_message_memory();
  if (zygote_ && !zygote_ready_ && now >= zygote_deadline_) {
    ::kill(zygote_pid_, SIGKILL);  // ours and not reaped; its end of file does the rest
    zygote_deadline_ = INT64_MAX;
  }
  lose_patience(now);
  if (unfinished_.load(std::memory_order_relaxed) != 0) look_at_sleepers(now);
  if (dismissed_ && now >= dismissal_deadline_) {
    dismissal_deadline_ = INT64_MAX;
    const std::lock_guard hold(mutex_);
    for (std::size_t i = 0; i < seat_count_; ++i) {
      seat& s = seat_at(i);
      if (s.state == seat::life::empty) continue;
      // Also one that has answered before the zygote could tell its handle: it is killed then.
      if (s.condemned == sentence::none) s.condemned = sentence::terminated;
      signal_condemned(s);
    }
  }
  kill_without_handles();
}

// A worker whose handle was lost for want of descriptors: its parent, the zygote, cannot mistake it.
void process_engine::kill_without_handles() {
  const std::lock_guard hold(mutex_);
  for (std::size_t i = 0; i < seat_count_; ++i) {
    seat& s = seat_at(i);
    if (s.condemned == sentence::none || s.signalled || s.handle || !zygote_) continue;
    const zygote_command command{zygote_command::kind::kill, s.index, s.generation};
    s.signalled = send_packet(zygote_.get(), &command, sizeof command, nullptr, 0, 0);
  }
}

// Shutdown's grace is over.
void process_engine::lose_patience(std::int64_t now) {
  {
    const std::lock_guard hold(mutex_);
    if (now < patient_until_) return;
    patient_until_ = INT64_MAX;
    out_of_patience_ = true;
    dismissal_deadline_ = now;  // nor is there any for workers that do not leave
    for (std::size_t i = 0; i < seat_count_; ++i) {
      seat& s = seat_at(i);
      if (s.state == seat::life::empty) continue;
      for (std::uint32_t q = s.harvested; q != s.placed; ++q)
        if (s.slot_of(q).state.load(std::memory_order_acquire) == slot_state::running ||
            awaits_hearing(s, q))
          condemn(s, q, sentence::terminated);
    }
  }
  cancel_pending();
}

// ---- the zygote --------------------------------------------------------------------------------

void process_engine::start_zygote() {
  descriptor_pair sockets = make_socket_pair();
  std::random_device entropy;
  nonce_ = static_cast<std::uint64_t>(entropy()) << 32 | entropy();
  module_list();  // a fork has all that is loaded now
  zygote_pid_ = options_.start == start_method::fork ? fork_zygote(sockets.theirs, nonce_)
                                                     : spawn_zygote(sockets.theirs, nonce_);
  zygote_ = std::move(sockets.ours);
  zygote_ready_ = false;
  zygote_deadline_ = monotonic_ns() + start_limit;
  watch(zygote_.get(), zygote_tag);
  greet();
}

void process_engine::greet() {
  greeting hello{};
  hello.nonce = nonce_;
  hello.depth = nesting_depth + 1;
  hello.start = options_.start;
  if (options_.initializer != nullptr)
    hello.profile.initializer = token_of(reinterpret_cast<const void*>(options_.initializer));
  hello.profile.sandbox = options_.sandbox;
  hello.profile.limits = options_.limits;
  if (groups_ != nullptr) hello.profile.control_groups = groups_->folder();
  hello.profile.measures_memory = options_.max_rss_per_child != 0;
  encoder packet;
  encode_greeting(packet, hello);
  const int fds[] = {page_file_.get(), doorbell_.get(), module_list()};
  if (packet.size() > max_greeting ||
      !send_packet(zygote_.get(), packet.data(), packet.size(), fds, 3, 0))
    throw_errno("cannot greet the workers' supervisor");
}

void process_engine::hear_zygote() {
  for (int heard = 0; heard < 16 && zygote_; ++heard) {
    zygote_report report{};
    descriptor fds[max_sent];
    std::size_t count = 0;
    const long n = receive_packet(zygote_.get(), &report, sizeof report, fds, &count, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 && errno == EMFILE) continue;  // it lost the pidfd only; the pid has to do
    if (n <= 0) return lose_zygote();
    heed(report, std::move(fds[0]));
  }
}

void process_engine::heed(const zygote_report& report, descriptor handle) {
  using kind = zygote_report::kind;
  if (report.what == kind::ready) {
    zygote_ready_ = report.nonce == nonce_;
    start_.store(report.start, std::memory_order_relaxed);
    return;
  }
  if (report.what == kind::refused)
    return break_pool(breakage::image, std::string("the workers' code is not this program's: ") +
                                           report.text + "restart it");
  if (report.seat >= seat_count_) return;
  seat& s = seat_at(report.seat);
  if (s.state == seat::life::empty || s.generation != report.generation) return;
  s.usage = report.usage;
  {
    const std::lock_guard hold(mutex_);
    s.pid = report.pid;
  }
  if (report.what == kind::spawned) {
    const std::lock_guard hold(mutex_);
    s.handle = std::move(handle);
    if (s.condemned != sentence::none) signal_condemned(s);
  } else if (report.what == kind::died) {
    bury(s, report.status, false);
  } else {
    bury(s, 0, false);
    count_failed_start(std::string("the kernel refuses another process: ") +
                       strerror(report.status));
  }
}

// Its end of file: it has died, and the kernel is killing its workers.
void process_engine::lose_zygote() {
  const bool was_ready = zygote_ready_;
  for (std::size_t i = 0; i < seat_count_; ++i) {
    seat& s = seat_at(i);
    if (s.state == seat::life::empty) continue;
    // No verdict before the worker is certainly gone.
    if (s.handle) syscall(SYS_pidfd_send_signal, s.handle.get(), SIGKILL, nullptr, 0);
    pollfd gone{s.handle ? s.handle.get() : s.socket.get(), POLLIN, 0};
    poll(&gone, 1, static_cast<int>(start_limit / millisecond));
    bury(s, SIGKILL, true);
  }
  const int pid = zygote_pid_;
  end_zygote();
  if (broken_ != breakage::none) return;
  if (!was_ready) {
    count_failed_start("process " + std::to_string(pid) +
                       " of this program did not become the workers' supervisor; a program that is "
                       "linked with a static C library must call plait::run_worker_if_requested() "
                       "first in main");
  }
  if (broken_ == breakage::none && !dismissed_) start_zygote();
}

void process_engine::end_zygote() {
  if (!zygote_) return;
  if (!zygote_ready_ && zygote_pid_ > 0)
    ::kill(zygote_pid_, SIGKILL);  // it may be in anybody's main
  zygote_ = descriptor();
  zygote_ready_ = false;
  while (waitpid(zygote_pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  zygote_pid_ = -1;
}

// ---- workers -----------------------------------------------------------------------------------

seat* process_engine::empty_seat() {
  const std::size_t n = seat_count_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < n; ++i)
    if (seat_at(i).state == seat::life::empty) return &seat_at(i);
  if (n == 2 * limit_) return nullptr;
  seats_[n] = std::make_unique<seat>(static_cast<std::uint32_t>(n));
  return seats_[n].get();
}

void process_engine::start_workers() {
  if (!zygote_ || monotonic_ns() < start_pause_until_) return;
  for (;;) {
    {
      const std::lock_guard hold(mutex_);
      start_requested_ = false;
      if (broken_ != breakage::none || alive_ >= wanted_workers()) return;
    }
    if (workers_on_their_way() >= max_on_their_way) return;  // the zygote's next report calls again
    seat* s = empty_seat();
    if (s == nullptr) return;  // leavers have all the seats: the first that goes makes room
    try {
      start_worker(*s);
    } catch (const std::exception& e) {
      return count_failed_start(e.what());
    }
  }
}

// Asked for, and not yet reported: requests lie in the zygote's socket, which has an end.
std::size_t process_engine::workers_on_their_way() const noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < seat_count_; ++i)
    n += seat_at(i).state != seat::life::empty && seat_at(i).pid == 0;
  return n;
}

channel_files channel_files::make() {
  channel_files files{make_memfd("plait-worker", sizeof(channel)), make_socket_pair(), make_pipe()};
  seal(files.memory.get(), page_access::read_and_write);  // nobody can take its pages from under us
  return files;
}

// When there is nothing else to do. If it cannot be had now, the next worker will say so.
void process_engine::prepare_channel() noexcept {
  if (prepared_ || closing_.load(std::memory_order_relaxed) || !zygote_ready_) return;
  try {
    prepared_ = channel_files::make();
  } catch (const std::system_error&) {
  }
}

void process_engine::start_worker(seat& s) {
  auto [file, sockets, errors] =
      prepared_ ? *std::exchange(prepared_, std::nullopt) : channel_files::make();
  auto* shared = static_cast<channel*>(
      map_shared(file.get(), sizeof(channel), {.at = s.shared, .tables = page_tables::as_touched}));
  if (s.shared == nullptr) {  // pollers read it without the mutex, so it is written once
    s.shared = shared;
    seat_count_.store(s.index + 1, std::memory_order_release);
  }
  s.number = shared->pool.number = ++last_number_;
  if (groups_ != nullptr) groups_->make(s.number);
  if (listens_to_errors_) watch(errors.ours.get(), errors_tag | std::uint64_t{s.index} << 8);
  const zygote_command command{zygote_command::kind::spawn, s.index, s.generation + 1};
  const int fds[] = {file.get(), sockets.theirs.get(), errors.theirs.get()};
  if (!send_packet(zygote_.get(), &command, sizeof command, fds, 3, 0))
    throw_errno("cannot ask for a worker");
  s.errors = std::move(errors.ours);
  s.tail.clear();
  wake_list wakes;
  const std::lock_guard hold(mutex_);
  ++s.generation;
  s.state = seat::life::alive;
  s.harvested.store(0, std::memory_order_relaxed);
  s.placed = 0;
  s.tasks = 0;
  s.most_tasks = task_limit();
  if (s.most_tasks == 0) s.most_tasks = longest_life;
  s.proven = false;
  s.enclosed = false;
  s.condemned = sentence::none;
  s.signalled = false;
  s.odd_since = 0;
  s.is_hearing = s.was_last = false;
  s.dead = false;
  s.pid = 0;
  s.socket = std::move(sockets.ours);
  s.arena = {};
  most_alive_ = std::max(most_alive_, ++alive_);
  ++started_;
  dispatch(wakes);
}

std::size_t process_engine::task_limit() const noexcept {
  if (options_.max_tasks_jitter == 0) return options_.max_tasks_per_child;
  std::uint64_t mixed = nonce_ + last_number_ * 0x9e37'79b9'7f4a'7c15;  // splitmix64
  mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
  mixed ^= mixed >> 31;
  return options_.max_tasks_per_child + mixed % (options_.max_tasks_jitter + 1);
}

bool process_engine::is_worn_out(const seat& s) const noexcept {
  if (s.most_tasks != 0 && s.tasks >= s.most_tasks) return true;
  return options_.max_rss_per_child != 0 &&
         s.shared->own_memory.load(std::memory_order_relaxed) > options_.max_rss_per_child;
}

void process_engine::retire(seat& s, wake_list& wakes) noexcept {
  s.state = seat::life::retiring;
  --alive_;
  s.shared->pool.leave.store(std::uint64_t{1} + s.placed, std::memory_order_seq_cst);
  wake_for(s, wakes);
  if (!std::exchange(start_requested_, true)) ring(alarm_.get());
}

void process_engine::dismiss_workers() {
  wake_list wakes;
  const std::lock_guard hold(mutex_);
  dismissed_ = true;
  if (!out_of_patience_) dismissal_deadline_ = monotonic_ns() + dismissal_limit;
  for (std::size_t i = 0; i < seat_count_; ++i)
    if (seat_at(i).state == seat::life::alive) retire(seat_at(i), wakes);
}

bool process_engine::all_gone() {
  for (std::size_t i = 0; i < seat_count_; ++i)
    if (seat_at(i).state != seat::life::empty) return false;
  return true;
}

void process_engine::tee(seat& s) {
  char bytes[4096];
  for (int turns = 0; turns < 16 && s.errors; ++turns) {
    const auto n = read(s.errors.get(), bytes, sizeof bytes);
    if (n < 0) return;
    if (n == 0) {
      s.errors = descriptor();
      return;
    }
    errors_.write({bytes, static_cast<std::size_t>(n)});
    s.tail.append(bytes, static_cast<std::size_t>(n));
    if (s.tail.size() > 2 * tail_size) s.tail.erase(0, s.tail.size() - tail_size);
  }
}

// What could not be passed on at once. Meanwhile workers that go on writing fill their pipes, and
// then wait as they would for the reader itself.
void process_engine::pass_on_errors() {
  if (!errors_.empty()) errors_.flush();
  const bool listen = !errors_.wants_less(monotonic_ns());
  if (listen == listens_to_errors_) return;
  listens_to_errors_ = listen;
  for (std::size_t i = 0; i < seat_count_; ++i)
    if (seat_at(i).errors) watch_errors(seat_at(i));
}

void process_engine::watch_errors(seat& s) {
  if (listens_to_errors_)
    watch(s.errors.get(), errors_tag | std::uint64_t{s.index} << 8);
  else
    epoll_ctl(events_.get(), EPOLL_CTL_DEL, s.errors.get(), nullptr);  // its end would wake us, too
}

// ---- balance -----------------------------------------------------------------------------------

bool process_engine::unbalanced() {
  const std::lock_guard hold(mutex_);
  bool idle = false, loaded = false;
  for (std::size_t i = 0; i < seat_count_; ++i) {
    const seat& s = seat_at(i);
    if (s.state == seat::life::empty) continue;
    idle |= s.state == seat::life::alive && s.in_flight() == 0;
    loaded |= s.queued_behind() != 0;
  }
  return idle && loaded;
}

// Calls queued behind one that turned out long move to workers that have nothing to do.
void process_engine::rebalance() {
  if (!unbalanced()) return;
  wake_list wakes;
  const std::lock_guard hold(mutex_);
  const std::int64_t now = monotonic_ns();
  for (std::size_t i = 0; i < seat_count_; ++i) {
    seat& s = seat_at(i);
    const std::uint32_t behind = s.queued_behind();
    if (s.state == seat::life::empty || behind == 0) continue;
    const slot& oldest = s.slot_of(s.harvested.load(std::memory_order_relaxed));
    if (oldest.state.load(std::memory_order_relaxed) != slot_state::running ||
        now - oldest.began.load(std::memory_order_relaxed) < old_call)
      continue;
    std::uint32_t to_move = (behind + 1) / 2;
    for (std::uint32_t q = s.placed; to_move != 0 && q != s.harvested; --q) {
      remote_job* job = s.jobs[(q - 1) % slot_count];
      if (job == nullptr) continue;
      if (!take_back(s, q - 1)) break;
      pending_.push_front(*job);
      --to_move;
    }
  }
  dispatch(wakes);
}

}  // namespace plait::detail
