#include "processes/worker.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "plait/processes/errors.hpp"
#include "plait/processes/remote_call.hpp"
#include "processes/attachments.hpp"
#include "processes/call_reports.hpp"
#include "processes/control_groups.hpp"
#include "processes/exception_wire.hpp"
#include "processes/message_memory.hpp"
#include "processes/sandbox_walls.hpp"
#include "processes/stop_watch.hpp"
#include "processes/worker_limits.hpp"

namespace plait::detail {
namespace {

// Set in a child that a call forked: it runs on in our loop, and must not touch the channel.
bool is_stray = false;

// How long a reply may lie before a worker that looks on rings for it.
constexpr std::int64_t patience_ns = 5'000;
// How often a worker looks at its memory, if somebody asks for that.
constexpr std::int64_t measuring_interval = 2'000'000;

// What travels beside a slot: a large message's own memfd, and the shared arrays that a message
// names. Nothing, for most.
class received_message {
 public:
  received_message(int socket, const slot& s) {
    const bool is_large = s.where == tier::in_memfd;
    if (!is_large && s.attached == 0) return;
    descriptor fds[max_sent];
    std::size_t count = 0;
    std::uint32_t sequence;
    if (receive_packet(socket, &sequence, sizeof sequence, fds, &count, 0) <= 0 ||
        count != std::size_t{is_large} + s.attached)
      throw_errno("a large or shared argument did not arrive");
    for (std::size_t i = is_large; i < count; ++i) attached_.add(std::move(fds[i]));
    if (!is_large) return;
    file_ = std::move(fds[0]);
  }
  received_message(const received_message&) = delete;
  int file() const noexcept { return file_.get(); }  // of a large message
  attachments& attached() noexcept { return attached_; }

 private:
  descriptor file_;
  attachments attached_;
};

class worker {
 public:
  explicit worker(worker_setup setup) : setup_(std::move(setup)), shared_(*setup_.shared) {}

  [[noreturn]] void run() {
    pthread_atfork(nullptr, nullptr, [] { is_stray = true; });
    is_stray = false;  // of a pool within a worker, by start_method::fork
    shared_.pid.store(getpid(), std::memory_order_relaxed);
    shared_.life.store(worker_life::initializing, std::memory_order_relaxed);
    watch_for_crashes(shared_.crash);
    protect_pool_words();
    listen_for_stops(shared_);
    carry_reports(shared_, setup_.doorbell);
    limit();
    prepare();
    shared_.life.store(worker_life::ready, std::memory_order_seq_cst);
    while (await_call()) {
      slot& s = slot_at(next_);
      if (s.check != checksum(message_head::of(s), slot_state::queued, next_, s.bytes))
        leave_overwritten();
      auto expected = slot_state::queued;
      if (s.state.compare_exchange_strong(expected, slot_state::running,
                                          std::memory_order_acq_rel)) {  // C1
        run_call(s);
      } else {
        pass(s);
      }
    }
    leave(0);
  }

 private:
  slot& slot_at(std::uint32_t sequence) noexcept { return shared_.slots[sequence % slot_count]; }
  bool has_call() noexcept {
    const auto state = slot_at(next_).state.load(std::memory_order_seq_cst);
    if (state == slot_state::queued || state == slot_state::revoked) return true;
    if (state != slot_state::free) [[unlikely]]
      leave_overwritten();  // the pool has freed it before it placed the call that we had last
    return false;
  }
  bool told_to_leave() const noexcept {
    return words_.leave.load(std::memory_order_seq_cst) == std::uint64_t{1} + next_;
  }
  // A wild write there faults in the call that does it.
  void protect_pool_words() noexcept {
    mprotect(&shared_.pool, sizeof shared_ - offsetof(channel, pool), PROT_READ);
  }
  // C8. A call has written over what was to come; from here nothing can be believed.
  [[noreturn]] void leave_overwritten() noexcept {
    constexpr char text[] =
        "plait: a call overwrote the memory that its worker shares with the pool\n";
    [[maybe_unused]] const auto told = write(STDERR_FILENO, text, sizeof text - 1);
    shared_.next.store(next_, std::memory_order_relaxed);
    shared_.life.store(worker_life::overwritten, std::memory_order_seq_cst);
    _exit(1);
  }

  // True when slot next_ is ours to take, false when it is time to go.
  bool await_call() noexcept {
    for (;;) {
      if (has_call() || spin()) {
        ring_if_unheard();  // the call may take long
        return true;
      }
      ring_if_unheard();
      if (told_to_leave()) return false;
      shared_.asleep.store(1, std::memory_order_seq_cst);  // C5
      if (!has_call() && !told_to_leave()) futex_wait(shared_.asleep, 1, nap());
      shared_.asleep.store(0, std::memory_order_relaxed);
    }
  }
  // For how long to sleep: memory that is kept warm is given back when nobody has used it for long.
  std::int64_t nap() noexcept {
    take_returned();
    const std::int64_t expires = kept_message_memory_expires(), now = monotonic_ns();
    if (expires <= now) free_kept_message_memory();
    if (lent_count_ != 0) return idle_message_memory_ns;
    return expires == INT64_MAX || expires <= now ? INT64_MAX : expires - now;
  }
  // Looks on for a while, if the pool says that somebody is awake on its side. Whoever that is takes
  // the last reply without being rung for; if nobody has after a while, the bell rings.
  bool spin() noexcept {
    const auto& hot = setup_.pool->hot;
    if (hot.load(std::memory_order_relaxed) == 0) return false;
    const std::int64_t began = monotonic_ns();
    for (std::int64_t now = began; now < began + spin_budget_ns; now = monotonic_ns()) {
      for (int i = 0; i < 32; ++i) {
        if (has_call()) return true;
        relax();
      }
      if (now > began + patience_ns) ring_if_unheard();
      if (hot.load(std::memory_order_relaxed) == 0) return false;
    }
    return false;
  }

