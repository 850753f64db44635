// What workers answered, taken out of their channels: C6 to C8 of channel.hpp on the pool's side.
//
// Nothing here is believed. A head is read once; what lies in a slot is copied before it is checked; a
// packet of descriptors says which call it belongs to; a large reply's memory is mapped only if its
// maker cannot take it away.
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "inspect/trace_record.hpp"
#include "plait/processes/sandbox.hpp"
#include "processes/process_engine.hpp"
#include "processes/reply_batch.hpp"

namespace plait::detail {
namespace {

constexpr const char* damaged = "the worker's answer is damaged";
constexpr std::int64_t longest_lesson_ns = 1'000'000'000;  // for what is typical

// The packet of that call. Those of earlier calls, whose answers were spoilt, are thrown away.
bool receive_beside(int socket, std::uint32_t sequence, descriptor* fds, std::size_t expected) {
  for (std::uint32_t i = 0; i < slot_count; ++i) {
    std::uint32_t named = 0;
    std::size_t count = 0;
    const long n = receive_packet(socket, &named, sizeof named, fds, &count, MSG_DONTWAIT);
    if (n <= 0) return false;
    if (n == sizeof named && named == sequence) return count == expected;
    for (std::size_t k = 0; k < count; ++k) fds[k] = descriptor();
  }
  return false;
}

}  // namespace

// False if the worker must have written over it.
bool process_engine::copy_reply(seat& s, std::uint32_t sequence, slot_state state,
                                reply_batch& batch, remote_job& job) noexcept {
  auto& to = batch.add(job);
  slot& from = s.slot_of(sequence);
  const std::uint32_t check = std::atomic_ref(from.check).load(std::memory_order_relaxed);
  const message_head head = message_head::of(from);
  to.answer = {to.bytes, head.size, state == slot_state::done, nullptr};
  __builtin_memcpy(to.bytes, from.bytes, head.in_slot());
  const bool fits = head.where == tier::in_slot ? head.size <= sizeof to.bytes
                    : head.where == tier::in_arena
                        ? head.size <= arena_size && head.offset <= arena_size - head.size
                        : head.where == tier::in_memfd;
  if (!fits || head.attached > encoder::max_attached ||
      check != checksum(head, state, sequence, to.bytes)) {
    to.trouble = damaged;
    return false;
  }
  const std::int64_t ns = std::clamp<std::int64_t>(head.took, 0, longest_lesson_ns);
  typical_ns_ = typical_ns_ < 0 ? ns : typical_ns_ + (ns - typical_ns_) / 8;
  try {
    if (head.where == tier::in_memfd || head.attached != 0) copy_beside(s, sequence, head, to);
    if (head.where == tier::in_arena && to.trouble == nullptr) {
      auto* bytes = static_cast<std::byte*>(std::malloc(std::max<std::size_t>(head.size, 1)));
      if (bytes == nullptr) throw std::bad_alloc();
      __builtin_memcpy(bytes, s.shared->replies + head.offset, head.size);
      to.on_heap = true;
      to.answer.bytes = bytes;
    }
  } catch (const serialization_error&) {
    to.trouble = damaged;
    return false;
  } catch (const std::exception&) {
    to.trouble = "no memory for the result";
  }
  return true;
}

void process_engine::copy_beside(seat& s, std::uint32_t sequence, const message_head& head,
                                 reply_batch::item& to) {
  to.beside = std::make_unique<reply_batch::came_along>();
  auto& beside = *to.beside;
  is_enclosed(s);  // its packet comes first
  descriptor fds[max_sent];
  const std::size_t first = head.where == tier::in_memfd;
  if (!receive_beside(s.socket.get(), sequence, fds, first + head.attached)) {
    to.trouble = "a large or shared result did not arrive: too few file descriptors?";
    return;
  }
  if (head.attached != 0) {
    for (std::size_t i = 0; i < head.attached; ++i) beside.arrays.add(std::move(fds[first + i]));
    to.answer.with = &beside.arrays;
  }
  if (first == 0) return;
  message_place place;
  __builtin_memcpy(&place, to.bytes, sizeof place);
  if (place.capacity < head.size) throw serialization_error(damaged);
  if (place.lent < lent_places) {
    beside.seat = s.index;
    beside.generation = s.generation;
    beside.lent = place.lent;
  }
  if (options_.sandbox) {  // C7
    if (head.size > options_.sandbox->largest_result)
      to.trouble = "the result is larger than the sandbox's largest_result";
    else
      to.file = std::move(fds[0]);
    return;
  }
  if (place.lent < lent_places) {
    beside.memory = s.replies.map(fds[0].get(), place);
  } else {
    beside.memory = std::make_shared<const mapped_message>(fds[0].get(), head.size);
  }
  to.answer.bytes = beside.memory->data();
}

// The worker may write to that memory again, if it is still the one.
void process_engine::return_lent(const reply_batch::came_along& beside) noexcept {
  if (beside.lent >= lent_places) return;
  const std::lock_guard hold(mutex_);
  seat& s = seat_at(beside.seat);
  if (s.state != seat::life::empty && s.generation == beside.generation)
    s.shared->pool.returned[beside.lent].fetch_add(1, std::memory_order_release);
}

bool process_engine::harvest(seat& s, reply_batch& batch) noexcept {
  bool took = false, sound = true;
  std::uint32_t sequence = s.harvested.load(std::memory_order_relaxed);
  for (; sequence != s.placed && !batch.full(); ++sequence) {
    slot& from = s.slot_of(sequence);
    const auto state = from.state.load(std::memory_order_acquire);  // C2
    if (!is_answered(state)) {
      sound &= state <= slot_state::passed;
      break;
    }
    if (awaits_hearing(s, sequence)) break;  // C10: the manager is on it
    took = true;
    sound &= take_reply(s, sequence, state, batch);
    s.arena.free_up_to(s.marks[sequence % slot_count]);
    from.state.store(slot_state::free, std::memory_order_relaxed);
  }
  if (took) {
    s.harvested.store(sequence, std::memory_order_relaxed);
    s.shared->pool.harvested.store(sequence, std::memory_order_release);
  }
  if (!sound) [[unlikely]]
    spoil(s);
  return took;
}

bool process_engine::take_reply(seat& s, std::uint32_t sequence, slot_state state,
                                reply_batch& batch) noexcept {
  remote_job* job = std::exchange(s.jobs[sequence % slot_count], nullptr);
  if (job == nullptr) return state == slot_state::passed;
  settle(*job);
  if (watched_by(watcher::trace)) [[unlikely]] {
    const std::int64_t now = monotonic_ns();
    const slot& from = s.slot_of(sequence);
    const std::int64_t began = std::clamp<std::int64_t>(from.began, 0, now);
    add_to_trace({.what = trace_record::kind::worker_call,
                  .worker = pid_of(s),
                  .began = began,
                  .took = std::clamp<std::int64_t>(from.took, 0, now - began),
                  .origin = origin_copy(job->identity())});
  }
  s.proven = true;
  return copy_reply(s, sequence, state, batch, *job);
}

// At a death: answers behind a slot that is spoilt.
void process_engine::harvest_rest(seat& s, reply_batch& batch) noexcept {
  for (std::uint32_t q = s.harvested; q != s.placed && !batch.full(); ++q) {
    const auto state = s.slot_of(q).state.load(std::memory_order_acquire);
    if (s.jobs[q % slot_count] != nullptr && has_result(state)) take_reply(s, q, state, batch);
  }
}

// C8: what it has not begun goes elsewhere, what it answered is taken, the rest is lost with it.
void process_engine::spoil(seat& s) noexcept {
  if (s.dead || s.condemned != sentence::none) return;
  for (std::uint32_t q = s.placed; q != s.harvested; --q) {
    remote_job* job = s.jobs[(q - 1) % slot_count];
    if (job != nullptr && take_back(s, q - 1)) pending_.push_front(*job);
  }
  end_worker(s, sentence::overwrote);
}

// Workers that claim to sleep over a call, and do so at a second look some time after the first. No
// worker does that whose channel is whole.
void process_engine::look_at_sleepers(std::int64_t now) noexcept {
  wake_list wakes;
  const std::lock_guard hold(mutex_);
  next_look_ = now + look_interval_ns;
  for (std::size_t i = 0; i < seat_count_; ++i) {
    seat& s = seat_at(i);
    if (s.state == seat::life::empty || s.condemned != sentence::none) continue;
    const std::uint32_t oldest = s.harvested;
    const bool odd = oldest != s.placed && s.shared->asleep.load(std::memory_order_seq_cst) != 0 &&
                     !is_answered(s.slot_of(oldest).state.load(std::memory_order_seq_cst));
    if (!odd) {
      s.odd_since = 0;
    } else if (s.odd_since == 0 || s.odd_call != oldest) {
      s.odd_since = now;
      s.odd_call = oldest;
    } else if (now - s.odd_since >= second_look_ns) {
      spoil(s);
    }
    if (odd) next_look_ = std::min(next_look_, s.odd_since + second_look_ns);
  }
  dispatch(wakes);
}

// C10, on the manager: a seat is not given to another worker meanwhile.
void process_engine::hear_reports() noexcept {
  const std::size_t seats = seat_count_;
  for (std::size_t i = 0; i < seats; ++i)
    if (seat& s = seat_at(i); s.state != seat::life::empty) hear_report(s);
}

void process_engine::hear_report(seat& s) noexcept {
  auto& word = s.shared->report;
  const std::uint32_t from = word.load(std::memory_order_acquire);
  if (from == 0) return;
  std::string text;
  try {
    const std::size_t size = std::atomic_ref(s.shared->report_size);
    text.assign(s.shared->reported, std::min(size, this_call::report_limit));  // C6
  } catch (const std::exception&) {
    return;  // no memory: the call waits until there is some
  }
  std::shared_ptr<const report_listener> listener;
  {
    const std::lock_guard hold(mutex_);
    listener = begin_hearing(s, from - 1);
  }
  if (listener != nullptr) {
    const callback_scope inside(*this);
    try {
      (*listener)(text);
    } catch (...) {
      report_unhandled(std::current_exception(), "thrown by a process call's on_report");
    }
    listener.reset();  // while the call has another: what it holds goes with its future
    const std::lock_guard hold(mutex_);
    s.is_hearing = false;
  }
  word.store(0, std::memory_order_seq_cst);
  futex_wake(word);
}

// Of a dead worker the manager has heard the last.
bool process_engine::awaits_hearing(const seat& s, std::uint32_t sequence) const noexcept {
  if (s.is_heard_now(sequence)) return true;
  const remote_job* job = s.jobs[sequence % slot_count];
  return job != nullptr && job->listener_ != nullptr && !s.dead && s.has_report_of(sequence) &&
         !s.is_heard_out(sequence);
}

// Whose report lies there; from now on that call has no result until it was heard. A call that has
// answered reports no more, so what lies there then is its last one, and nobody waits for another.
std::shared_ptr<const report_listener> process_engine::begin_hearing(
    seat& s, std::uint32_t sequence) noexcept {
  const std::uint32_t oldest = s.harvested;
  if (sequence - oldest >= s.placed - oldest) return nullptr;
  const remote_job* job = s.jobs[sequence % slot_count];
  const auto state = s.slot_of(sequence).state.load(std::memory_order_acquire);
  const bool answered = has_result(state);
  if (job == nullptr || job->listener_ == nullptr || s.is_heard_out(sequence) ||
      (state != slot_state::running && !answered))
    return nullptr;
  s.heard_call = sequence;
  s.is_hearing = true;
  s.was_last = answered;
  return job->listener_;
}

void process_engine::resolve(reply_batch& batch) noexcept {
  {
    const callback_scope inside(*this);
    for (auto& item : batch) {
      if (item.file) reply_batch::copy_from_file(item);
      if (item.trouble != nullptr) {
        item.job->reject(std::make_exception_ptr(serialization_error(item.trouble)));
      } else {
        item.job->resolve(item.answer);
        reply_batch::free_bytes(item);
      }
      if (item.beside != nullptr) {
        return_lent(*item.beside);
        item.beside.reset();
      }
    }
  }
  const std::size_t n = batch.size();
  batch.clear();
  if (n != 0) finished(n);
}

}  // namespace plait::detail
