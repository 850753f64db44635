#include "celery/redis/redis_broker.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "celery/redis/redis_backend.hpp"
#include "celery/redis/scripts.hpp"
#include "celery/redis/translated.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/run.hpp"

namespace plait::celery::redis {

using detail::delivery;
using detail::ending;
using detail::parcel;

namespace {

std::int64_t milliseconds(duration span) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
}

// Names one transaction, in case it has to be sent twice.
std::string token() {
  static thread_local std::mt19937_64 bits{
      (static_cast<std::uint64_t>(std::random_device()()) << 32) ^ std::random_device()()};
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(bits()),
                static_cast<unsigned long long>(bits()));
  return text;
}

}  // namespace

// Shared with what is still under way when a caller has gone.
struct redis_broker::store {
  store(connection_options to, broker_options o)
      : options(std::move(o)), keys(options.keys), server(std::move(to)) {}

  // The script's first arguments.
  command leases() const {
    return command("4", keys("unacked"), keys("unacked_index"), keys("plait:leases"),
                   keys("plait:deliveries"), keys.prefix);
  }
  call_options how(if_cut cut = if_cut::resend) const {
    return {.timeout = options.patience, .if_cut = cut};
  }
  void add_declarations(const std::vector<parcel>& parcels, std::vector<command>& to);
  static task<std::int64_t> give_back(std::shared_ptr<store> self, std::vector<std::string> tags,
                                      hand_out h);
  static task<> fetch(std::shared_ptr<store> self, std::shared_ptr<hand_over> into,
                      command request);
  static task<std::vector<delivery>> reserve(std::shared_ptr<store> self,
                                             std::vector<std::string> queues, std::size_t at_most,
                                             duration lease);
  static task<bool> any_waits(std::shared_ptr<store> self, const std::vector<std::string>& queues);
  static task<> until_changed(std::shared_ptr<store> self, const std::vector<std::string>& queues);
  // Somebody looks when it goes, whatever became of a command that may fill a list.
  struct filling {
    store& of;
    ~filling() { of.note_change(); }
  };
  void note_change() noexcept {
    ++changes;
    changed.set();
  }
  static task<std::int64_t> sweep(std::shared_ptr<store> self);
  static task<> sweep_if_due(std::shared_ptr<store> self);
  static task<std::vector<std::string>> all_queues(std::shared_ptr<store> self);

  broker_options options;
  redis::keys keys;
  redis::connection server;
  std::set<std::string> declared;  // queues, on this server
  // Of lists that were seen empty, or the connection. Several may wait for the next: each compares the
  // count with the one before its own look, so that nobody clears what another has not seen.
  std::uint64_t changes = 0;
  event changed;
  bool is_drained = false;  // the last reserve left nothing behind
  std::size_t turn = 0;     // which queue comes first
  time_point next_sweep{};
  static constexpr int sweeps_for_a_look = 6;
  static constexpr duration shortest_look = std::chrono::milliseconds(100);
  duration look_again = shortest_look;
};

// What a reserve that may be stopped waits for.
struct redis_broker::hand_over {
  std::vector<delivery> deliveries;
  std::exception_ptr failure;
  event done;
  bool is_abandoned = false;
  bool is_last = false;  // the lists are empty now
};

redis_broker::redis_broker(connection_options server, broker_options options) {
  server.tracking = tracking::on;
  store_ = std::make_shared<store>(std::move(server), std::move(options));
  // The handlers are gone with the connection, which the store owns.
  store* s = store_.get();
  s->server.on_push([s](const value& push) {
    if (push.items.front().text == "invalidate") s->note_change();
  });
  s->server.on_connect([s] {
    s->declared.clear();
    s->note_change();
  });
}

redis_broker::~redis_broker() { close(); }

void redis_broker::close() noexcept { store_->server.close(); }
redis::connection& redis_broker::connection() noexcept { return store_->server; }