  void limit() {
    std::exception_ptr error;
    try {
      const worker_profile& profile = setup_.profile;
      if (!profile.control_groups.empty())
        enter_control_group(control_group_folder(profile.control_groups, words_.number));
      if (profile.measures_memory) meter_.open();
      apply_limits(profile.limits);
      return;
    } catch (...) {
      error = std::current_exception();
    }
    complain(error, worker_life::limits_refused);
  }
  void prepare() {
    const worker_profile& profile = setup_.profile;
    std::exception_ptr error;
    try {
      if (profile.initializer != 0)
        reinterpret_cast<void (*)()>(const_cast<void*>(code_of(profile.initializer)))();
      if (profile.sandbox) {
        enter_sandbox(*profile.sandbox, setup_.doorbell);
        if (!send_packet(setup_.socket.get(), "", 1, nullptr, 0, 0)) throw_errno("sendmsg");  // C7
      }
      return;
    } catch (...) {
      error = std::current_exception();
    }
    complain(error, worker_life::initializer_threw);
  }
  [[noreturn]] void complain(const std::exception_ptr& error, worker_life why) {
    encoder text;
    encode_exception(text, error);
    const std::size_t n = std::min(text.size(), sizeof shared_.complaint);
    __builtin_memcpy(shared_.complaint, text.data(), n);
    shared_.complaint_size.store(static_cast<std::uint32_t>(n), std::memory_order_relaxed);
    shared_.life.store(why, std::memory_order_seq_cst);
    leave(1);
  }

  void run_call(slot& s) {
    const std::int64_t began = monotonic_ns();
    s.began.store(began, std::memory_order_relaxed);
    if (lent_count_ != 0) take_returned();
    begin_listening(next_);
    begin_reports(next_, s.has_listener);
    shared_.crash.whole.store(0, std::memory_order_relaxed);  // a crash that a call jumped out of
    auto how = slot_state::done;
    try {
      call(s);
    } catch (...) {
      how = slot_state::failed;
      encode_failure(std::current_exception());
    }
    if (is_stray) _exit(0);
    end_listening();
    end_reports();
    try {
      place_reply(s);
    } catch (const std::exception& e) {
      how = slot_state::failed;
      const std::size_t size = result_.size();
      encode_failure(std::make_exception_ptr(serialization_error(
          "a result of " + std::to_string(size) + " bytes cannot be sent back: " + e.what())));
      place_reply(s);  // small enough for the slot or the arena; if it is not, this worker ends
    }
    const std::int64_t now = monotonic_ns();
    s.took = now - began;
    if (now >= next_measuring_ && setup_.profile.measures_memory) {
      next_measuring_ = now + measuring_interval;
      shared_.own_memory.store(meter_.read(), std::memory_order_relaxed);
    }
    s.check = checksum(message_head::of(s), how, next_, s.bytes);
    finish(s, how);
    result_.clear();
    large_.reset();
  }

  void call(slot& s) {
    const auto entry = reinterpret_cast<entry_point>(const_cast<void*>(code_of(s.entry)));
    if (s.where == tier::in_memfd || s.attached != 0) return call_with_descriptors(s, entry);
    decoder arguments(s.where == tier::in_arena ? words_.requests + s.offset : s.bytes, s.size);
    entry(arguments, result_);
  }
  void call_with_descriptors(slot& s, entry_point entry) {
    received_message message(setup_.socket.get(), s);
    const std::byte* bytes = s.where == tier::in_memfd   ? large_message(s, message)
                             : s.where == tier::in_arena ? words_.requests + s.offset
                                                         : s.bytes;
    decoder arguments(bytes, s.size, &message.attached());
    entry(arguments, result_);
  }
  const std::byte* large_message(const slot& s, const received_message& message) {
    message_place place;
    __builtin_memcpy(&place, s.bytes, sizeof place);
    large_ = seen_.map(message.file(), place);
    return large_->data();
  }
  // A call that was taken back: what came with it is nobody's.
  void pass(slot& s) {
    try {
      const received_message not_ours(setup_.socket.get(), s);
    } catch (const std::exception&) {  // lost on the way, as it may be
    }
    finish(s, slot_state::passed);  // C3
  }
  void encode_failure(const std::exception_ptr& error) {
    result_.clear();
    encode_exception(result_, error);
  }

