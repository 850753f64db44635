#include "celery/amqp/amqp_broker.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <set>
#include <utility>

#include "celery/amqp/message.hpp"
#include "celery/client.hpp"
#include "celery/wall_clock.hpp"
#include "plait/coroutines/lock.hpp"
#include "plait/coroutines/move_on.hpp"

namespace plait::celery::amqp {

using detail::delivery;
using detail::ending;
using detail::parcel;

namespace {

std::string dead_queue(const std::string& of) { return "plait.dead." + of; }

method acknowledgement(std::uint64_t tag) {
  list a;
  a.push_back(static_cast<std::int64_t>(tag));
  a.push_back(false);
  return {method_id::basic_ack, std::move(a)};
}
// `tag` 0 with multiple: all there are.
enum class whose { one, all };
method giving_back(std::uint64_t tag, whose w = whose::one) {
  list a;
  a.push_back(static_cast<std::int64_t>(tag));
  a.push_back(w == whose::all);
  a.push_back(true);
  return {method_id::basic_nack, std::move(a)};
}
method getting(const std::string& queue) {
  list a;
  a.push_back(queue);
  a.push_back(false);
  return {method_id::basic_get, std::move(a)};
}
enum class look { declare, passive };
method declaration(const std::string& queue, look l, dict arguments) {
  list a;
  a.push_back(queue);
  a.push_back(l == look::passive);
  a.push_back(true);  // durable
  for (const bool flag : {false, false, false}) a.push_back(flag);
  a.push_back(std::move(arguments));
  return {method_id::queue_declare, std::move(a)};
}
method exchange_declaration(const std::string& name) {
  list a;
  a.push_back(name);
  a.push_back("direct");
  a.push_back(false);
  a.push_back(true);  // durable
  for (const bool flag : {false, false, false}) a.push_back(flag);
  a.push_back(dict());
  return {method_id::exchange_declare, std::move(a)};
}
method binding(const std::string& queue) {
  list a;
  a.push_back(queue);
  a.push_back(queue);
  a.push_back(queue);
  a.push_back(false);
  a.push_back(dict());
  return {method_id::queue_bind, std::move(a)};
}

}  // namespace

struct amqp_broker::store {
  struct lease {
    std::string queue;
    incoming message;
  };

  store(std::shared_ptr<amqp::connection> s, std::shared_ptr<reply_book> b, rpc_backend& r)
      : server(std::move(s)), book(std::move(b)), results(r) {}

  static task<> declare(std::shared_ptr<store> self, std::string queue);
  static task<> publish(std::shared_ptr<store> self, std::vector<outgoing> all);
  outgoing made_of(const parcel& p, const std::string& reply_to) const;
  outgoing grave_of(const lease& l, const std::string& because) const;
  // What was reserved at this connection; null if the lease was lost.
  lease* find(const std::string& tag);
  std::uint64_t number_of(const std::string& tag) const;
  void forget_others();

