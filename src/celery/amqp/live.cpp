#include <algorithm>
#include <utility>

#include "celery/amqp/core.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/net/tcp_stream.hpp"
#include "plait/net/tls_stream.hpp"

namespace plait::celery::amqp {
namespace {

bool is_answer(method_id id) {
  switch (id) {
    case method_id::channel_open_ok:
    case method_id::channel_close_ok:
    case method_id::exchange_declare_ok:
    case method_id::queue_declare_ok:
    case method_id::queue_bind_ok:
    case method_id::queue_delete_ok:
    case method_id::basic_qos_ok:
    case method_id::basic_consume_ok:
    case method_id::basic_cancel_ok:
    case method_id::basic_get_ok:
    case method_id::basic_get_empty:
    case method_id::confirm_select_ok:
      return true;
    default:
      return false;
  }
}

// The specification numbers an answer one above its question; a get has two.
bool answers(method_id said, method_id asked) {
  return static_cast<std::uint32_t>(said) == static_cast<std::uint32_t>(asked) + 1 ||
         (said == method_id::basic_get_empty && asked == method_id::basic_get);
}

}  // namespace

void connection::core::start() {
  if (flow.valid() || closed) return;
  loop_ = &event_loop::current();
  flow = spawn(live(shared_from_this()), {.name = "RabbitMQ"});
}

task<> connection::core::live(std::shared_ptr<core> self) {
  for (int attempt = 0;; ++attempt) {
    bool for_good = false;
    try {
      co_await timeout(self->options.connect_timeout, self->connect());
      attempt = 0;
      co_await self->serve();
    } catch (const cancelled_error&) {
      self->settle_cut("the connection to RabbitMQ was closed");
      throw;
    } catch (const timeout_error&) {
      self->last_failure = "connecting to " + to_text(self->options) + " took longer than " +
                           plait::detail::to_text(self->options.connect_timeout);
    } catch (const refused& e) {
      self->last_failure = e.what();
      for_good = e.code() == 403 || e.code() == 530;
    } catch (const net::truncated_stream& e) {  // the broker went in the middle of the greeting
      self->last_failure = e.what();
    } catch (const net::tls_error& e) {
      // The next attempt would meet the same certificate, or no TLS: whoever waits is told now.
      self->last_failure = "no secure connection to " + to_text(self->options) + ": " + e.what();
      if (self->last_failure.find("tls_client_options::ca") != std::string::npos)
        self->last_failure += ", which is ?ssl_ca_certs=FILE in the URL";
      for_good = true;
    } catch (const exception_group& e) {
      self->last_failure = e.what();
      for (const auto& each : e.exceptions()) {
        try {
          std::rethrow_exception(each);
        } catch (const cancelled_error&) {
        } catch (const std::exception& first) {
          self->last_failure = first.what();
          break;
        }
      }
    } catch (const std::exception& e) {
      self->last_failure = e.what();
    }
    self->settle_cut(self->last_failure);
    // An attempt that failed in the moment of the stop has swallowed it.
    if (self->closed) co_return;
    if (for_good) {
      self->refused_for_good = true;
      self->up.set();
    }
    co_await sleep(self->pause_before(attempt));
    self->refused_for_good = false;
    if (!self->closed) self->up.clear();
  }
}

duration connection::core::pause_before(int attempt) {
  duration whole = options.first_retry;
  for (int i = 0; i < attempt && whole < options.longest_retry; ++i) whole *= 2;
  whole = std::min(whole, options.longest_retry);
  std::uniform_real_distribution<double> between(0.5, 1.0);
  return duration(
      static_cast<duration::rep>(static_cast<double>(whole.count()) * between(chance_)));
}

task<frame> connection::core::next_frame() {
  buffer_.resize(buffer_bytes);
  for (;;) {
    std::string_view left = std::string_view(in_).substr(at_);
    auto f = reader_.next(left);
    at_ = in_.size() - left.size();
    if (f) co_return std::move(*f);
    in_.clear();
    at_ = 0;
    const std::size_t came = co_await stream_.read_some(buffer_);
    if (came == 0) throw error("RabbitMQ closed the connection");
    in_.assign(buffer_, 0, came);
  }
}

// Of the greeting, where nothing else may come.
task<method> connection::core::next_method() {
  for (;;) {
    const frame f = co_await next_frame();
    if (f.type == frame_type::heartbeat) continue;
    if (f.type != frame_type::method || f.channel != 0)
      throw protocol_error("RabbitMQ sent a content in the greeting");
    method m = decode_method(f.payload);
    if (m.id == method_id::connection_close)
      throw refused(static_cast<int>(m.number(0)), m.text(1));
    co_return m;
  }
}

task<> connection::core::connect() {
  net::connect_options how;
  how.socket.user_timeout = 2 * options.heartbeat;
  net::tcp_stream plain = co_await net::tcp_stream::connect(options.host, options.port, how);
  if (options.tls) {
    net::any_stream below(std::move(plain));
    stream_ = co_await net::tls_stream::client(std::move(below), options.host, *options.tls);
  } else {
    stream_ = std::move(plain);
  }
  reader_ = frame_reader();
  in_.clear();
  at_ = 0;
  out_.clear();
  const auto expect = [](const method& m, method_id id) {
    if (m.id != id)
      throw protocol_error(std::string("RabbitMQ sent ") + name_of(m.id) + " for " + name_of(id));
  };
  co_await stream_.write_all(protocol_header);
  const method start = co_await next_method();
  expect(start, method_id::connection_start);
  if ((" " + start.text(3) + " ").find(" PLAIN ") == std::string::npos)
    throw refused(403, "it does not take passwords (PLAIN), only " + start.text(3));
  const dict able{{"consumer_cancel_notify", true},
                  {"connection.blocked", true},
                  {"publisher_confirms", true},
                  {"basic.nack", true},
                  {"authentication_failure_close", true}};
  list mine;
  mine.push_back(dict{{"product", "plait"}, {"capabilities", able}});
  mine.push_back("PLAIN");
  mine.push_back('\0' + options.user + '\0' + options.password);
  mine.push_back("en_US");
  std::string bytes;
  append_method(bytes, 0, {method_id::connection_start_ok, std::move(mine)});
  co_await stream_.write_all(bytes);
  const method tune = co_await next_method();
  expect(tune, method_id::connection_tune);
  const auto offered = static_cast<std::size_t>(tune.number(1));
  frame_bytes = offered == 0 ? 131072 : std::min<std::size_t>(offered, 131072);
  if (frame_bytes < 4096) throw protocol_error("RabbitMQ wants frames of under 4096 bytes");
  heartbeat_ = options.heartbeat;
  list tuned;
  tuned.push_back(tune.number(0) == 0 ? 2047 : std::min<std::int64_t>(tune.number(0), 2047));
  tuned.push_back(frame_bytes);
  tuned.push_back(heartbeat_.count());
  bytes.clear();
  append_method(bytes, 0, {method_id::connection_tune_ok, std::move(tuned)});
  list where;
  where.push_back(options.virtual_host);
  append_method(bytes, 0, {method_id::connection_open, std::move(where)});
  co_await stream_.write_all(bytes);
  const method opened = co_await next_method();
  expect(opened, method_id::connection_open_ok);
}

task<> connection::core::serve() {
  heard_ = sent_ = loop_->now();
  ++epoch;
  published = 0;
  blocked = false;
  for (const channel each : {channel::consuming, channel::publishing, channel::dead_letters,
                             channel::announcing, channel::listening})
    ask(static_cast<std::uint16_t>(each), {method_id::channel_open, {}}, {});
  list with_answer;
  with_answer.push_back(false);
  ask(static_cast<std::uint16_t>(channel::publishing),
      {method_id::confirm_select, std::move(with_answer)}, {});
  is_up = true;
  up.set();
  for (const auto& each : on_connect) each();
  auto flows = [this](task_group& group) -> task<> {
    group.start(read());
    group.start(write());
    group.start(watch());
    co_return;
  };
  co_await with_task_group(flows);
}

task<> connection::core::read() {
  for (int frames = 1;; ++frames) {
    frame f = co_await next_frame();
    heard_ = loop_->now();
    deliver(std::move(f));
    if (frames % 256 == 0) co_await sleep(duration::zero());  // others have their turn
  }
}

task<> connection::core::write() {
  std::string now;
  for (;;) {
    co_await work_.wait();
    work_.clear();
    while (!out_.empty()) {
      now.clear();
      std::swap(now, out_);
      co_await stream_.write_all(now);
      sent_ = loop_->now();
      room.set();
      room.clear();
    }
    if (now.capacity() > 4 * buffer_bytes) now = {};
  }
}

task<> connection::core::watch() {
  if (heartbeat_.count() == 0) co_return;
  int silent_looks = 0;  // no time: what came while this process stood still is read after the 1st
  for (time_point last = heard_;;) {
    co_await sleep(heartbeat_ / 2);
    silent_looks = std::exchange(last, heard_) == heard_ ? silent_looks + 1 : 0;
    if (silent_looks >= 4) throw error("RabbitMQ has not been heard of for two heartbeats");
    if (loop_->now() - sent_ < heartbeat_ / 2) continue;
    std::string bytes;
    append_frame(bytes, frame_type::heartbeat, 0, {});
    send(bytes);
  }
}

void connection::core::deliver(frame f) {
  if (f.type == frame_type::heartbeat) return;
  if (f.type == frame_type::method) {
    deliver_method(f.channel, decode_method(f.payload));
    return;
  }
  const auto found = channels.find(f.channel);
  if (found == channels.end()) return;  // a channel that has just been closed
  channel_state& in = found->second;
  if (!in.about) throw protocol_error("RabbitMQ sent a content without its method");
  if (f.type == frame_type::header) {
    if (in.header) throw protocol_error("RabbitMQ sent two headers for one content");
    in.header = decode_content_header(f.payload);
    if (in.header->body_bytes > options.message_bytes)
      throw protocol_error("a message of " + std::to_string(in.header->body_bytes) + " bytes");
    in.body.clear();
  } else {
    if (!in.header) throw protocol_error("RabbitMQ sent a body without its header");
    in.body += f.payload;
  }
  if (in.body.size() > in.header->body_bytes)
    throw protocol_error("RabbitMQ sent a body that is longer than its header says");
  if (in.body.size() == in.header->body_bytes) deliver_content(f.channel, in);
}

void connection::core::answered(channel_state& in, method m, std::optional<incoming> message) {
  const auto at = std::find_if(in.asked.begin(), in.asked.end(),
                               [&](const auto& each) { return answers(m.id, each->to); });
  if (at == in.asked.end())
    throw protocol_error(std::string("RabbitMQ sent ") + name_of(m.id) + ", and nobody had asked");
  const auto who = std::move(*at);
  in.asked.erase(at);
  who->said = std::move(m);
  who->message = std::move(message);
  who->done.set();
  if (who->heard) who->heard(*who);
}

void connection::core::fail(channel_state& in, const std::exception_ptr& why) {
  for (const auto& each : std::exchange(in.asked, {})) {
    each->failure = why;
    each->done.set();
    if (each->heard) each->heard(*each);
  }
}

void connection::core::deliver_method(std::uint16_t on, method m) {
  switch (m.id) {
    case method_id::connection_close: {
      send(0, {method_id::connection_close_ok, {}});
      throw refused(static_cast<int>(m.number(0)), m.text(1));
    }
    case method_id::connection_blocked:
      blocked = true;
      blocked_because = m.text(0);
      unblocked.clear();
      return;
    case method_id::connection_unblocked:
      blocked = false;
      unblocked.set();
      return;
    default:
      break;
  }
  const auto found = channels.find(on);
  if (found == channels.end()) return;
  channel_state& in = found->second;
  if (in.about) throw protocol_error("RabbitMQ sent a method in the middle of a content");
  switch (m.id) {
    case method_id::channel_close: {
      const refused why(static_cast<int>(m.number(0)), m.text(1));
      if (on < first_apart) throw why;
      send(on, {method_id::channel_close_ok, {}});
      channel_state gone = std::move(in);
      channels.erase(found);
      fail(gone, std::make_exception_ptr(why));
      return;
    }
    case method_id::channel_close_ok: {
      channel_state gone = std::move(in);
      channels.erase(found);
      if (!gone.asked.empty()) answered(gone, std::move(m), {});
      return;
    }
    case method_id::channel_flow:
      send(on, {method_id::channel_flow_ok, std::move(m.arguments)});
      return;
    case method_id::basic_deliver:
    case method_id::basic_get_ok:
    case method_id::basic_return:
      in.about = std::move(m);
      return;
    case method_id::basic_ack:
      return confirm(static_cast<std::uint64_t>(m.number(0)), m.flag(1), true);
    case method_id::basic_nack:
      return confirm(static_cast<std::uint64_t>(m.number(0)), m.flag(1), false);
    case method_id::basic_cancel:
      throw error("RabbitMQ ended a consumer: its queue was deleted");
    default:
      if (!is_answer(m.id)) throw protocol_error(std::string("RabbitMQ sent ") + name_of(m.id));
      answered(in, std::move(m), {});
  }
}

void connection::core::deliver_content(std::uint16_t on, channel_state& in) {
  method m = *std::exchange(in.about, {});
  incoming whole;
  whole.properties = std::move(in.header->properties);
  whole.body = std::exchange(in.body, {});
  in.header.reset();
  if (m.id == method_id::basic_return) {
    for (auto& [number, each] : publishings)
      if (each.routing_key == m.text(3)) each.of->unroutable = m.text(3);
    return;
  }
  const std::size_t at = m.id == method_id::basic_deliver ? 1 : 0;
  whole.delivery_tag = static_cast<std::uint64_t>(m.number(at));
  whole.redelivered = m.flag(at + 1);
  whole.exchange = m.text(at + 2);
  whole.routing_key = m.text(at + 3);
  if (m.id == method_id::basic_get_ok) return answered(in, std::move(m), std::move(whole));
  if (const auto to = consumers.find(m.text(0)); to != consumers.end()) {
    const hear tell = to->second;  // it may end itself
    tell(std::move(whole));
  } else if (on == static_cast<std::uint16_t>(channel::consuming)) {
    list back;
    back.push_back(static_cast<std::int64_t>(whole.delivery_tag));
    back.push_back(false);
    back.push_back(true);
    send(on, {method_id::basic_nack, std::move(back)});
  }
}

void connection::core::confirm(std::uint64_t tag, bool multiple, bool taken) {
  auto from = multiple ? publishings.begin() : publishings.find(tag);
  while (from != publishings.end() && from->first <= tag) {
    const auto of = std::move(from->second.of);
    from = publishings.erase(from);
    if (!taken) of->refusal = "a message could not be stored";
    if (--of->left == 0) of->done.set();
    if (!multiple) break;
  }
}

void connection::core::settle_cut(const std::string& why) {
  is_up = false;
  if (!closed) up.clear();
  stream_.close();
  out_.clear();
  blocked = false;
  unblocked.set();
  unblocked.clear();
  room.set();
  room.clear();
  const auto lost = std::make_exception_ptr(unavailable(why));
  for (auto& [number, each] : std::exchange(channels, {})) fail(each, lost);
  for (auto& [number, each] : std::exchange(publishings, {})) {
    each.of->is_cut = true;
    each.of->done.set();
  }
}

}  // namespace plait::celery::amqp