void redis_broker::store::add_declarations(const std::vector<parcel>& parcels,
                                           std::vector<command>& to) {
  for (const parcel& each : parcels)
    if (declared.insert(each.queue).second)
      to.push_back(command("SADD", keys.binding(each.queue), bound(each.queue, each.queue)));
}

task<> redis_broker::publish(std::vector<parcel> parcels) {
  if (parcels.empty()) co_return;
  const std::shared_ptr<store> self = store_;
  const store::filling fills{*self};
  constexpr std::size_t at_once = 1000;  // messages of one LPUSH
  std::vector<command> commands;
  self->add_declarations(parcels, commands);
  for (std::size_t i = 0; i < parcels.size();) {
    const std::string list = self->keys.list(parcels[i].queue, step_of(parcels[i].priority));
    command push("LPUSH", list);
    for (std::size_t n = 0; i < parcels.size() && n < at_once; ++i, ++n) {
      if (n > 0 && self->keys.list(parcels[i].queue, step_of(parcels[i].priority)) != list) break;
      push.add(parcels[i].envelope);
    }
    commands.push_back(std::move(push));
  }
  if (commands.size() == 1) {
    co_await translated(self->server.call(std::move(commands.front()), self->how(if_cut::fail)));
    co_return;
  }
  commands.insert(commands.begin(), command("MULTI"));
  commands.push_back(command("EXEC"));
  auto answers =
      co_await translated(self->server.pipeline(std::move(commands), self->how(if_cut::fail)));
  const value& executed = answers.back();
  if (!executed.is_error() && !executed.is_null()) {
    for (const value& each : executed.items)
      if (each.is_error()) throw transport_error("Redis refused a message: " + each.text);
    co_return;
  }
  // The reason is at the command that was refused.
  std::string reason = executed.text;
  for (const value& each : answers)
    if (each.is_error() && !each.text.starts_with("EXECABORT")) reason = each.text;
  throw transport_error("Redis refused messages: " + reason);
}

task<> redis_broker::store::fetch(std::shared_ptr<store> self, std::shared_ptr<hand_over> into,
                                  command request) {
  std::vector<std::string> unwanted;
  try {
    const value reply =
        co_await self->server.run(scripts::reserve, std::move(request), self->how(if_cut::fail));
    const auto& items = reply.as_array();
    into->is_last = items.size() % 7 == 0;
    for (std::size_t i = 0; i + 6 < items.size(); i += 7) {
      into->deliveries.push_back({.tag = items[i + 3].text,
                                  .envelope = items[i].text,
                                  .queue = items[i + 1].text,
                                  .deliveries = static_cast<unsigned>(items[i + 4].as_integer()),
                                  .priority = static_cast<int>(items[i + 2].as_integer()),
                                  .looked_up = items[i + 5].text});
      if (items[i + 6].is_text()) into->deliveries.back().result = items[i + 6].text;
      if (items[i + 6].is_error()) into->deliveries.back().looked_up.clear();
    }
    if (into->is_abandoned)
      for (const delivery& each : into->deliveries) unwanted.push_back(each.tag);
  } catch (const std::exception&) {
    into->failure = std::current_exception();
  }
  into->done.set();
  if (unwanted.empty()) co_return;
  try {
    co_await give_back(self, std::move(unwanted), hand_out::does_not_count);
  } catch (const std::exception&) {
    // Their leases end by themselves.
  }
}

task<bool> redis_broker::store::any_waits(std::shared_ptr<store> self,
                                          const std::vector<std::string>& queues) {
  // An empty list does not exist. One command reads them all, and the one before it has the server
  // tell of each when it changes by others. What this connection does to them sets `changed` here.
  command look("EXISTS");
  for (const std::string& queue : queues)
    for (const int step : priority_steps) look.add(self->keys.list(queue, step));
  std::vector<command> both;
  if (self->server.facts().tracks) both.push_back(command("CLIENT", "CACHING", "YES"));
  both.push_back(std::move(look));
  const auto answers = co_await self->server.pipeline(std::move(both), self->how());
  for (const value& each : answers)
    if (each.is_error()) throw server_error(each.text, "EXISTS");
  co_return answers.back().as_integer() > 0;
}

