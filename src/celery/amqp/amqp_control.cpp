#include "celery/amqp/amqp_control.hpp"

#include <map>
#include <utility>

#include "celery/amqp/message.hpp"
#include "celery/client.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/coroutines/lock.hpp"
#include "plait/coroutines/queue.hpp"

namespace plait::celery::amqp {
namespace {

constexpr std::size_t most_kept = 10'000;  // requests, answers or events that nobody has taken
const std::string mailbox = "celery.pidbox", answers = "reply.celery.pidbox", events = "celeryev";

template <class T>
void keep(queue<T>& in, T item) {
  if (in.full()) in.get_nowait();
  in.put_nowait(std::move(item));
}

std::string reply_key(const std::string& request) {
  try {
    const auto decoded = detail::decode_request(detail::decode_envelope(request));
    return decoded.reply_to ? decoded.reply_to->routing_key : "";
  } catch (const celery::error&) {
    return "";  // who sends nonsense gets no answer
  }
}

method exchange_declaration(const std::string& name) {
  list a;
  a.push_back(name);
  a.push_back(name == mailbox ? "fanout" : name == events ? "topic" : "direct");
  a.push_back(false);
  a.push_back(name == events);  // durable
  for (const bool flag : {false, false, false}) a.push_back(flag);
  a.push_back(dict());
  return {method_id::exchange_declare, std::move(a)};
}

// A queue that goes with its consumer, bound, and a consumer of the same name.
struct subscription {
  std::string queue, exchange, routing_key;
  dict arguments;

  std::vector<method> steps() const {
    std::vector<method> all;
    all.push_back(exchange_declaration(exchange));
    list q;
    q.push_back(queue);
    for (const bool flag : {false, false, false, true, false}) q.push_back(flag);
    q.push_back(arguments);
    all.emplace_back(method_id::queue_declare, std::move(q));
    list b;
    b.push_back(queue);
    b.push_back(exchange);
    b.push_back(routing_key);
    b.push_back(false);
    b.push_back(dict());
    all.emplace_back(method_id::queue_bind, std::move(b));
    list c;
    c.push_back(queue);
    c.push_back(queue);
    for (const bool flag : {false, true, false, false}) c.push_back(flag);
    c.push_back(dict());
    all.emplace_back(method_id::basic_consume, std::move(c));
    return all;
  }
};

}  // namespace

struct amqp_control::post {
  explicit post(std::shared_ptr<amqp::connection> s) : server(std::move(s)) {}

  static task<> subscribe(std::shared_ptr<post> self, subscription to, hear f);
  static task<> open(std::shared_ptr<post> self, std::string routing_key);
  static task<> announce(std::shared_ptr<post> self, outgoing message);

  std::shared_ptr<amqp::connection> server;
  const std::string name = detail::new_id();
  plait::lock subscribing;
  std::map<std::string, subscription> subscriptions;
  queue<std::string> requests{most_kept};
  queue<std::pair<std::string, std::string>> heard{most_kept};
  std::map<std::string, queue<std::string>> replies;  // by routing key
  std::map<std::string, std::uint64_t> exchanges;     // declared at which epoch
};

amqp_control::amqp_control(std::shared_ptr<amqp::connection> server)
    : post_(std::make_shared<post>(std::move(server))) {}
amqp_control::~amqp_control() = default;

task<> amqp_control::post::subscribe(std::shared_ptr<post> self, subscription to, hear f) {
  const auto turn = co_await self->subscribing.acquire();
  if (self->subscriptions.contains(to.queue)) co_return;
  co_await self->server->ready();
  self->server->consumer(to.queue, std::move(f));
  for (method& each : to.steps())
    static_cast<void>(co_await self->server->call(channel::listening, std::move(each)));
  if (self->subscriptions.empty())
    self->server->on_connect([p = self.get()] {
      for (const auto& [queue, each] : p->subscriptions)
        for (const method& step : each.steps()) p->server->ask(channel::listening, step);
    });
  self->subscriptions.emplace(to.queue, std::move(to));
}

task<> amqp_control::post::open(std::shared_ptr<post> self, std::string routing_key) {
  self->replies.try_emplace(routing_key, most_kept);
  subscription to;
  to.queue = routing_key + "." + answers;
  to.exchange = answers;
  to.routing_key = routing_key;
  to.arguments = dict{{"x-expires", 10'000}, {"x-message-ttl", 300'000}};
  hear f = [p = self.get(), routing_key](incoming m) {
    keep(p->replies.at(routing_key), envelope_of(m));
  };
  co_await subscribe(self, std::move(to), std::move(f));
}

task<> amqp_control::post::announce(std::shared_ptr<post> self, outgoing message) {
  co_await self->server->ready();
  std::uint64_t& declared = self->exchanges[message.exchange];
  if (declared != self->server->epoch()) {
    declared = self->server->epoch();
    self->server->ask(channel::announcing, exchange_declaration(message.exchange));
  }
  self->server->post(channel::announcing, message);
}

task<> amqp_control::broadcast(std::string envelope) {
  const auto self = post_;
  const std::string answer_to = reply_key(envelope);
  if (!answer_to.empty()) co_await post::open(self, answer_to);
  co_await post::announce(self, to_exchange(envelope, mailbox, ""));
}

task<std::string> amqp_control::next_request() {
  const auto self = post_;
  subscription to;
  to.queue = self->name + "." + mailbox;
  to.exchange = mailbox;
  to.arguments = dict{{"x-expires", 10'000}, {"x-message-ttl", 300'000}};
  hear f = [p = self.get()](incoming m) { keep(p->requests, envelope_of(m)); };
  co_await post::subscribe(self, std::move(to), std::move(f));
  co_return co_await self->requests.get();
}

task<> amqp_control::reply(std::string exchange, std::string routing_key, std::string envelope) {
  const auto self = post_;
  co_await post::announce(self, to_exchange(envelope, exchange, routing_key));
}

task<std::string> amqp_control::next_reply(std::string routing_key) {
  const auto self = post_;
  co_await post::open(self, routing_key);
  co_return co_await self->replies.at(routing_key).get();
}

task<> amqp_control::emit(std::string routing_key, std::string envelope) {
  const auto self = post_;
  co_await post::announce(self, to_exchange(envelope, events, routing_key));
}

task<std::pair<std::string, std::string>> amqp_control::next_event() {
  const auto self = post_;
  subscription to;
  to.queue = "celeryev." + self->name;
  to.exchange = events;
  to.routing_key.assign(1, '#');  // all
  to.arguments = dict{{"x-expires", 60'000}, {"x-message-ttl", 5'000}};
  hear f = [p = self.get()](incoming m) {
    std::string key = m.routing_key;
    keep(p->heard, std::pair(std::move(key), envelope_of(m)));
  };
  co_await post::subscribe(self, std::move(to), std::move(f));
  co_return co_await self->heard.get();
}

}  // namespace plait::celery::amqp
