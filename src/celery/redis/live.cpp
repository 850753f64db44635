// A connection's flow: connecting, greeting, serving, and again.
#include <algorithm>
#include <utility>

#include "celery/redis/core.hpp"
#include "plait/core/exception_group.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/net/tcp_stream.hpp"
#include "plait/net/tls_stream.hpp"
#include "plait/net/unix_stream.hpp"

namespace plait::celery::redis {
namespace {

constexpr std::size_t buffer_bytes = 16384;

// The first of what a group threw, which is what ended the others.
std::string first_reason(const std::exception& failure) {
  const auto* group = dynamic_cast<const exception_group*>(&failure);
  if (group == nullptr) return failure.what();
  try {
    std::rethrow_exception(group->exceptions().front());
  } catch (const std::exception& first) {
    return first_reason(first);
  } catch (...) {
    return failure.what();
  }
}

bool is_refusal(const server_error& e) {
  return e.code() == "WRONGPASS" || e.code() == "NOAUTH" || e.code() == "NOPERM";
}

// "run_id" of "...\r\nrun_id:0123\r\n...".
std::string field(const std::string& info, const std::string& name) {
  const std::size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 2;
  return info.substr(begin, info.find_first_of("\r\n", begin) - begin);
}

}  // namespace

void connection::core::start() {
  if (closed) throw unavailable("the connection to Redis was closed");
  if (loop_ != nullptr) return;
  loop_ = &event_loop::current();
  flow = spawn(live(shared_from_this()), {.name = "connection to Redis"});
}

task<> connection::core::live(std::shared_ptr<core> self) {
  // However this flow ends, nobody is left waiting.
  struct last_word {
    core& of;
    ~last_word() {
      of.closed = true;
      of.stream_.close();
      of.end();
    }
  } guard{*self};
  for (int attempt = 0;; ++attempt) {
    bool refused = false;
    try {
      co_await timeout(self->options.connect_timeout, self->connect());
      attempt = 0;
      co_await self->serve();
    } catch (const cancelled_error&) {
      throw;
    } catch (const timeout_error&) {
      self->last_failure_ = "connecting to " + to_text(self->options) + " took longer than " +
                            plait::detail::to_text(self->options.connect_timeout);
    } catch (const server_error& e) {
      self->last_failure_ = e.what();
      refused = is_refusal(e);
    } catch (const std::exception& e) {
      self->last_failure_ = first_reason(e);
    }
    self->up_.clear();
    self->stream_.close();
    self->settle_cut(self->last_failure_);
    // An attempt that failed in the moment of the stop has swallowed it.
    if (self->closed) co_return;
    // To wait would not help: who is not let in now will not be let in a second later.
    if (refused) self->fail_waiting(self->last_failure_);
    for (const auto& [name, each] : self->subscriptions_) {
      each->refusal.clear();
      each->heard.clear();
    }
    co_await sleep(self->pause_before(attempt));
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

task<> connection::core::connect() {
  if (!options.socket.empty()) {
    stream_ = co_await net::unix_stream::connect(options.socket);
  } else {
    // Two unanswered questions are the end of a connection; so are as long a time of bytes that the
    // other end does not acknowledge.
    net::connect_options how;
    how.socket.user_timeout = 2 * options.ping_every;
    net::tcp_stream plain = co_await net::tcp_stream::connect(options.host, options.port, how);
    if (options.tls) {
      net::any_stream below(std::move(plain));
      stream_ = co_await net::tls_stream::client(std::move(below), options.host, *options.tls);
    } else {
      stream_ = std::move(plain);
    }
  }
  reader_ = reader(options.replies);
  co_await greet();
}

// What every connection begins with, in two round trips.
task<> connection::core::greet() {
  facts.protocol = 2;
  if (options.protocol == resp_version::newest) {
    const bool newest = co_await greet_newest();
    if (newest) facts.protocol = 3;
  }
  std::vector<command> first;
  std::size_t select = 0, tracking = 0, info = 0;
  if (facts.protocol == 2 && !options.password.empty()) {
    command auth("AUTH");
    if (!options.user.empty()) auth.add(options.user);
    first.push_back(std::move(auth.add(options.password)));
  }
  const std::size_t auths = first.size();
  first.push_back(command("CLIENT", "SETNAME", options.client_name));
  select = first.size();
  first.push_back(command("SELECT", options.database));
  if (facts.protocol == 3 && options.tracking == tracking::on) {
    tracking = first.size();
    first.push_back(command("CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"));
  }
  info = first.size();
  first.push_back(command("INFO", "server"));
  // Who loads its data still greets, and refuses the rest: as good as not there yet.
  first.push_back(command("PING"));
  auto answers = co_await ask(std::move(first));
  if (auths != 0 && answers[0].is_error()) throw server_error(answers[0].text, "AUTH");
  const bool default_database = options.database == 0;  // which a proxy may not let us select
  if (answers[select].is_error() &&
      !(default_database && !answers[select].text.starts_with("NOAUTH") &&
        !answers[select].text.starts_with("LOADING")))
    throw server_error(answers[select].text, "SELECT");
  const std::string& ready = answers.back().text;
  if (answers.back().is_error() &&
      (ready.starts_with("LOADING") || ready.starts_with("MASTERDOWN")))
    throw error("Redis is not ready: " + ready);
  facts.tracks = tracking != 0 && !answers[tracking].is_error();
  if (answers[info].is_text()) note_server(answers[info].text);
  ++facts.connections;
}

// False where the server does not know RESP3.
task<bool> connection::core::greet_newest() {
  command hello("HELLO", 3);
  if (!options.password.empty())
    hello.add("AUTH").add(options.user.empty() ? "default" : options.user).add(options.password);
  std::vector<command> alone;
  alone.push_back(std::move(hello));
  auto answers = co_await ask(std::move(alone));
  if (!answers[0].is_error()) co_return true;
  const server_error refused(answers[0].text, "HELLO");
  if (refused.code() != "NOPROTO" && refused.code() != "ERR") throw refused;
  co_return false;
}

// Before the connection is open to others: sends, and reads what comes.
task<std::vector<value>> connection::core::ask(std::vector<command> commands) {
  std::string bytes;
  for (const command& each : commands) append(bytes, each);
  co_await stream_.write_all(bytes);
  std::vector<value> answers;
  std::string buffer(buffer_bytes, '\0');
  while (answers.size() < commands.size()) {
    const std::size_t came = co_await stream_.read_some(buffer);
    if (came == 0) throw error("Redis closed the connection during the greeting");
    std::string_view left = std::string_view(buffer).substr(0, came);
    while (auto v = reader_.next(left))
      if (v->kind != kind::push) answers.push_back(std::move(*v));
  }
  if (answers.size() > commands.size()) throw protocol_error("Redis answered what was not asked");
  co_return answers;
}

void connection::core::note_server(const std::string& info) {
  facts.version = field(info, "redis_version");
  std::string id = field(info, "run_id");
  if (!facts.run_id.empty() && id != facts.run_id) ++facts.server_changes;
  facts.run_id = std::move(id);
}

task<> connection::core::serve() {
  for (const auto& [to, each] : subscriptions_) post(to_channel("SUBSCRIBE", to));
  heard_ = loop_->now();
  up_.set();
  work_.set();
  if (on_connect) on_connect();
  auto flows = [this](task_group& group) -> task<> {
    group.start(read());
    group.start(write());
    group.start(watch());
    co_return;
  };
  co_await with_task_group(flows);
}

task<> connection::core::read() {
  std::string buffer(buffer_bytes, '\0');
  for (int reads = 1;; ++reads) {
    const std::size_t came = co_await stream_.read_some(buffer);
    if (came == 0) throw error("Redis closed the connection");
    heard_ = loop_->now();
    std::string_view left = std::string_view(buffer).substr(0, came);
    while (auto v = reader_.next(left)) deliver(std::move(*v));
    if (reads % 64 == 0)
      co_await sleep(duration::zero());  // a flood of messages is no reason to starve
  }
}

task<> connection::core::write() {
  std::string out;
  for (;;) {
    co_await work_.wait();
    work_.clear();
    for (;;) {
      out.clear();
      gather(out);
      if (out.empty()) break;
      co_await stream_.write_all(out);
    }
    if (out.capacity() > 4 * buffer_bytes) out = {};
  }
}

task<> connection::core::watch() {
  for (int missed = 0;;) {
    const time_point before = heard_;
    co_await sleep(options.ping_every);
    if (heard_ != before) {
      missed = 0;
      continue;
    }
    if (missed == 2) throw error("Redis has not answered two PINGs");
    ++missed;
    pending ping{.bytes = {}, .name = "PING", .answers = 1};
    append(ping.bytes, command("PING"));
    post(std::move(ping));
  }
}

}  // namespace plait::celery::redis