task<std::vector<delivery>> redis_broker::store::reserve(std::shared_ptr<store> self,
                                                         std::vector<std::string> queues,
                                                         std::size_t at_most, duration lease) {
  if (queues.empty()) throw transport_error("to reserve takes a queue to reserve from");
  for (;;) {
    co_await sweep_if_due(self);
    if (self->is_drained) {
      self->is_drained = false;
      co_await until_changed(self, queues);
    }
    // Each time another queue comes first.
    command request = self->leases();
    request.add(milliseconds(lease)).add(at_most).add(queues.size());
    for (std::size_t i = 0; i < queues.size(); ++i)
      request.add(queues[(self->turn + i) % queues.size()]);
    ++self->turn;

    // A stop that comes while the script runs must not strand what it hands out.
    struct claim {
      std::shared_ptr<store> of;
      std::shared_ptr<hand_over> on = std::make_shared<hand_over>();
      bool is_kept = false;
      ~claim() {
        if (is_kept) return;
        on->is_abandoned = true;
        std::vector<std::string> tags;
        for (const delivery& each : on->deliveries) tags.push_back(each.tag);
        if (!tags.empty() && event_loop::current_or_null() != nullptr)
          spawn(give_back(of, std::move(tags), hand_out::does_not_count));
      }
    } mine{self};
    // Not awaited as a future: that would stop it with us.
    spawn(fetch(self, mine.on, std::move(request)), {.name = "reserve"});
    co_await mine.on->done.wait();
    if (mine.on->failure != nullptr) {
      // What the script may have handed out comes back when its lease ends.
      bool is_cut = false;
      try {
        std::rethrow_exception(mine.on->failure);
      } catch (const unknown_outcome&) {
        is_cut = true;
      }
      if (is_cut) continue;
    }
    mine.is_kept = true;
    self->is_drained = mine.on->is_last;
    if (!mine.on->deliveries.empty()) {
      self->look_again = shortest_look;
      co_return std::move(mine.on->deliveries);
    }
  }
}

// Until something may wait in one of the queues. Now and then it looks although nobody said anything:
// a proxy may not hand on what the server tells.
task<> redis_broker::store::until_changed(std::shared_ptr<store> self,
                                          const std::vector<std::string>& queues) {
  for (;;) {
    const std::uint64_t seen = self->changes;
    const bool waits = co_await any_waits(self, queues);
    if (waits || self->changes != seen) co_return;
    const bool is_told = self->server.facts().tracks;
    const int sweeps = is_told ? sweeps_for_a_look : 1;
    const duration pause = is_told ? self->options.sweep_every : self->look_again;
    for (int i = 0; i < sweeps && self->changes == seen; ++i) {
      self->changed.clear();
      static_cast<void>(co_await move_on_after(pause, self->changed.wait()));
      co_await sweep_if_due(self);
    }
    if (self->changes != seen) co_return;
    self->look_again = std::min<duration>(2 * self->look_again, std::chrono::seconds(1));
  }
}

task<std::vector<delivery>> redis_broker::reserve(std::vector<std::string> queues,
                                                  std::size_t at_most, duration lease) {
  return translated(
      store::reserve(store_, std::move(queues), std::max<std::size_t>(at_most, 1), lease));
}

bool redis_broker::may_have_more() const noexcept { return !store_->is_drained; }

task<> redis_broker::store::sweep_if_due(std::shared_ptr<store> self) {
  const time_point now = event_loop::current().now();
  if (now < self->next_sweep) co_return;
  self->next_sweep = now + self->options.sweep_every;
  co_await sweep(self);
}

