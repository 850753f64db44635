#include "celery/redis/redis_control.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "celery/redis/translated.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/coroutines/queue.hpp"

namespace plait::celery::redis {
namespace {

constexpr std::size_t most_kept = 10'000;  // requests, or events, that nobody has taken
constexpr std::string_view reply_exchange = "reply.celery.pidbox";

// The oldest gives way.
template <class T>
void keep(queue<T>& in, T item) {
  if (in.full()) in.get_nowait();
  in.put_nowait(std::move(item));
}

// Under what name a request wants to be answered; "" if it does not.
std::string reply_key(const std::string& request) {
  try {
    const auto decoded = detail::decode_request(detail::decode_envelope(request));
    return decoded.reply_to ? decoded.reply_to->routing_key : "";
  } catch (const celery::error&) {
    return "";  // who sends nonsense gets no answer
  }
}

}  // namespace

struct redis_control::post {
  post(connection_options to, redis::keys k, duration p)
      : keys(std::move(k)),
        patience(p),
        channels(keys("/" + std::to_string(to.database) + ".")),
        server(to),
        listener(to),
        answers(std::move(to)) {
    listener.on_push([this](const value& push) { hear(push); });
  }
  std::string mailbox() const { return channels + "celery.pidbox"; }
  std::string events() const { return channels + "celeryev/"; }
  void hear(const value& push) {
    const auto& items = push.items;
    if (items.size() == 3 && items[0].text == "message" && items[1].text == mailbox())
      keep(requests, items[2].text);
    if (items.size() == 4 && items[0].text == "pmessage" && items[2].text.starts_with(events()))
      keep(heard, {items[2].text.substr(events().size()), items[3].text});
  }
  call_options how(if_cut cut) const { return {.timeout = patience, .if_cut = cut}; }
  static std::string list_of(const std::string& routing_key) {
    return routing_key + "." + std::string(reply_exchange);
  }
  // Lets answers for `routing_key` come.
  static task<> open(std::shared_ptr<post> self, std::string routing_key) {
    if (!self->declared.insert(routing_key).second) co_return;
    command bind("SADD", self->keys.binding(reply_exchange),
                 bound(routing_key, list_of(routing_key)));
    co_await translated(self->server.call(std::move(bind), self->how(if_cut::resend)));
  }

  redis::keys keys;
  duration patience;
  std::string channels;                         // what their names begin with
  redis::connection server, listener, answers;  // answers: waits in BRPOP
  queue<std::string> requests{most_kept};
  queue<std::pair<std::string, std::string>> heard{most_kept};
  std::set<std::string> declared;  // routing keys of ours
  bool takes_requests = false, takes_events = false;
};

redis_control::redis_control(connection_options server, redis::keys keys, duration patience)
    : post_(std::make_shared<post>(std::move(server), std::move(keys), patience)) {}
redis_control::~redis_control() { close(); }

void redis_control::close() noexcept {
  post_->server.close();
  post_->listener.close();
  post_->answers.close();
}

// An answer may come before its list is waited for, so that is opened first.
task<> redis_control::broadcast(std::string envelope) {
  const std::shared_ptr<post> self = post_;
  const std::string answer_to = reply_key(envelope);
  if (!answer_to.empty()) co_await post::open(self, answer_to);
  co_await translated(
      self->server.call(command("PUBLISH", self->mailbox(), envelope), self->how(if_cut::fail)));
}

task<std::string> redis_control::next_request() {
  const std::shared_ptr<post> self = post_;
  if (!self->takes_requests) {
    co_await translated(self->listener.subscribe(self->mailbox()));
    self->takes_requests = true;
  }
  co_return co_await self->requests.get();
}

task<> redis_control::reply(std::string exchange, std::string routing_key, std::string envelope) {
  const std::shared_ptr<post> self = post_;
  const value bindings = co_await translated(self->server.call(
      command("SMEMBERS", self->keys.binding(exchange)), self->how(if_cut::resend)));
  const std::string wanted = routing_key + std::string(separator);
  for (const value& each : bindings.items) {
    if (!each.text.starts_with(wanted)) continue;
    const std::string queue = each.text.substr(each.text.rfind(separator) + separator.size());
    co_await translated(
        self->server.call(command("LPUSH", self->keys(queue), envelope), self->how(if_cut::fail)));
  }
}

task<std::string> redis_control::next_reply(std::string routing_key) {
  const std::shared_ptr<post> self = post_;
  const std::string list = post::list_of(routing_key);
  co_await post::open(self, routing_key);
  for (;;) {
    // Short, so that the connection is seen to live, and a stop that comes late costs nobody long.
    command take("BRPOP", self->keys(list), 1);
    const value taken =
        co_await translated(self->answers.call(std::move(take), self->how(if_cut::resend)));
    if (taken.items.size() == 2) co_return taken.items[1].text;
  }
}

task<> redis_control::emit(std::string routing_key, std::string envelope) {
  const std::shared_ptr<post> self = post_;
  command event("PUBLISH", self->events() + routing_key, envelope);
  co_await translated(self->server.call(std::move(event), self->how(if_cut::fail)));
}

task<std::pair<std::string, std::string>> redis_control::next_event() {
  const std::shared_ptr<post> self = post_;
  if (!self->takes_events) {
    co_await translated(self->listener.subscribe(self->events() + "*", channel_kind::pattern));
    self->takes_events = true;
  }
  co_return co_await self->heard.get();
}

task<> redis_control::withdraw() {
  const std::shared_ptr<post> self = post_;
  for (const std::string& key : std::exchange(self->declared, {})) {
    const std::string list = post::list_of(key);
    std::vector<command> commands;
    commands.push_back(command("SREM", self->keys.binding(reply_exchange), bound(key, list)));
    commands.push_back(command("DEL", self->keys(list)));
    const call_options briefly{.timeout = std::chrono::seconds(1)};
    co_await translated(self->server.pipeline(std::move(commands), briefly));
  }
}

}  // namespace plait::celery::redis
