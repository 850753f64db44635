// src/celery/amqp/core.hpp: what a connection to RabbitMQ is made of.
//
// One flow lives as long as the connection (live()); while there is a broker it runs three: read() hands
// out what comes, write() writes what stands in out_, watch() listens for silence. The first of them that
// fails ends the others, whoever waits is told, and live() connects again.
//
// Rules:
//   1. Each channel answers questions of one kind in the order in which they were asked: `asked` is that
//      line. Another kind may overtake: RabbitMQ answers a get before the cancel that was sent first.
//   2. A channel with a fixed purpose that the broker closes is the end of the connection.
//   3. Publishings are numbered from 1 on each connection; a cut ends all that are not confirmed.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <unordered_map>
#include <utility>

#include "celery/amqp/connection.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/net/byte_stream.hpp"

namespace plait::celery::amqp {

inline constexpr std::size_t buffer_bytes = 64 * 1024;
inline constexpr std::uint16_t first_apart = 16;
inline constexpr std::size_t most_unsent = std::size_t{64} << 20;

// What waits for a group of publishings.
struct confirmation {
  std::size_t left = 0;
  std::string unroutable, refusal;
  bool is_cut = false;
  event done;
};
struct unconfirmed {
  std::string routing_key;
  std::shared_ptr<confirmation> of;
};

struct channel_state {
  std::deque<std::shared_ptr<answer>> asked;
  // A content that is coming in.
  std::optional<method> about;
  std::optional<content_header> header;
  std::string body;
};

struct connection::core : std::enable_shared_from_this<connection::core> {
  explicit core(connection_options o) : options(std::move(o)) {}

  static task<> live(std::shared_ptr<core> self);
  void start();
  task<> connect();
  task<frame> next_frame();
  task<method> next_method();
  task<> serve();
  task<> read();
  task<> write();
  task<> watch();
  void deliver(frame f);
  void deliver_method(std::uint16_t on, method m);
  void deliver_content(std::uint16_t on, channel_state& in);
  void confirm(std::uint64_t tag, bool multiple, bool taken);
  void answered(channel_state& in, method m, std::optional<incoming> message);
  void fail(channel_state& in, const std::exception_ptr& why);
  void settle_cut(const std::string& why);
  duration pause_before(int attempt);
  std::shared_ptr<answer> ask(std::uint16_t on, const method& m,
                              std::function<void(answer&)> heard);
  static task<> wait(std::shared_ptr<core> self, std::shared_ptr<answer> a, std::string what);
  void send(std::string_view bytes) {
    out_ += bytes;
    work_.set();
  }
  void send(std::uint16_t on, const method& m) {
    append_method(out_, on, m);
    work_.set();
  }
  void end_apart(std::uint16_t id);

  connection_options options;
  std::uint64_t epoch = 0;
  bool is_up = false, closed = false, refused_for_good = false;
  event up, unblocked;
  bool blocked = false;
  std::string blocked_because;
  std::vector<std::function<void()>> on_connect;
  std::unordered_map<std::string, hear> consumers;
  std::map<std::uint64_t, unconfirmed> publishings;
  std::uint64_t published = 0;
  std::string last_failure = "not connected yet";
  future<void> flow;
  std::size_t frame_bytes = 131072;
  event room;
  std::size_t unsent() const { return out_.size(); }
  std::uint16_t new_channel();
  std::map<std::uint16_t, channel_state> channels;

 private:
  event_loop* loop_ = nullptr;
  net::any_stream stream_;
  frame_reader reader_;
  std::string in_, buffer_;
  std::size_t at_ = 0;  // in in_, of what is not read yet
  std::string out_;
  event work_;
  time_point heard_{}, sent_{};
  std::chrono::seconds heartbeat_{};
  std::uint16_t next_apart_ = first_apart;
  std::minstd_rand chance_{std::random_device()()};
};

}  // namespace plait::celery::amqp