task<std::int64_t> redis_broker::store::sweep(std::shared_ptr<store> self) {
  command request = self->leases();
  request.add(milliseconds(self->options.visibility_timeout) / 1000).add(100);
  const value given = co_await self->server.run(scripts::sweep, std::move(request), self->how());
  if (given.as_integer() > 0) self->note_change();
  co_return given.as_integer();
}

task<std::int64_t> redis_broker::sweep() { return translated(store::sweep(store_)); }

task<std::vector<std::string>> redis_broker::renew(std::vector<std::string> tags, duration lease) {
  std::vector<std::string> lost;
  if (tags.empty()) co_return lost;
  const std::shared_ptr<store> self = store_;
  command request = self->leases();
  request.add(milliseconds(lease));
  for (const std::string& tag : tags) request.add(tag);
  const value reply =
      co_await translated(self->server.run(scripts::renew, std::move(request), self->how()));
  for (const value& each : reply.as_array()) lost.push_back(each.text);
  co_return lost;
}

task<std::int64_t> redis_broker::store::give_back(std::shared_ptr<store> self,
                                                  std::vector<std::string> tags, hand_out h) {
  const filling fills{*self};
  command request = self->leases();
  request.add(h == hand_out::counts ? "1" : "0");
  for (const std::string& tag : tags) request.add(tag);
  const value given = co_await self->server.run(scripts::restore, std::move(request), self->how());
  co_return given.as_integer();
}

task<> redis_broker::restore(std::vector<std::string> tags, hand_out h) {
  if (tags.empty()) co_return;
  co_await translated(store::give_back(store_, std::move(tags), h));
}

// One script an ending, all of them in one write.
task<> redis_broker::finish(std::vector<ending> endings) {
  const std::shared_ptr<store> self = store_;
  std::optional<store::filling> fills;
  std::vector<command> requests;
  for (ending& each : endings) {
    if (!each.then.empty() && !fills) fills.emplace(*self);
    std::vector<command> declarations;
    self->add_declarations(each.then, declarations);
    if (!declarations.empty())
      co_await translated(self->server.pipeline(std::move(declarations), self->how()));
    command request = self->leases();
    request.add(each.tag).add(each.then.empty() ? std::string() : token());
    request.add(each.bury_because
                    ? (each.bury_because->empty() ? "no reason given" : *each.bury_because)
                    : std::string());
    if (each.result) {
      request.add(self->keys.meta(each.result->id)).add(each.result->meta);
      request.add(milliseconds(each.result->expires));
    } else {
      request.add("").add("").add(0);
    }
    for (const parcel& next : each.then)
      request.add(self->keys.list(next.queue, step_of(next.priority))).add(next.envelope);
    requests.push_back(std::move(request));
  }
  co_await translated(self->server.run_each(scripts::finish, std::move(requests), self->how()));
}

bool redis_broker::keeps(const detail::result_backend& backend) const noexcept {
  const auto* ours = dynamic_cast<const redis_backend*>(&backend);
  return ours != nullptr && ours->address() == to_text(store_->server.options()) &&
         ours->prefix() == store_->keys.prefix;
}

// Those that somebody has sent to: kombu names each in the set of its exchange.
task<std::vector<std::string>> redis_broker::store::all_queues(std::shared_ptr<store> self) {
  std::string pattern;
  for (const char c : self->keys.prefix) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  pattern += "_kombu.binding.*";
  std::set<std::string> names;
  std::string cursor = "0";
  do {
    const value page = co_await self->server.call(
        command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000), self->how());
    cursor = page.as_array().at(0).as_text();
    for (const value& key : page.items.at(1).as_array()) {
      // Remote control, its answers, and events have exchanges too.
      if (key.text.ends_with("pidbox") || key.text.ends_with("celeryev")) continue;
      const value bound = co_await self->server.call(command("SMEMBERS", key.text), self->how());
      for (const value& each : bound.items)
        names.insert(each.text.substr(each.text.rfind('\x16') + 1));
    }
  } while (cursor != "0");
  co_return std::vector<std::string>(names.begin(), names.end());
}