  void place_reply(slot& s) {
    const std::size_t n = result_.size();
    place_bytes(s, n);
    s.size = n;
    s.attached = static_cast<std::uint8_t>(result_.attached());
    if (s.where != tier::in_memfd && s.attached == 0) return;
    int fds[max_sent];
    const std::size_t all = result_.descriptors(fds);
    const std::size_t skipped = result_.fd() >= 0 && s.where != tier::in_memfd;
    if (!send_packet(setup_.socket.get(), &next_, sizeof next_, fds + skipped, all - skipped, 0))
      throw_errno("sendmsg");
    if (s.where == tier::in_memfd) lend(s);
  }
  // The pool reads it, and says when it has: until then nobody writes to it.
  void lend(const slot& s) noexcept {
    message_place place;
    __builtin_memcpy(&place, s.bytes, sizeof place);
    if (place.lent == message_place::not_lent) return;  // result_ drops it, the pool keeps it
    lent_[place.lent] = result_.take_memory();
    ++lendings_[place.lent];
    ++lent_count_;
  }
  std::uint64_t free_place() noexcept {
    if (lent_count_ != 0) take_returned();
    for (std::uint64_t i = 0; i < lent_places; ++i)
      if (lent_[i].fd < 0) return i;
    return message_place::not_lent;
  }
  void take_returned() noexcept {
    for (std::uint32_t i = 0; i < lent_places && lent_count_ != 0; ++i) {
      if (lent_[i].fd < 0 || words_.returned[i].load(std::memory_order_acquire) != lendings_[i])
        continue;
      keep_message_memory(std::exchange(lent_[i], {}));
      --lent_count_;
    }
  }
  void place_bytes(slot& s, std::size_t n) {
    if (n <= sizeof s.bytes) {
      s.where = tier::in_slot;
      __builtin_memcpy(s.bytes, result_.data(), n);
      return;
    }
    if (n <= arena_limit) {
      const std::uint32_t taken = words_.harvested.load(std::memory_order_acquire);
      if (taken != 0) arena_.free_up_to(marks_[(taken - 1) % slot_count]);
      const std::uint64_t offset = arena_.allocate(n);
      if (offset != ring_arena::full) {
        s.where = tier::in_arena;
        s.offset = static_cast<std::uint32_t>(offset);
        __builtin_memcpy(shared_.replies + offset, result_.data(), n);
        return;
      }
    }
    result_.move_to_memfd();
    s.where = tier::in_memfd;
    const message_place place{result_.memory_id(), result_.capacity(), free_place()};
    __builtin_memcpy(s.bytes, &place, sizeof place);
  }

  void finish(slot& s, slot_state how) noexcept {
    marks_[next_ % slot_count] = arena_.mark();
    ++next_;
    s.state.store(how, std::memory_order_seq_cst);  // C2
    if (setup_.pool->hot.load(std::memory_order_relaxed) != 0 && !has_call()) {
      ring_postponed_ = true;
    } else {
      ring_if_wanted();
    }
  }
  void ring_if_wanted() noexcept {
    auto& listener = setup_.pool->listener;
    const std::uint32_t wish = listener.load(std::memory_order_seq_cst);
    if (wish == pool_page::nobody) return;
    if (wish == pool_page::when_idle && ++unheard_ < slot_count / 4 && has_call()) return;
    unheard_ = 0;
    if (setup_.profile.sandbox) return ring_from_sandbox();
    if (listener.exchange(pool_page::nobody, std::memory_order_seq_cst) != pool_page::nobody)
      ring(setup_.doorbell);
  }
  // The page can only be read there, so the wish stays until the manager is awake and takes it back.
  // A ring that nobody has answered by taking replies is still on its way.
  void ring_from_sandbox() noexcept {
    const std::int64_t taken = words_.harvested.load(std::memory_order_seq_cst);
    if (std::exchange(rang_at_, taken) != taken) ring(setup_.doorbell);
  }
  void ring_if_unheard() noexcept {
    if (!std::exchange(ring_postponed_, false)) return;
    if (words_.harvested.load(std::memory_order_acquire) != next_) ring_if_wanted();
  }

  [[noreturn]] void leave(int status) noexcept {
    std::fflush(nullptr);
    _exit(status);
  }

  worker_setup setup_;
  channel& shared_;
  const pool_words& words_{shared_.pool};
  std::uint32_t next_ = 0;
  std::uint32_t unheard_ = 0;
  bool ring_postponed_ = false;
  std::int64_t rang_at_ = -1;  // what `harvested` was at the last ring from within a sandbox
  memory_meter meter_;
  std::int64_t next_measuring_ = 0;
  encoder result_;
  seen_messages seen_;
  std::shared_ptr<const mapped_message> large_;  // what the running call reads
  message_memory lent_[lent_places];
  std::uint32_t lendings_[lent_places] = {};  // how often something was lent from there
  std::uint32_t lent_count_ = 0;
  ring_arena arena_;
  std::uint64_t marks_[slot_count] = {};
};

}  // namespace

void run_worker(worker_setup setup) { worker(std::move(setup)).run(); }

}  // namespace plait::detail
