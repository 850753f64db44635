#include "celery/redis/connection.hpp"

#include <algorithm>
#include <utility>

#include "celery/redis/core.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/timeout.hpp"

namespace plait::celery::redis {
namespace {

std::exception_ptr as_pointer(auto error) { return std::make_exception_ptr(std::move(error)); }

// A server that was started anew, or whose scripts were flushed: it has not run anything.
bool is_unknown_script(const value& v) { return v.is_error() && v.text.starts_with("NOSCRIPT"); }

}  // namespace

connection::connection(connection_options options)
    : core_(std::make_shared<core>(std::move(options))) {}

connection::~connection() {
  if (core_ == nullptr) return;
  // What they point to may go before the flow has seen the end.
  core_->on_push = nullptr;
  core_->on_connect = nullptr;
  close();
}

void connection::close() noexcept {
  core_->closed = true;
  core_->end();
  // A flow that is stopped before its first step lets go of the core only when nobody holds its
  // future, which the core itself would.
  if (const auto flow = std::exchange(core_->flow, {}); flow.valid()) flow.cancel();
}

task<value> connection::call(command c, call_options options) {
  return core::call(core_, std::move(c), options);
}

task<std::vector<value>> connection::pipeline(std::vector<command> commands, call_options options) {
  std::string bytes;
  for (const command& each : commands) append(bytes, each);
  return core::exchange(core_, std::move(bytes), commands.empty() ? "" : commands.front().name(),
                        commands.size(), options);
}

task<value> connection::run(const script& s, command arguments, call_options options) {
  return core::run(core_, s, std::move(arguments), options);
}

task<std::vector<value>> connection::run_each(const script& s, std::vector<command> arguments,
                                              call_options options) {
  return core::run_each(core_, s, std::move(arguments), options);
}

task<> connection::subscribe(std::string name, channel_kind kind) {
  return core::subscribe(core_, {kind, std::move(name)});
}

void connection::unsubscribe(const std::string& name, channel_kind kind) noexcept {
  core_->unsubscribe({kind, name});
}

void connection::on_push(std::function<void(const value&)> hear) {
  core_->on_push = std::move(hear);
}
void connection::on_connect(std::function<void()> hear) { core_->on_connect = std::move(hear); }
const connection_facts& connection::facts() const noexcept { return core_->facts; }
const connection_options& connection::options() const noexcept { return core_->options; }

task<> connection::ready(duration within) {
  const std::shared_ptr<core> held = core_;
  std::string late;
  try {
    co_await timeout(within, core::await_ready(held));
  } catch (const timeout_error&) {
    late =
        "no connection to " + to_text(held->options) + " within " + plait::detail::to_text(within);
  }
  if (!late.empty()) throw unavailable(late);
}

task<> connection::core::await_ready(std::shared_ptr<core> self) {
  self->start();
  co_await self->up_.wait();
  if (self->closed) throw unavailable("the connection to Redis was closed");
}

task<value> connection::core::call(std::shared_ptr<core> self, command c, call_options o) {
  std::string bytes;
  append(bytes, c);
  std::string name = c.name();
  auto answers = co_await exchange(self, std::move(bytes), name, 1, o);
  if (answers.front().is_error()) throw server_error(answers.front().text, name);
  co_return std::move(answers.front());
}

task<std::vector<value>> connection::core::exchange(std::shared_ptr<core> self, std::string bytes,
                                                    std::string name, std::size_t answers,
                                                    call_options o) {
  if (answers == 0) co_return std::vector<value>();
  self->start();
  const duration within = o.timeout > duration::zero() ? o.timeout : self->options.command_timeout;
  if (self->unsent_ > self->options.unsent_bytes) co_await timeout(within, self->room_.wait());
  if (self->closed) throw unavailable("the connection to Redis was closed");
  self->post(
      {.bytes = std::move(bytes), .name = std::move(name), .answers = answers, .if_cut = o.if_cut});
  answer all(self->waiting_.back(), *self->loop_, within);
  co_return co_await all;
}

task<std::string> connection::core::load(std::shared_ptr<core> self, script s) {
  const auto known = self->loaded_.find(s.text);
  if (known != self->loaded_.end()) co_return known->second;
  const value digest = co_await call(self, command("SCRIPT", "LOAD", s.text), harmless_twice);
  co_return self->loaded_[s.text] = digest.as_text();
}

task<value> connection::core::run(std::shared_ptr<core> self, script s, command arguments,
                                  call_options o) {
  for (int attempt = 0;; ++attempt) {
    command request("EVALSHA", co_await load(self, s));
    request.add(arguments);
    std::string bytes;
    append(bytes, request);
    auto answers = co_await exchange(self, std::move(bytes), std::string("script ") + s.name, 1, o);
    value& result = answers.front();
    if (!result.is_error()) co_return std::move(result);
    if (!is_unknown_script(result) || attempt == 2) throw server_error(result.text, s.name);
    self->loaded_.erase(s.text);
  }
}

task<std::vector<value>> connection::core::run_each(std::shared_ptr<core> self, script s,
                                                    std::vector<command> arguments,
                                                    call_options o) {
  const std::string digest = co_await load(self, s);
  std::string bytes;
  for (const command& each : arguments) {
    command request("EVALSHA", digest);
    append(bytes, request.add(each));
  }
  auto answers = co_await exchange(self, std::move(bytes), std::string("script ") + s.name,
                                   arguments.size(), o);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (is_unknown_script(answers[i])) {
      self->loaded_.erase(s.text);
      answers[i] = co_await run(self, s, std::move(arguments[i]), o);
    } else if (answers[i].is_error()) {
      throw server_error(answers[i].text, s.name);
    }
  }
  co_return answers;
}

