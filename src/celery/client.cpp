#include "celery/client.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

#include "celery/wall_clock.hpp"
#include "celery/wire/control_message.hpp"
#include "celery/wire/result_meta.hpp"

namespace plait::celery::detail {

std::string new_id() {
  thread_local std::random_device random;
  uuid u;
  for (std::size_t i = 0; i != u.octets.size(); i += 4) {
    const auto word = random();
    for (std::size_t j = 0; j != 4; ++j)
      u.octets[i + j] = static_cast<std::uint8_t>(word >> (8 * j));
  }
  u.octets[6] = static_cast<std::uint8_t>((u.octets[6] & 0x0f) | 0x40);  // version 4
  u.octets[8] = static_cast<std::uint8_t>((u.octets[8] & 0x3f) | 0x80);
  return u.to_string();
}

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string node_name() { return "gen" + std::to_string(::getpid()) + '@' + host_name(); }

datetime datetime_of(std::int64_t milliseconds) {
  return {.at = datetime::instant(std::chrono::milliseconds(milliseconds))};
}

datetime datetime_after(duration delay) {
  const std::chrono::microseconds now(wall_clock_microseconds());
  return {.at = datetime::instant(now + std::chrono::ceil<std::chrono::microseconds>(delay))};
}

std::int64_t milliseconds_of(const datetime& d) {
  return std::chrono::ceil<std::chrono::milliseconds>(d.at.time_since_epoch()).count();
}

parcel parcel_of(const task_message& m, const std::string& queue, int priority) {
  auto e = encode_task(m);
  e.properties.delivery_tag = new_id();
  e.properties.reply_to = "";
  e.properties.priority = priority;
  e.properties.delivery_info = {.exchange = "", .routing_key = queue};
  if (m.expires)
    e.properties.expiration =
        std::to_string(std::max<std::int64_t>(0, milliseconds_of(*m.expires) - wall_clock_now()));
  return {encode_envelope(e), queue, priority, m.eta ? milliseconds_of(*m.eta) : 0};
}

task_message message_of(outgoing_call& call) {
  auto& o = call.options;
  task_message m;
  m.task = std::move(call.task);
  m.id = o.task_id.empty() ? new_id() : o.task_id;
  m.root_id = m.id;
  m.origin = node_name();
  if (o.countdown > duration::zero()) {
    m.eta = datetime_after(o.countdown);
  } else if (o.eta != datetime::instant()) {
    m.eta = datetime{.at = o.eta};
  }
  if (o.expires != datetime::instant()) m.expires = datetime{.at = o.expires};
  if (o.time_limit > duration::zero()) m.limits.hard = float_seconds(o.time_limit);
  if (o.soft_time_limit > duration::zero()) m.limits.soft = float_seconds(o.soft_time_limit);
  if (o.ignore_result) m.ignore_result = true;
  m.headers = std::move(o.headers);
  m.args = std::move(call.args);
  m.kwargs = std::move(call.kwargs);
  m.embed.callbacks = std::move(o.link);
  m.embed.errbacks = std::move(o.link_error);
  return m;
}

namespace {

void deliver_result(const std::string& text, result_sink& sink) {
  const auto meta = decode_result(std::string_view(text));
  if (meta.status == "SUCCESS") {
    sink.value(meta.result);
  } else {
    sink.failed(to_exception(meta.failure(), meta.traceback.value_or("")));
  }
}

call_state state_from(result_meta m) {
  call_state s{.state = std::move(m.status), .traceback = m.traceback.value_or("")};
  const bool is_exception = s.state == "FAILURE" || s.state == "RETRY" || s.state == "REVOKED";
  if (is_exception) {
    const auto what = m.failure();
    s.error = what.qualified_name() + ": " + what.message();
  } else {
    s.result = std::move(m.result);
  }
  return s;
}

}  // namespace

client::client(app_options options) : options_(std::move(options)) {
  if (!options_.outbox.empty()) outbox_ = std::make_unique<outbox>(options_.outbox);
}

client::~client() {
  if (!loop_) return;
  wait_until_sent(std::chrono::seconds(10));
  loop_->submit([this] { return close(); });
  loop_->shutdown();
  thread_.join();
}

bool client::wait_until_sent(duration within) {
  std::unique_lock lock(mutex_);
  return sent_.wait_for(lock, within, [this] { return unsent_ == 0; });
}

void client::start() {
  const std::lock_guard lock(mutex_);
  if (loop_) return;
  loop_.emplace();
  thread_ = std::thread([this] { loop_->run(); });
}

std::string client::send(outgoing_call call, std::unique_ptr<result_sink> sink) {
  const std::string queue = call.options.queue.empty() ? options_.queue : call.options.queue;
  const int priority = std::clamp(call.options.priority, 0, 9);
  const bool ignores = call.options.ignore_result;
  const auto m = message_of(call);
  auto parcel = parcel_of(m, queue, priority);
  start();
  {
    const std::lock_guard lock(mutex_);
    ++unsent_;
  }
  auto delivery = loop_->submit(&client::deliver, this, std::move(parcel), m.id, ignores,
                                std::shared_ptr<result_sink>(std::move(sink)));
  add_delivery(std::move(delivery));
  return m.id;
}

void client::add_delivery(future<> delivery) {
  const std::lock_guard lock(mutex_);
  // What has ended is let go of now and then, which costs each call the same.
  if (deliveries_.size() >= 2 * open_deliveries_ + 64) {
    std::erase_if(deliveries_, [](const future<>& f) { return f.done(); });
    open_deliveries_ = deliveries_.size();
  }
  deliveries_.push_back(std::move(delivery));
}

task<client::stores*> client::opened() {
  const auto turn = co_await opening_.acquire();
  if (!stores_) {
    stores fresh;
    fresh.broker = co_await open_transport(options_.broker);
    if (!options_.backend.empty() && options_.backend != options_.broker &&
        !options_.backend.starts_with("rpc://"))
      fresh.backend = co_await open_transport(options_.backend);
    static_cast<void>(fresh.results());  // asked for before the first call: rpc:// has to listen
    stores_.emplace(std::move(fresh));
  }
  co_return &*stores_;
}

task<> client::publish(parcel p) {
  const struct counted {
    client& by;
    ~counted() {
      const std::lock_guard lock(by.mutex_);
      if (--by.unsent_ == 0) by.sent_.notify_all();
    }
  } at_the_end{*this};
  if (outbox_ == nullptr) {
    auto* there = co_await opened();
    std::vector<parcel> one;
    one.push_back(std::move(p));
    co_await there->broker->broker().publish(std::move(one));
  } else {
    auto start = std::make_shared<workflow_start>();
    start->parcels.push_back(std::move(p));
    co_await hand_over(std::move(start));
  }
}

// Fails only if it is cancelled: where results cannot be had the message is sent all the same.
task<> client::hear_of(std::string id, heard& of) {
  try {
    of.text = co_await wait_for(std::move(id));
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    of.failure = std::current_exception();
  }
}

// Who listens while the message travels hears of the result at once. A result is there only of what was
// sent: then it is of no interest that the broker was lost before it had confirmed the message.
task<std::string> client::publish_and_hear(parcel p, const std::string& id) {
  heard h;
  std::exception_ptr unsent;
  try {
    co_await gather(publish(std::move(p)), hear_of(id, h));
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    unsent = std::current_exception();
  }
  if (h.text) co_return std::move(*h.text);
  std::rethrow_exception(unsent != nullptr ? std::move(unsent) : std::move(h.failure));
}

task<> client::deliver(parcel p, std::string id, bool ignores, std::shared_ptr<result_sink> sink) {
  std::exception_ptr failed;
  try {
    if (ignores || outbox_ != nullptr || sink->unwanted()) {
      co_await publish(std::move(p));
      if (ignores) throw no_result("the result is not kept: the call was sent with ignore_result");
      if (!sink->unwanted()) deliver_result(co_await wait_for(id), *sink);
    } else {
      deliver_result(co_await publish_and_hear(std::move(p), id), *sink);
    }
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed != nullptr) sink->failed(std::move(failed));
}

future<> client::wait_for_result(std::string id, std::unique_ptr<result_sink> sink) {
  start();
  auto waiting = loop_->submit(&client::hear_result, this, std::move(id),
                               std::shared_ptr<result_sink>(std::move(sink)));
  add_delivery(waiting);
  return waiting;
}

task<> client::hear_result(std::string id, std::shared_ptr<result_sink> sink) {
  std::exception_ptr failed;
  try {
    deliver_result(co_await wait_for(std::move(id)), *sink);
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed != nullptr) sink->failed(std::move(failed));
}

future<call_state> client::state_of(std::string id) {
  start();
  const auto to = std::make_shared<promise<call_state>>();
  add_delivery(loop_->submit(&client::look, this, std::move(id), to));
  return to->get_future();
}

task<> client::look(std::string id, std::shared_ptr<promise<call_state>> to) {
  std::exception_ptr failed;
  try {
    auto* there = co_await opened();
    const auto text = co_await there->results().get(std::move(id));
    to->set_value(text ? state_from(decode_result(std::string_view(*text))) : call_state());
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed != nullptr) to->set_exception(std::move(failed));
}

void client::revoke(std::vector<std::string> ids) {
  start();
  auto revocation = loop_->submit(&client::revoke_there, this, std::move(ids));
  const std::lock_guard lock(mutex_);
  std::erase_if(revocations_, [](const future<>& f) { return f.done(); });
  revocations_.push_back(std::move(revocation));
}

task<> client::revoke_there(std::vector<std::string> ids) {
  auto* there = co_await opened();
  list named;
  for (const auto& id : ids) {
    const auto known = co_await there->results().get(id);
    const std::string now = known ? decode_result(std::string_view(*known)).status : "RETRY";
    if (now == "SUCCESS" || now == "FAILURE" || now == "REVOKED") continue;
    named.push_back(id);
    if (now != "RETRY") continue;  // it has begun, and its worker says how it ends
    result_meta meta;
    meta.task_id = id;
    meta.status = "REVOKED";
    meta.result = task_revoked("revoked").to_value();
    meta.date_done = datetime_of(wall_clock_now());
    stored_result revoked;
    revoked.id = id;
    revoked.state = "REVOKED";
    revoked.meta = encode_result(meta);
    revoked.expires = options_.result_expires;
    co_await there->results().store(std::move(revoked));
  }
  if (named.empty()) co_return;
  control_request request;
  request.method = "revoke";
  request.arguments.set("task_id", named.size() == 1 ? std::move(named.front()) : value(named));
  request.arguments.set("terminate", false);
  co_await there->broker->control().broadcast(encode_envelope(encode_request(request)));
}

task<> client::close() {
  std::vector<future<>> open, revocations;
  {
    const std::lock_guard lock(mutex_);
    open.swap(deliveries_);
    revocations.swap(revocations_);
  }
  // Who still waits for a result is told so by the end of its sink.
  for (const auto& delivery : open) delivery.cancel();
  for (const auto& delivery : open) {
    try {
      co_await delivery;
    } catch (const cancelled_error&) {
    }
  }
  for (const auto& revocation : revocations) {
    try {
      co_await revocation;
    } catch (const error&) {  // best effort: the call may run
    }
  }
  if (flushing_.valid()) {
    flushing_.cancel();
    try {
      co_await flushing_;
    } catch (const cancelled_error&) {
    }
  }
  if (outbox_ != nullptr) co_await outbox_->close();
  if (!stores_) co_return;
  co_await stores_->broker->close();
  if (stores_->backend != nullptr) co_await stores_->backend->close();
  stores_.reset();
}

}  // namespace plait::celery::detail
