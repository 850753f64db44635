// The seam's rules without a store behind them: for tests, and the shortest way to read them.
// Transports of one name on one loop share what they hold; time is the loop's.
#include <algorithm>
#include <deque>
#include <map>

#include "celery/transport.hpp"
#include "celery/wall_clock.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/move_on.hpp"

namespace plait::celery {
namespace memory {
namespace {

struct message {
  detail::parcel parcel;
  unsigned deliveries = 0;
  std::string lease = {};  // empty: it waits
  std::int64_t due = 0;    // end of the lease, or not_before
};
struct letter {
  std::string channel, text;
};

struct held {
  std::uint64_t last_number = 0, last_lease = 0;
  std::map<std::uint64_t, message> messages;
  std::map<std::uint64_t, detail::dead_message> dead;
  std::map<std::string, detail::stored_result> results;
  std::map<std::string, std::size_t> chord_sizes;
  std::map<std::string, std::map<std::string, detail::chord_part>> chord_parts;
  std::map<std::string, std::string> last_parts;  // of chords that are complete: the task's id
  std::vector<letter> letters;
  event changed;
  void change() {
    changed.set();
    changed.clear();
  }
};

bool is_final(const std::string& state) {
  return state == "SUCCESS" || state == "FAILURE" || state == "REVOKED";
}

class whole final : public detail::transport,
                    private detail::broker,
                    private detail::result_backend,
                    private detail::control_channel {
 public:
  explicit whole(std::shared_ptr<held> h)
      : held_(std::move(h)), request_(held_->letters.size()), event_(request_), reply_(request_) {}

  detail::broker& broker() override { return *this; }
  detail::result_backend& backend() override { return *this; }
  detail::control_channel& control() override { return *this; }
  task<> close() override { co_return; }

 private:
  task<> publish(std::vector<detail::parcel> parcels) override {
    for (auto& p : parcels) put(std::move(p));
    held_->change();
    co_return;
  }

  task<std::vector<detail::delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                              duration lease) override {
    for (;;) {
      std::vector<std::pair<int, std::uint64_t>> found;
      std::int64_t next = INT64_MAX;
      const auto now = detail::wall_clock_now();
      for (auto& [number, m] : held_->messages) {
        if (m.due > now) {
          next = std::min(next, m.due);
        } else if (std::find(queues.begin(), queues.end(), m.parcel.queue) != queues.end()) {
          found.emplace_back(m.parcel.priority, number);
        }
      }
      std::sort(found.begin(), found.end());
      found.resize(std::min(found.size(), at_most));
      std::vector<detail::delivery> taken;
      for (const auto& [priority, number] : found) taken.push_back(take(number, now, lease));
      if (!taken.empty()) co_return taken;
      if (next == INT64_MAX) {
        co_await held_->changed.wait();
      } else {
        static_cast<void>(
            co_await move_on_after(std::chrono::milliseconds(next - now), held_->changed.wait()));
      }
    }
  }

  task<std::vector<std::string>> renew(std::vector<std::string> tags, duration lease) override {
    std::vector<std::string> lost;
    for (const auto& tag : tags) {
      if (auto* m = find(tag)) {
        m->due = detail::wall_clock_now() + milliseconds(lease);
      } else {
        lost.push_back(tag);
      }
    }
    co_return lost;
  }

  task<> finish(std::vector<detail::ending> endings) override {
    for (auto& e : endings) {
      for (auto& p : e.then) put(std::move(p));
      if (e.result) keep(*std::move(e.result));
      if (auto* m = find(e.tag)) {
        if (e.bury_because) {
          const auto number = ++held_->last_number;
          held_->dead[number] = {.id = std::to_string(number),
                                 .queue = m->parcel.queue,
                                 .reason = *e.bury_because,
                                 .envelope = m->parcel.envelope,
                                 .died_at = detail::wall_clock_now()};
        }
        held_->messages.erase(std::stoull(e.tag));
      }
    }
    held_->change();
    co_return;
  }

  task<> restore(std::vector<std::string> tags, hand_out h) override {
    for (const auto& tag : tags) {
      if (auto* m = find(tag)) {
        m->lease.clear();
        m->due = 0;
        if (h == hand_out::does_not_count) --m->deliveries;
      }
    }
    held_->change();
    co_return;
  }

  bool keeps(const detail::result_backend& b) const noexcept override { return &b == this; }

  task<std::vector<detail::queue_length>> lengths(std::vector<std::string> queues) override {
    std::map<std::string, detail::queue_length> all;
    for (const auto& [number, m] : held_->messages)
      ++(m.lease.empty() ? all[m.parcel.queue].waiting : all[m.parcel.queue].leased);
    for (const auto& [number, d] : held_->dead) ++all[d.queue].dead;
    if (queues.empty())
      for (const auto& [name, length] : all) queues.push_back(name);
    std::vector<detail::queue_length> asked;
    for (const auto& name : queues) {
      all[name].queue = name;
      asked.push_back(all[name]);
    }
    co_return asked;
  }

  task<std::vector<detail::dead_message>> dead(std::string queue, std::size_t at_most) override {
    std::vector<detail::dead_message> all;
    for (const auto& [number, d] : held_->dead)
      if (d.queue == queue && all.size() < at_most) all.push_back(d);
    co_return all;
  }