task<> connection::core::subscribe(std::shared_ptr<core> self, redis::channel to) {
  self->start();
  auto& place = self->subscriptions_[to];
  if (place == nullptr) {
    place = std::make_shared<subscription>();
    if (self->up_.is_set()) self->post(self->to_channel("SUBSCRIBE", to));  // else at the greeting
  }
  const std::shared_ptr<subscription> mine = place;
  ++mine->wanted;
  // Who gives up takes its wish back.
  struct wish {
    core& at;
    const redis::channel& to;
    bool is_kept = false;
    ~wish() {
      if (!is_kept) at.unsubscribe(to);
    }
  } held{*self, to};
  co_await timeout(self->options.command_timeout, mine->heard.wait());
  if (self->closed) throw unavailable("the connection to Redis was closed");
  if (!mine->refusal.empty()) throw server_error(mine->refusal, "SUBSCRIBE");
  held.is_kept = true;
}

void connection::core::unsubscribe(const redis::channel& from) {
  const auto found = subscriptions_.find(from);
  if (found == subscriptions_.end() || --found->second->wanted > 0) return;
  const bool was_refused = !found->second->refusal.empty();
  if (up_.is_set() && !was_refused) post(to_channel("UNSUBSCRIBE", from));
  subscriptions_.erase(found);
}

pending connection::core::to_channel(const char* verb, const redis::channel& to) const {
  const command c((to.first == channel_kind::exact ? "" : "P") + std::string(verb), to.second);
  pending p{.bytes = {}, .name = c.name(), .answers = 1, .about = subscriptions_.at(to)};
  append(p.bytes, c);
  return p;
}

void connection::core::post(pending p) {
  count_unsent(static_cast<std::ptrdiff_t>(p.bytes.size()));
  waiting_.push_back(std::move(p));
  work_.set();
}

// What no longer waits, or never did, is not sent.
void connection::core::gather(std::string& out) {
  constexpr std::size_t one_write = 256 * 1024;
  while (!waiting_.empty() && out.size() < one_write) {
    pending& first = waiting_.front();
    count_unsent(-static_cast<std::ptrdiff_t>(first.bytes.size()));
    if (!first.is_wanted) {
      waiting_.pop_front();
      continue;
    }
    out += first.bytes;
    if (first.if_cut == if_cut::fail) first.bytes = {};
    first.is_sent = true;
    sent_.splice(sent_.end(), waiting_, waiting_.begin());
  }
}