  std::shared_ptr<amqp::connection> server;
  std::shared_ptr<reply_book> book;
  rpc_backend& results;
  std::set<std::string> declared;
  std::map<std::string, lease> leases;
  std::uint64_t epoch = 0;  // of declared and leases
  std::uint64_t consumers = 0;
  std::size_t turn = 0;  // which queue comes first
  plait::lock dead_turn, declare_turn;
  const std::string mark = ':' + detail::new_id();  // no other's tags are ours
};

// What a reserve has been sent; what it does not hand out goes back, when it comes too.
struct amqp_broker::intake : std::enable_shared_from_this<intake> {
  struct arrived {
    std::string queue;
    incoming message;
  };
  explicit intake(std::shared_ptr<connection> s) : server(std::move(s)), epoch(server->epoch()) {}
  bool is_current() const { return server->is_up() && server->epoch() == epoch; }
  void take(const std::string& queue, incoming m) {
    if (!is_current()) return;
    if (is_over) {
      server->post(channel::consuming, giving_back(m.delivery_tag));
      return;
    }
    ready.push_back({queue, std::move(m)});
    changed.set();
  }
  void get(const std::string& queue) {
    ++unanswered;
    server->ask(channel::consuming, getting(queue), [self = shared_from_this(), queue](answer& a) {
      --self->unanswered;
      if (a.message) self->take(queue, std::move(*a.message));
      self->changed.set();
    });
  }
  void consume(const std::string& queue, std::string tag) {
    list a;
    a.push_back(0);
    a.push_back(1);  // the prefetch
    a.push_back(false);
    server->ask(channel::consuming, {method_id::basic_qos, std::move(a)});
    server->consumer(
        tag, [self = shared_from_this(), queue](incoming m) { self->take(queue, std::move(m)); });
    list c;
    c.push_back(queue);
    c.push_back(tag);
    for (const bool flag : {false, false, false, false}) c.push_back(flag);
    c.push_back(dict());
    server->ask(channel::consuming, {method_id::basic_consume, std::move(c)},
                [self = shared_from_this()](answer&) { self->changed.set(); });
    tags.push_back(std::move(tag));
  }
  void stop_consuming() {
    for (const std::string& tag : std::exchange(tags, {})) {
      server->forget_consumer(tag);
      if (!is_current()) continue;
      list a;
      a.push_back(tag);
      a.push_back(false);
      server->ask(channel::consuming, {method_id::basic_cancel, std::move(a)});
    }
  }
  void end() {
    is_over = true;
    stop_consuming();
    // The last first: they go back to their places.
    for (; !ready.empty(); ready.pop_back())
      if (is_current())
        server->post(channel::consuming, giving_back(ready.back().message.delivery_tag));
  }