  task<bool> retry_dead(std::string queue, std::string id) override {
    const auto found = held_->dead.find(std::stoull(id));
    if (found == held_->dead.end() || found->second.queue != queue) co_return false;
    put({found->second.envelope, queue});
    held_->dead.erase(found);
    held_->change();
    co_return true;
  }

  task<bool> drop_dead(std::string queue, std::string id) override {
    const auto found = held_->dead.find(std::stoull(id));
    if (found == held_->dead.end() || found->second.queue != queue) co_return false;
    held_->dead.erase(found);
    co_return true;
  }

  task<bool> store(detail::stored_result result) override {
    const bool stored = keep(std::move(result));
    held_->change();
    co_return stored;
  }
  task<std::optional<std::string>> get(std::string id) override {
    const auto found = held_->results.find(id);
    if (found == held_->results.end()) co_return std::nullopt;
    co_return found->second.meta;
  }
  task<std::string> wait(std::string id) override {
    for (;;) {
      const auto found = held_->results.find(id);
      if (found != held_->results.end() && is_final(found->second.state))
        co_return found->second.meta;
      co_await held_->changed.wait();
    }
  }
  task<> forget(std::string id) override {
    held_->results.erase(id);
    co_return;
  }
  task<> begin_chord(std::string group, std::size_t size) override {
    held_->chord_sizes[group] = size;
    co_return;
  }
  task<std::optional<std::vector<std::string>>> end_chord_part(detail::chord_part part) override {
    const std::string group = part.group;
    auto& parts = held_->chord_parts[group];
    if (const auto last = held_->last_parts.find(group); last != held_->last_parts.end()) {
      if (last->second != part.task_id) co_return std::nullopt;
    } else {
      parts.try_emplace(part.task_id, part);
      const auto size = held_->chord_sizes.find(group);
      if (size == held_->chord_sizes.end() || parts.size() != size->second) co_return std::nullopt;
      held_->last_parts[group] = part.task_id;
    }
    std::vector<detail::chord_part> ordered;
    for (const auto& [id, p] : parts) ordered.push_back(p);
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
      return a.index.value_or(INT64_MAX) < b.index.value_or(INT64_MAX);
    });
    std::vector<std::string> entries;
    for (const auto& p : ordered) entries.push_back(p.entry);
    co_return entries;
  }

  task<> close_chord(std::string group) override {
    held_->last_parts[group].clear();
    held_->chord_parts.erase(group);
    held_->chord_sizes.erase(group);
    co_return;
  }

  task<> broadcast(std::string envelope) override { return send("control", std::move(envelope)); }
  task<std::string> next_request() override { co_return (co_await next("control", request_)).text; }
  task<> reply(std::string, std::string routing_key, std::string envelope) override {
    return send("reply:" + routing_key, std::move(envelope));
  }
  task<std::string> next_reply(std::string routing_key) override {
    co_return (co_await next("reply:" + routing_key, reply_)).text;
  }
  task<> emit(std::string routing_key, std::string envelope) override {
    return send("event:" + routing_key, std::move(envelope));
  }
  task<std::pair<std::string, std::string>> next_event() override {
    const auto l = co_await next("event:", event_);
    co_return std::pair(l.channel.substr(6), l.text);
  }

  static std::int64_t milliseconds(duration span) {
    return std::chrono::ceil<std::chrono::milliseconds>(span).count();
  }
  void put(detail::parcel p) {
    const auto due = p.not_before;
    held_->messages.emplace(++held_->last_number, message{.parcel = std::move(p), .due = due});
  }
  detail::delivery take(std::uint64_t number, std::int64_t now, duration lease) {
    auto& m = held_->messages.at(number);
    m.lease = std::to_string(++held_->last_lease);
    m.due = now + milliseconds(lease);
    ++m.deliveries;
    return {.tag = std::to_string(number) + ':' + m.lease,
            .envelope = m.parcel.envelope,
            .queue = m.parcel.queue,
            .deliveries = m.deliveries,
            .priority = m.parcel.priority};
  }
  // Null if the lease was lost.
  message* find(const std::string& tag) {
    const auto found = held_->messages.find(std::stoull(tag));
    if (found == held_->messages.end()) return nullptr;
    auto& m = found->second;
    return tag.substr(tag.find(':') + 1) == m.lease ? &m : nullptr;
  }
  bool keep(detail::stored_result r) {
    auto& kept = held_->results[r.id];
    if (kept.state == "SUCCESS") return false;
    kept = std::move(r);
    return true;
  }
  task<> send(std::string channel, std::string text) {
    held_->letters.push_back({std::move(channel), std::move(text)});
    held_->change();
    co_return;
  }
  task<letter> next(std::string prefix, std::size_t& position) {
    for (;;) {
      while (position < held_->letters.size())
        if (const auto& l = held_->letters[position++]; l.channel.starts_with(prefix)) co_return l;
      co_await held_->changed.wait();
    }
  }

  std::shared_ptr<held> held_;
  std::size_t request_, event_, reply_;
};

}  // namespace
}  // namespace memory

namespace detail {

task<std::unique_ptr<transport>> open_memory(std::string url) {
  static thread_local std::map<std::string, std::weak_ptr<memory::held>> known;
  auto shared = known[url].lock();
  if (shared == nullptr) known[url] = shared = std::make_shared<memory::held>();
  co_return std::make_unique<memory::whole>(std::move(shared));
}

}  // namespace detail
}  // namespace plait::celery
