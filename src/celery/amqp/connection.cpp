#include "celery/amqp/connection.hpp"

#include <algorithm>
#include <utility>

#include "celery/amqp/core.hpp"
#include "plait/coroutines/move_on.hpp"
#include "plait/coroutines/run.hpp"

namespace plait::celery::amqp {

connection::connection(connection_options options)
    : core_(std::make_shared<core>(std::move(options))) {}
connection::~connection() {
  core_->on_connect.clear();
  core_->consumers.clear();
  close();
}
void connection::close() noexcept {
  core_->closed = true;
  core_->up.set();
  // A flow that is stopped before its first step lets go of the core only when nobody holds its future,
  // which the core itself would.
  if (const auto flow = std::exchange(core_->flow, {}); flow.valid()) flow.cancel();
}
bool connection::is_up() const noexcept { return core_->is_up; }
std::uint64_t connection::epoch() const noexcept { return core_->epoch; }
const connection_options& connection::options() const noexcept { return core_->options; }
void connection::on_connect(std::function<void()> f) { core_->on_connect.push_back(std::move(f)); }
void connection::consumer(const std::string& tag, hear f) { core_->consumers[tag] = std::move(f); }
void connection::forget_consumer(const std::string& tag) { core_->consumers.erase(tag); }

task<> connection::ready(duration within) {
  const auto self = core_;
  if (self->is_up) co_return;
  self->start();
  if (within == duration::zero()) within = self->options.patience;
  const time_point until = event_loop::current().now() + within;
  while (!self->is_up && !self->closed) {
    if (self->refused_for_good) throw unavailable(self->last_failure);
    const duration left = until - event_loop::current().now();
    // A refusal is told at once; who is not let in now will not be let in a second later.
    if (left <= duration::zero() || !co_await move_on_after(left, self->up.wait()))
      throw unavailable("no connection to " + to_text(self->options) + " within " +
                        plait::detail::to_text(within) + ": " + self->last_failure);
    if (!self->is_up && !self->closed) self->up.clear();
  }
  if (self->closed) throw unavailable("the connection to RabbitMQ was closed");
}

void connection::post(channel on, const method& m) {
  core_->send(static_cast<std::uint16_t>(on), m);
}

void connection::post(channel on, const outgoing& message) {
  std::string bytes;
  const auto number = static_cast<std::uint16_t>(on);
  append_method(bytes, number,
                {method_id::basic_publish, {message.exchange, message.routing_key, false, false}});
  append_content(bytes, number, message.properties, message.body, core_->frame_bytes);
  core_->send(bytes);
}

std::shared_ptr<answer> connection::core::ask(std::uint16_t on, const method& m,
                                              std::function<void(answer&)> heard) {
  auto waits = std::make_shared<answer>();
  waits->to = m.id;
  waits->heard = std::move(heard);
  send(on, m);
  channels[on].asked.push_back(waits);
  return waits;
}
std::shared_ptr<answer> connection::ask(channel on, const method& m,
                                        std::function<void(answer&)> heard) {
  return core_->ask(static_cast<std::uint16_t>(on), m, std::move(heard));
}

task<> connection::core::wait(std::shared_ptr<core> self, std::shared_ptr<answer> a,
                              std::string what) {
  const bool came = co_await move_on_after(self->options.patience, a->done.wait());
  if (!came)
    throw unavailable("RabbitMQ has not answered " + what + " within " +
                      plait::detail::to_text(self->options.patience));
  if (a->failure != nullptr) std::rethrow_exception(a->failure);
}

task<method> connection::call(channel on, method m) {
  const auto self = core_;
  co_await ready();
  const auto waits = self->ask(static_cast<std::uint16_t>(on), m, {});
  co_await core::wait(self, waits, name_of(m.id));
  co_return *waits->said;
}

std::uint16_t connection::core::new_channel() {
  constexpr std::uint16_t last_apart = 2000;
  if (channels.size() >= last_apart - first_apart)
    throw unavailable("too many questions to RabbitMQ at once");
  do {
    if (++next_apart_ > last_apart) next_apart_ = first_apart;
  } while (channels.contains(next_apart_));
  return next_apart_;
}

void connection::core::end_apart(std::uint16_t id) {
  if (!is_up || !channels.contains(id)) return;
  list why;
  why.push_back(200);
  why.push_back("");
  why.push_back(0);
  why.push_back(0);
  ask(id, {method_id::channel_close, std::move(why)}, {});
}

task<std::vector<method>> connection::apart(std::vector<method> all) {
  const auto self = core_;
  co_await ready();
  struct open_channel {
    core& of;
    std::uint16_t id;
    std::uint64_t epoch;
    ~open_channel() {
      if (of.epoch == epoch) of.end_apart(id);
    }
  } own{*self, self->new_channel(), self->epoch};
  std::vector<std::shared_ptr<answer>> waits;
  self->ask(own.id, {method_id::channel_open, {}}, {});
  for (const method& each : all) waits.push_back(self->ask(own.id, each, {}));
  std::vector<method> answers;
  for (std::size_t i = 0; i < all.size(); ++i) {
    co_await core::wait(self, waits[i], name_of(all[i].id));
    answers.push_back(*waits[i]->said);
  }
  co_return answers;
}

task<> connection::publish(std::vector<outgoing> messages, routing r) {
  if (messages.empty()) co_return;
  const auto self = core_;
  co_await ready();
  const time_point until = event_loop::current().now() + self->options.patience;
  const auto left = [&] {
    return std::max<duration>(until - event_loop::current().now(), std::chrono::milliseconds(1));
  };
  while (self->blocked || self->unsent() > most_unsent) {
    event& opens = self->blocked ? self->unblocked : self->room;
    if (!co_await move_on_after(left(), opens.wait()))
      throw unavailable(self->blocked
                            ? "RabbitMQ takes no messages at the moment: " + self->blocked_because
                            : "RabbitMQ takes messages too slowly");
    if (!self->is_up) throw unavailable(self->last_failure);
  }
  constexpr auto number = static_cast<std::uint16_t>(channel::publishing);
  std::string bytes;
  for (const outgoing& each : messages) {
    append_method(bytes, number,
                  {method_id::basic_publish,
                   {each.exchange, each.routing_key, r == routing::mandatory, false}});
    append_content(bytes, number, each.properties, each.body, self->frame_bytes);
  }
  const auto all = std::make_shared<confirmation>();
  all->left = messages.size();
  for (const outgoing& each : messages)
    self->publishings.emplace(++self->published, unconfirmed{each.routing_key, all});
  self->send(bytes);
  const bool came = co_await move_on_after(left(), all->done.wait());
  if (!came)
    throw unavailable("RabbitMQ has not confirmed " + std::to_string(all->left) + " messages in " +
                      plait::detail::to_text(self->options.patience) +
                      (self->blocked ? ": " + self->blocked_because : std::string()));
  if (all->is_cut)
    throw unavailable("the connection ended before RabbitMQ had confirmed a message: " +
                      self->last_failure);
  if (!all->refusal.empty()) throw refused(312, all->refusal);
  if (!all->unroutable.empty())
    throw unroutable("RabbitMQ has no queue for what was sent to \"" + all->unroutable + '"');
}

}  // namespace plait::celery::amqp