void connection::core::deliver(value v) {
  if (is_push(v)) {
    const bool confirms = !v.items.empty() && v.items.front().text.ends_with("subscribe");
    if (!confirms) {
      if (on_push && !v.items.empty()) on_push(v);
      return;
    }
    if (sent_.empty() || sent_.front().about == nullptr) return;  // of the server's own accord
  }
  if (sent_.empty()) throw protocol_error("Redis answered what was not asked");
  pending& first = sent_.front();
  // After a failover a connection may lead to what is no primary any more: look for the one that is.
  const bool demoted =
      v.is_error() && (v.text.starts_with("READONLY") || v.text.starts_with("LOADING") ||
                       v.text.starts_with("MASTERDOWN"));
  if (first.about != nullptr) {
    if (v.is_error()) first.about->refusal = v.text;
    first.about->heard.set();
    if (on_push && v.items.size() > 1) on_push(v);
  }
  if (first.who != nullptr) first.who->answers().push_back(std::move(v));
  if (--first.answers == 0) {
    if (first.who != nullptr) first.who->complete();
    sent_.pop_front();
  }
  if (demoted) throw error("this Redis is a replica that takes no writes, or loads its data");
}

bool connection::core::is_push(const value& v) const noexcept {
  if (v.kind == kind::push) return true;
  // RESP2 has no push: what comes for subscriptions looks like an answer.
  if (facts.protocol != 2 || v.kind != kind::array || v.items.empty()) return false;
  const std::string& what = v.items.front().text;
  if (what != "message" && what != "pmessage") return false;
  // Of a channel that was just left, one may be on its way.
  const auto is_about = [](const pending& each) { return each.about != nullptr; };
  return !subscriptions_.empty() || std::any_of(sent_.begin(), sent_.end(), is_about);
}

void connection::core::settle_cut(const std::string& why) {
  pending_line again;
  while (!sent_.empty()) {
    pending& first = sent_.front();
    if (first.who != nullptr && first.if_cut == if_cut::resend) {
      const std::size_t came = first.who->answers().size();
      first.who->answers().clear();
      first.answers += came;
      first.is_sent = false;
      count_unsent(static_cast<std::ptrdiff_t>(first.bytes.size()));
      again.splice(again.end(), sent_, sent_.begin());
      continue;
    }
    if (first.who != nullptr)
      first.who->fail(as_pointer(unknown_outcome(
          first.name + " was sent and not answered: it may have been carried out (" + why + ")")));
    sent_.pop_front();
  }
  // What nobody waits for was for the connection that has ended.
  waiting_.remove_if([&](const pending& each) {
    if (each.who == nullptr) count_unsent(-static_cast<std::ptrdiff_t>(each.bytes.size()));
    return each.who == nullptr;
  });
  waiting_.splice(waiting_.begin(), again);
}

void connection::core::fail_waiting(const std::string& why) {
  while (!waiting_.empty()) {
    pending& first = waiting_.front();
    count_unsent(-static_cast<std::ptrdiff_t>(first.bytes.size()));
    if (first.who != nullptr)
      first.who->fail(as_pointer(unavailable(first.name + " was not sent: " + why)));
    waiting_.pop_front();
  }
}

void connection::core::end() noexcept {
  settle_cut("the connection was closed");
  fail_waiting("the connection to Redis was closed");
  for (const auto& [name, each] : subscriptions_) each->heard.set();
  up_.set();
  room_.set();
}

void connection::core::count_unsent(std::ptrdiff_t bytes) noexcept {
  unsent_ += static_cast<std::size_t>(bytes);
  if (unsent_ <= options.unsent_bytes) {
    room_.set();
  } else {
    room_.clear();
  }
}

}  // namespace plait::celery::redis
