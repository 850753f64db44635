// src/celery/redis/core.hpp: what a connection to Redis is made of.
//
// Commands stand in two lines: `waiting_` to be written, `sent_` to be answered. One flow lives as long
// as the connection (live()); while there is a server it runs three: read() answers the first of
// sent_, write() moves what waits into one buffer and writes it, watch() asks a silent server whether
// it is there. The first of them that fails ends the others, and live() connects again.
//
// Rules:
//   1. A command leaves waiting_ when its bytes go into the buffer: from then on it may have happened.
//   2. Its place in sent_ stays until its last answer has come, whether anybody waits for it or not.
//   3. A cut empties sent_: into waiting_ who may be sent twice, else unknown_outcome.
#pragma once

#include <list>
#include <map>
#include <random>
#include <utility>

#include "celery/redis/connection.hpp"
#include "plait/coroutines/context.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/net/byte_stream.hpp"

namespace plait::celery::redis {

class answer;

struct subscription {
  int wanted = 0;
  std::string refusal = {};
  event heard;  // confirmed or refused
};
using channel = std::pair<channel_kind, std::string>;

struct pending {
  std::string bytes;    // gone once they are sent, unless they may be sent again
  std::string name;     // of the first command
  std::size_t answers;  // how many are to come
  redis::if_cut if_cut = redis::if_cut::fail;
  bool is_wanted = true;
  bool is_sent = false;
  answer* who = nullptr;  // null for nobody
  // What a (UN)SUBSCRIBE is about. Its answer is a push, or an error in its place in line.
  std::shared_ptr<subscription> about = {};
};
using pending_line = std::list<pending>;

// The wait for a command's answers.
class answer final : public plait::detail::waiter, private plait::detail::timer {
 public:
  answer(pending& p, event_loop& loop, duration timeout)
      : pending_(&p), loop_(loop), timeout_(timeout) {}
  ~answer() { leave(); }

  bool await_ready() const noexcept { return false; }
  template <plait::detail::flow_promise P>
  bool await_suspend(std::coroutine_handle<P> frame) noexcept {
    if (!suspend(frame)) return false;
    pending_->who = this;
    arm(loop_, plait::detail::add_saturated(loop_.now(), timeout_));
    return true;
  }
  // Throws what was failed() or a timeout.
  std::vector<value> await_resume();
  std::string waits_for() const override { return "Redis's answer to " + pending_name(); }

  // By the connection: one more answer; all have come; none will.
  std::vector<value>& answers() noexcept { return answers_; }
  void complete() noexcept;
  void fail(std::exception_ptr why) noexcept;

 private:
  std::string pending_name() const { return pending_ != nullptr ? pending_->name : "a command"; }
  void stop() noexcept override;
  void expired() noexcept override;
  void leave() noexcept;

  pending* pending_;
  event_loop& loop_;
  duration timeout_;
  std::vector<value> answers_;
  std::exception_ptr failure_;
  std::string late_;  // the command that took too long
  bool was_sent_ = false;
};

struct connection::core : std::enable_shared_from_this<connection::core> {
  explicit core(connection_options o) : options(std::move(o)) {}

  static task<std::vector<value>> exchange(std::shared_ptr<core> self, std::string bytes,
                                           std::string name, std::size_t answers, call_options o);
  static task<value> call(std::shared_ptr<core> self, command c, call_options o);
  static task<value> run(std::shared_ptr<core> self, script s, command arguments, call_options o);
  static task<std::vector<value>> run_each(std::shared_ptr<core> self, script s,
                                           std::vector<command> arguments, call_options o);
  // Its digest, by which the server runs it.
  static task<std::string> load(std::shared_ptr<core> self, script s);
  static task<> subscribe(std::shared_ptr<core> self, redis::channel to);
  static task<> await_ready(std::shared_ptr<core> self);
  void unsubscribe(const redis::channel& from);

  // The flow, and what it does with one server.
  void start();
  static task<> live(std::shared_ptr<core> self);
  task<> connect();
  task<> greet();
  task<bool> greet_newest();
  task<std::vector<value>> ask(std::vector<command> commands);
  task<> serve();
  task<> read();
  task<> write();
  task<> watch();

  void gather(std::string& out);
  void deliver(value v);
  bool is_push(const value& v) const noexcept;
  pending to_channel(const char* verb, const redis::channel& to) const;
  void post(pending p);
  void settle_cut(const std::string& why);
  void fail_waiting(const std::string& why);
  void end() noexcept;
  void note_server(const std::string& info);
  void count_unsent(std::ptrdiff_t bytes) noexcept;
  duration pause_before(int attempt);

  connection_options options;
  connection_facts facts;
  std::function<void(const value&)> on_push;
  std::function<void()> on_connect;
  bool closed = false;
  future<void> flow;

 private:
  event_loop* loop_ = nullptr;
  net::any_stream stream_;
  reader reader_;
  pending_line waiting_, sent_;
  std::size_t unsent_ = 0;
  event work_, room_, up_;
  time_point heard_{};
  std::map<redis::channel, std::shared_ptr<subscription>> subscriptions_;
  std::map<const char*, std::string> loaded_;  // scripts' texts and their digests
  std::string last_failure_ = "not connected yet";
  std::minstd_rand chance_{std::random_device()()};
};

}  // namespace plait::celery::redis