  std::shared_ptr<connection> server;
  std::uint64_t epoch;
  std::deque<arrived> ready;
  std::size_t unanswered = 0;
  std::vector<std::string> tags;
  event changed;
  bool is_over = false;
};

amqp_broker::amqp_broker(std::shared_ptr<amqp::connection> server, std::shared_ptr<reply_book> book,
                         rpc_backend& results)
    : store_(std::make_shared<store>(std::move(server), std::move(book), results)) {}
amqp_broker::~amqp_broker() = default;

void amqp_broker::store::forget_others() {
  if (epoch == server->epoch()) return;
  epoch = server->epoch();
  declared.clear();
  leases.clear();
}

std::uint64_t amqp_broker::store::number_of(const std::string& tag) const {
  std::uint64_t of = 0, number = 0;
  const char* const end = tag.data() + tag.size();
  const auto [colon, failed] = std::from_chars(tag.data(), end, of);
  if (failed != std::errc() || colon == end || of != server->epoch() || !server->is_up()) return 0;
  std::from_chars(colon + 1, end, number);
  return number;
}

amqp_broker::store::lease* amqp_broker::store::find(const std::string& tag) {
  forget_others();
  if (number_of(tag) == 0) return nullptr;
  const auto found = leases.find(tag);
  return found == leases.end() ? nullptr : &found->second;
}

task<> amqp_broker::store::declare(std::shared_ptr<store> self, std::string queue) {
  co_await self->server->ready();
  self->forget_others();
  if (self->declared.contains(queue)) co_return;
  // One after the other: a thousand first calls at once would take a channel each.
  const auto turn = co_await self->declare_turn.acquire();
  if (!self->server->is_up()) throw unavailable("the connection to RabbitMQ ended");
  self->forget_others();
  if (self->declared.contains(queue)) co_return;
  const auto& options = self->server->options();
  dict arguments;
  if (options.quorum) arguments.set("x-queue-type", "quorum");
  if (options.max_priority > 0 && !options.quorum)
    arguments.set("x-max-priority", options.max_priority);
  bool is_other = false;
  try {
    std::vector<method> all;
    all.push_back(declaration(queue, look::declare, std::move(arguments)));
    if (!queue.starts_with("plait.dead.")) {
      all.push_back(exchange_declaration(queue));
      all.push_back(binding(queue));
    }
    static_cast<void>(co_await self->server->apart(std::move(all)));
  } catch (const refused& e) {
    if (e.code() != 406) throw;  // PRECONDITION_FAILED: it is there, with other arguments
    is_other = true;
  }
  if (is_other) {
    std::vector<method> one;
    one.push_back(declaration(queue, look::passive, {}));
    static_cast<void>(co_await self->server->apart(std::move(one)));
  }
  self->forget_others();
  self->declared.insert(queue);
}

outgoing amqp_broker::store::made_of(const parcel& p, const std::string& reply_to) const {
  outgoing to = to_queue(p.envelope, p.queue);
  // RabbitMQ's highest comes first, and only where the queue was declared with priorities.
  const int most = server->options().max_priority;
  to.properties.priority = most > 0 ? std::max(most - p.priority, 0) : p.priority;
  const auto& id = to.properties.correlation_id;
  if (to.properties.reply_to.value_or("").empty()) {
    std::string reply = reply_to.empty() && id ? book->find(*id) : reply_to;
    // The rest of a chain answers to whom its first task did.
    for (const char* origin : {"parent_id", "root_id"}) {
      const value* of = to.properties.headers ? to.properties.headers->find(origin) : nullptr;
      const auto* task = of != nullptr ? of->get_if<std::string>() : nullptr;
      if (reply.empty() && task != nullptr) reply = book->find(*task);
    }
    if (reply.empty() && book->is_wanted) reply = book->own_queue;
    to.properties.reply_to = std::move(reply);
  }
  return to;
}

outgoing amqp_broker::store::grave_of(const lease& l, const std::string& because) const {
  outgoing to = again(l.message, dead_queue(l.queue));
  if (!to.properties.headers) to.properties.headers.emplace();
  to.properties.headers->set(reason_header, because.substr(0, 1000));
  to.properties.headers->set(died_at_header, detail::wall_clock_now());
  to.properties.message_id = detail::new_id();
  to.properties.expiration.reset();  // it stays until somebody has looked
  to.properties.delivery_mode = 2;
  return to;
}

task<> amqp_broker::store::publish(std::shared_ptr<store> self, std::vector<outgoing> all) {
  std::set<std::string> queues;
  for (const outgoing& each : all) queues.insert(each.routing_key);
  for (const std::string& queue : queues) co_await declare(self, queue);
  bool is_gone = false;
  std::vector<outgoing> twice;
  if (self->epoch == self->server->epoch()) twice = all;
  try {
    co_await self->server->publish(std::move(all), routing::mandatory);
  } catch (const unroutable&) {
    is_gone = true;
  }
  if (!is_gone) co_return;
  // Somebody has deleted a queue that we had declared. What was taken is sent once more as well: two
  // are better than none.
  self->declared.clear();
  for (const std::string& queue : queues) co_await declare(self, queue);
  co_await self->server->publish(std::move(twice), routing::mandatory);
}

task<> amqp_broker::publish(std::vector<parcel> parcels) {
  const auto self = store_;
  if (parcels.empty()) co_return;
  if (self->book->is_wanted) co_await self->results.listen();
  std::vector<outgoing> all;
  for (const parcel& each : parcels) all.push_back(self->made_of(each, {}));
  co_await store::publish(self, std::move(all));
}

task<std::vector<delivery>> amqp_broker::reserve(std::vector<std::string> queues,
                                                 std::size_t at_most, duration) {
  constexpr std::size_t most_at_once = 64;
  if (queues.empty()) throw transport_error("to reserve takes a queue to reserve from");
  at_most = std::clamp<std::size_t>(at_most, 1, most_at_once);
  const auto self = store_;
  for (;;) {
    for (const std::string& queue : queues) co_await store::declare(self, queue);
    self->forget_others();
    struct claim {
      std::shared_ptr<intake> on;
      ~claim() { on->end(); }
    } mine{std::make_shared<intake>(self->server)};
    intake& in = *mine.on;
    const auto lost = [&] { return !in.is_current(); };
    ++self->turn;
    for (std::size_t i = 0; i < queues.size() && in.ready.size() < at_most && !lost(); ++i) {
      const std::string& queue = queues[(self->turn + i) % queues.size()];
      for (std::size_t n = at_most - in.ready.size(); n > 0; --n) in.get(queue);
      while (in.unanswered > 0 && !lost()) {
        in.changed.clear();
        co_await in.changed.wait();
      }
    }
    if (in.ready.empty() && !lost()) {
      for (const std::string& queue : queues)
        in.consume(queue, "plait-" + std::to_string(++self->consumers));
      while (in.ready.empty() && !lost()) {
        in.changed.clear();
        // A cut tells who has asked something, and this one only listens: it looks now and then.
        static_cast<void>(co_await move_on_after(std::chrono::seconds(1), in.changed.wait()));
      }
      in.stop_consuming();
    }
    if (lost()) continue;
    std::vector<delivery> taken;
    self->forget_others();
    while (!in.ready.empty() && taken.size() < at_most) {
      auto& next = in.ready.front();
      const std::string tag =
          std::to_string(in.epoch) + ':' + std::to_string(next.message.delivery_tag) + self->mark;
      const auto& p = next.message.properties;
      if (p.correlation_id) self->book->note(*p.correlation_id, p.reply_to.value_or(""));
      const int most = self->server->options().max_priority;
      const int priority = std::max(p.priority, 0);
      taken.push_back({.tag = tag,
                       .envelope = envelope_of(next.message),
                       .queue = next.queue,
                       .deliveries = deliveries_of(next.message),
                       .priority = most > 0 ? std::max(most - priority, 0) : priority});
      self->leases.insert_or_assign(tag, store::lease{next.queue, std::move(next.message)});
      in.ready.pop_front();
    }
    co_return taken;
  }
}

task<std::vector<std::string>> amqp_broker::renew(std::vector<std::string> tags, duration) {
  std::vector<std::string> lost;
  for (std::string& tag : tags)
    if (store_->find(tag) == nullptr) lost.push_back(std::move(tag));
  co_return lost;
}

task<> amqp_broker::finish(std::vector<ending> endings) {
  const auto self = store_;
  std::vector<outgoing> follow;
  for (const ending& each : endings) {
    const store::lease* of = self->find(each.tag);
    const std::string reply_to =
        of != nullptr ? of->message.properties.reply_to.value_or("") : std::string();
    for (const parcel& next : each.then) follow.push_back(self->made_of(next, reply_to));
    if (of != nullptr && each.bury_because)
      follow.push_back(
          self->grave_of(*of, each.bury_because->empty() ? "no reason given" : *each.bury_because));
  }
  if (!follow.empty()) co_await store::publish(self, std::move(follow));
  for (const ending& each : endings) {
    if (self->find(each.tag) == nullptr) continue;
    self->server->post(channel::consuming, acknowledgement(self->number_of(each.tag)));
    self->leases.erase(each.tag);
  }
}

task<> amqp_broker::restore(std::vector<std::string> tags, hand_out h) {
  const auto self = store_;
  std::vector<outgoing> copies;
  if (h == hand_out::counts) {
    // RabbitMQ would not count: a copy that does takes its place.
    for (const std::string& tag : tags) {
      const store::lease* of = self->find(tag);
      if (of == nullptr) continue;
      outgoing copy = again(of->message, of->queue);
      if (!copy.properties.headers) copy.properties.headers.emplace();
      copy.properties.headers->set(deliveries_header,
                                   static_cast<std::int64_t>(deliveries_of(of->message)));
      copies.push_back(std::move(copy));
    }
    if (!copies.empty()) co_await store::publish(self, std::move(copies));
  }
  for (auto tag = tags.rbegin(); tag != tags.rend(); ++tag) {
    if (self->find(*tag) == nullptr) continue;
    const std::uint64_t number = self->number_of(*tag);
    self->server->post(channel::consuming,
                       h == hand_out::counts ? acknowledgement(number) : giving_back(number));
    self->leases.erase(*tag);
  }
}

bool amqp_broker::keeps(const detail::result_backend&) const noexcept { return false; }

task<std::vector<detail::queue_length>> amqp_broker::lengths(std::vector<std::string> queues) {
  const auto self = store_;
  std::vector<detail::queue_length> all;
  for (const std::string& queue : queues) {
    detail::queue_length each{.queue = queue};
    for (const auto& [name, count] :
         {std::pair(queue, &each.waiting), std::pair(dead_queue(queue), &each.dead)}) {
      try {
        std::vector<method> one;
        one.push_back(declaration(name, look::passive, {}));
        const auto answers = co_await self->server->apart(std::move(one));
        *count = static_cast<std::uint64_t>(answers[0].number(1));
      } catch (const refused& e) {
        if (e.code() != 404) throw;  // it is not there, so nothing waits there
      }
    }
    self->forget_others();
    for (const auto& [tag, lease] : self->leases) each.leased += lease.queue == queue ? 1 : 0;
    all.push_back(std::move(each));
  }
  co_return all;
}

// Takes the dead one by one; what is not acknowledged goes back at the end, in its old order.
struct amqp_broker::dead_look {
  std::shared_ptr<store> of;
  std::uint64_t epoch = of->server->epoch();
  ~dead_look() {
    if (of->server->is_up() && of->server->epoch() == epoch)
      of->server->post(channel::dead_letters, giving_back(0, whose::all));
  }
  static task<std::optional<incoming>> next(std::shared_ptr<store> self, std::string queue) {
    co_await self->server->ready();
    const auto waits = self->server->ask(channel::dead_letters, getting(dead_queue(queue)));
    co_await waits->done.wait();
    if (waits->failure != nullptr) std::rethrow_exception(waits->failure);
    co_return std::move(waits->message);
  }
  static task<std::optional<incoming>> find(std::shared_ptr<store> self, std::string queue,
                                            std::string id) {
    for (;;) {
      auto one = co_await next(self, queue);
      if (!one || one->properties.message_id == id) co_return one;
    }
  }
};

task<std::vector<detail::dead_message>> amqp_broker::dead(std::string queue, std::size_t at_most) {
  const auto self = store_;
  const auto turn = co_await self->dead_turn.acquire();
  co_await store::declare(self, dead_queue(queue));
  const dead_look looking{self};
  std::vector<detail::dead_message> all;
  while (all.size() < at_most) {
    const auto one = co_await dead_look::next(self, queue);
    if (!one) break;
    incoming plain = *one;
    all.push_back({.id = one->properties.message_id.value_or(""),
                   .queue = queue,
                   .reason = text_in(*one, reason_header),
                   .envelope = envelope_of(plain),
                   .died_at = number_in(*one, died_at_header)});
  }
  co_return all;
}

task<bool> amqp_broker::retry_dead(std::string queue, std::string id) {
  const auto self = store_;
  const auto turn = co_await self->dead_turn.acquire();
  co_await store::declare(self, dead_queue(queue));
  const dead_look looking{self};
  const auto one = co_await dead_look::find(self, queue, id);
  if (!one) co_return false;
  std::vector<outgoing> fresh;
  fresh.push_back(again(*one, queue));
  co_await store::publish(self, std::move(fresh));
  if (self->server->is_up() && self->server->epoch() == looking.epoch)
    self->server->post(channel::dead_letters, acknowledgement(one->delivery_tag));
  co_return true;
}

task<bool> amqp_broker::drop_dead(std::string queue, std::string id) {
  const auto self = store_;
  const auto turn = co_await self->dead_turn.acquire();
  co_await store::declare(self, dead_queue(queue));
  const dead_look looking{self};
  const auto one = co_await dead_look::find(self, queue, id);
  if (!one) co_return false;
  self->server->post(channel::dead_letters, acknowledgement(one->delivery_tag));
  co_return true;
}

}  // namespace plait::celery::amqp
