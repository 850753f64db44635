#include "celery/amqp/rpc_backend.hpp"

#include <utility>

#include "celery/client.hpp"
#include "celery/wire/result_meta.hpp"
#include "plait/coroutines/lock.hpp"

namespace plait::celery::amqp {
namespace {

bool is_final(const std::string& state) {
  return state == "SUCCESS" || state == "FAILURE" || state == "REVOKED";
}

dict queue_arguments() { return dict{{"x-expires", 3'600'000}}; }

method declaration(const std::string& name) {
  list a;
  a.push_back(name);
  for (const bool flag : {false, true, false, false, false}) a.push_back(flag);  // durable
  a.push_back(queue_arguments());
  return {method_id::queue_declare, std::move(a)};
}

method consumption(const std::string& name) {
  list a;
  a.push_back(name);
  a.push_back(name);  // the consumer's tag
  for (const bool flag : {false, false, false, false}) a.push_back(flag);
  a.push_back(dict());
  return {method_id::basic_consume, std::move(a)};
}

}  // namespace

void reply_book::note(const std::string& task, const std::string& reply_to) {
  if (task.empty() || reply_to.empty()) return;
  if (!by_task_.insert_or_assign(task, reply_to).second) return;
  order_.push_back(task);
  if (order_.size() <= most) return;
  by_task_.erase(order_.front());
  order_.pop_front();
}

std::string reply_book::find(const std::string& task) const {
  const auto found = by_task_.find(task);
  return found == by_task_.end() ? std::string() : found->second;
}

struct rpc_backend::desk {
  struct kept {
    std::string state, meta;
  };
  static constexpr std::size_t most_kept = 10'000;  // results nobody has asked for

  std::shared_ptr<amqp::connection> server;
  std::shared_ptr<reply_book> book;
  std::unordered_map<std::string, kept> results;
  std::deque<std::string> order;
  std::unordered_map<std::string, std::weak_ptr<event>> waiting;
  plait::lock listening;
  bool listens = false;

  bool put(const std::string& id, const std::string& state, std::string meta) {
    const auto [at, is_new] = results.try_emplace(id);
    if (at->second.state == "SUCCESS") return false;
    at->second = {state, std::move(meta)};
    if (is_new) order.push_back(id);
    if (order.size() > most_kept) {
      results.erase(order.front());
      order.pop_front();
    }
    if (!is_final(state)) return true;
    if (const auto found = waiting.find(id); found != waiting.end())
      if (const auto who = found->second.lock()) who->set();
    return true;
  }
  void hear(incoming m) {
    try {
      const auto meta = detail::decode_result(std::string_view(m.body));
      put(m.properties.correlation_id.value_or(meta.task_id), meta.status, std::move(m.body));
    } catch (const celery::error&) {
      // Who sends nonsense under our queue's name answers nobody.
    }
    list a;
    a.push_back(static_cast<std::int64_t>(m.delivery_tag));
    a.push_back(false);
    server->post(channel::listening, {method_id::basic_ack, std::move(a)});
  }
};

rpc_backend::rpc_backend(std::shared_ptr<amqp::connection> server, std::shared_ptr<reply_book> book)
    : desk_(std::make_shared<desk>()) {
  desk_->server = std::move(server);
  desk_->book = std::move(book);
}
rpc_backend::~rpc_backend() = default;

task<> rpc_backend::listen() {
  const auto self = desk_;
  const auto turn = co_await self->listening.acquire();
  if (self->listens) co_return;
  const std::string name = detail::new_id();
  co_await self->server->ready();
  self->server->consumer(name, [d = self.get()](incoming m) { d->hear(std::move(m)); });
  co_await self->server->call(channel::listening, declaration(name));
  co_await self->server->call(channel::listening, consumption(name));
  self->book->own_queue = name;
  self->listens = true;
  self->server->on_connect([d = self.get(), name] {
    d->server->ask(channel::listening, declaration(name));
    d->server->ask(channel::listening, consumption(name));
  });
}

task<> rpc_backend::withdraw() {
  const auto self = desk_;
  if (!self->listens || !self->server->is_up()) co_return;
  self->listens = false;
  list consumer;  // first: to delete its queue would end it for a fault
  consumer.push_back(self->book->own_queue);
  consumer.push_back(false);
  method cancel(method_id::basic_cancel, std::move(consumer));
  static_cast<void>(co_await self->server->call(channel::listening, std::move(cancel)));
  list a;
  a.push_back(self->book->own_queue);
  for (const bool flag : {false, false, false}) a.push_back(flag);
  self->server->forget_consumer(self->book->own_queue);
  std::vector<method> one;
  one.emplace_back(method_id::queue_delete, std::move(a));
  co_await self->server->apart(std::move(one));
}

task<bool> rpc_backend::store(detail::stored_result result) {
  const auto self = desk_;
  const std::string to = self->book->find(result.id);
  // Of a call that did not come from here: whoever waits is here, if anybody is.
  if (to.empty() || to == self->book->own_queue)
    co_return self->put(result.id, result.state, std::move(result.meta));
  properties p;
  p.content_type = "application/json";
  p.content_encoding = "utf-8";
  p.headers = dict();
  p.delivery_mode = 1;
  p.correlation_id = result.id;
  std::vector<outgoing> one;
  one.emplace_back("", to, std::move(p), std::move(result.meta));
  // Who asked may be gone: then nobody wants it.
  co_await self->server->publish(std::move(one), routing::optional);
  co_return true;
}

task<std::optional<std::string>> rpc_backend::get(std::string id) {
  const auto found = desk_->results.find(id);
  if (found == desk_->results.end()) co_return std::nullopt;
  co_return found->second.meta;
}

task<std::string> rpc_backend::wait(std::string id) {
  const auto self = desk_;
  for (;;) {
    if (const auto found = self->results.find(id);
        found != self->results.end() && is_final(found->second.state))
      co_return found->second.meta;
    auto& known = self->waiting[id];
    auto arrived = known.lock();
    if (arrived == nullptr) known = arrived = std::make_shared<event>();
    struct leaves {
      desk& of;
      const std::string& id;
      std::shared_ptr<event>& mine;
      ~leaves() {
        if (mine.use_count() == 1) of.waiting.erase(id);
      }
    } at_the_end{*self, id, arrived};
    co_await arrived->wait();
  }
}

task<> rpc_backend::forget(std::string id) {
  desk_->results.erase(id);
  co_return;
}

task<> rpc_backend::begin_chord(std::string, std::size_t) {
  throw transport_error(
      "a chord needs a result backend that several can read, such as redis:// or sqlite:; rpc:// "
      "sends results to whoever called");
  co_return;
}

task<std::optional<std::vector<std::string>>> rpc_backend::end_chord_part(detail::chord_part) {
  throw transport_error("rpc:// cannot count the parts of a chord");
  co_return std::nullopt;
}

}  // namespace plait::celery::amqp