task<std::vector<detail::queue_length>> redis_broker::lengths(std::vector<std::string> queues) {
  const std::shared_ptr<store> self = store_;
  if (queues.empty()) queues = co_await translated(store::all_queues(self));
  std::vector<command> looks;
  command leased = self->leases();
  for (const std::string& queue : queues) {
    for (const int step : priority_steps)
      looks.push_back(command("LLEN", self->keys.list(queue, step)));
    looks.push_back(command("HLEN", self->keys.dead(queue)));
    leased.add(queue);
  }
  auto counts = co_await translated(self->server.pipeline(std::move(looks), self->how()));
  const value held =
      co_await translated(self->server.run(scripts::leased, std::move(leased), self->how()));
  std::vector<detail::queue_length> all;
  auto count = counts.begin();
  for (std::size_t i = 0; i < queues.size(); ++i) {
    detail::queue_length each{.queue = queues[i]};
    for (std::size_t step = 0; step < std::size(priority_steps); ++step)
      each.waiting += static_cast<std::uint64_t>((count++)->integer);
    each.dead = static_cast<std::uint64_t>((count++)->integer);
    each.leased = static_cast<std::uint64_t>(held.as_array().at(i).as_integer());
    all.push_back(std::move(each));
  }
  co_return all;
}

task<std::vector<detail::dead_message>> redis_broker::dead(std::string queue, std::size_t at_most) {
  const std::shared_ptr<store> self = store_;
  command request = self->leases();
  request.add(queue).add(at_most);
  const value reply =
      co_await translated(self->server.run(scripts::list_dead, std::move(request), self->how()));
  std::vector<detail::dead_message> all;
  const auto& items = reply.as_array();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const std::string& entry = items[i + 1].text;  // "milliseconds reason\nmessage"
    const std::size_t blank = entry.find(' '), line = entry.find('\n');
    if (blank == std::string::npos || line == std::string::npos) continue;
    all.push_back({.id = items[i].text,
                   .queue = queue,
                   .reason = entry.substr(blank + 1, line - blank - 1),
                   .envelope = entry.substr(line + 1),
                   .died_at = std::strtoll(entry.c_str(), nullptr, 10)});
  }
  co_return all;
}

task<bool> redis_broker::retry_dead(std::string queue, std::string id) {
  const std::shared_ptr<store> self = store_;
  const store::filling fills{*self};
  command request = self->leases();
  request.add(queue).add(id);
  const value done = co_await translated(
      self->server.run(scripts::retry_dead, std::move(request), self->how(if_cut::fail)));
  co_return done.as_integer() == 1;
}

task<bool> redis_broker::drop_dead(std::string queue, std::string id) {
  const std::shared_ptr<store> self = store_;
  const value gone = co_await translated(
      self->server.call(command("HDEL", self->keys.dead(queue), id), self->how(if_cut::fail)));
  co_return gone.as_integer() == 1;
}

task<std::string> redis_broker::warning() {
  const std::shared_ptr<store> self = store_;
  std::vector<command> looks;
  looks.push_back(command("INFO", "memory"));
  const auto answers = co_await translated(self->server.pipeline(std::move(looks), self->how()));
  const std::string& info = answers.front().text;
  const bool unlimited = info.find("\nmaxmemory:0\r") != std::string::npos;
  const std::size_t at = info.find("\nmaxmemory_policy:");
  if (unlimited || at == std::string::npos) co_return "";
  const std::string policy = info.substr(at + 18, info.find('\r', at + 1) - at - 18);
  if (policy == "noeviction") co_return "";
  co_return "Redis may throw messages away when its memory is full: maxmemory-policy is " + policy +
      ", it should be noeviction";
}

}  // namespace plait::celery::redis
