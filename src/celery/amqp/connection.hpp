// src/celery/amqp/connection.hpp: a connection to RabbitMQ that comes back.
//
// Connects when ready() is first called, and again, after a growing pause, whenever it ends; epoch()
// counts. Channels live as long as the connection and have one purpose each; what the broker may
// refuse without harm to others is asked on a channel of its own (apart()). Whatever is ready in one
// turn of the loop leaves in one write.
//
// Threads:  belongs to one loop, and must be gone before it.
// Stops:    a stopped call may have been carried out; its answer is dropped.
// Throws:   refused, unroutable, unavailable, each after a bounded wait.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "celery/amqp/codec.hpp"
#include "celery/amqp/connection_options.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::celery::amqp {

enum class channel : std::uint16_t {
  consuming = 1,     // basic.get, basic.consume with acknowledgements
  publishing = 2,    // with confirms
  dead_letters = 3,  // what is looked at and given back
  announcing = 4,    // without confirms
  listening = 5,     // consumers without acknowledgements
};

// A message that has come.
struct incoming {
  std::uint64_t delivery_tag = 0;
  bool redelivered = false;
  std::string exchange = {}, routing_key = {};
  amqp::properties properties = {};
  std::string body = {};
};

struct outgoing {
  outgoing() = default;
  outgoing(std::string to_exchange, std::string key, amqp::properties p, std::string b)
      : exchange(std::move(to_exchange)),
        routing_key(std::move(key)),
        properties(std::move(p)),
        body(std::move(b)) {}
  std::string exchange = {}, routing_key = {};
  amqp::properties properties = {};
  std::string body = {};
};
// mandatory: to reach no queue is an error.
enum class routing { mandatory, optional };

// What comes to a synchronous method.
struct answer {
  method_id to = {};  // what was asked
  event done;
  std::optional<method> said;
  std::optional<incoming> message;  // of basic.get
  std::exception_ptr failure;
  std::function<void(answer&)> heard;  // called when it is done; must not wait
};
using hear = std::function<void(incoming)>;

class connection {
 public:
  explicit connection(connection_options options);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  // Zero: within the options' patience.
  task<> ready(duration within = duration::zero());
  bool is_up() const noexcept;
  std::uint64_t epoch() const noexcept;  // of this connection, or of the last one
  const connection_options& options() const noexcept;
  void close() noexcept;
  // Called on the loop for every new connection; may post, must not wait.
  void on_connect(std::function<void()> f);

  // While it is up. Nothing is sent before the next turn of the loop.
  void post(channel on, const method& m);
  void post(channel on, const outgoing& message);
  // Answers come in the order of the questions of their kind.
  std::shared_ptr<answer> ask(channel on, const method& m, std::function<void(answer&)> heard = {});
  task<method> call(channel on, method m);
  // All of them on a channel of its own; the answers in order, the first refusal is thrown.
  task<std::vector<method>> apart(std::vector<method> all);
  // Until the broker has taken all of them. They leave together.
  task<> publish(std::vector<outgoing> messages, routing r);
  // What is delivered under a consumer tag. Without one it is given back.
  void consumer(const std::string& tag, hear f);
  void forget_consumer(const std::string& tag);

 private:
  struct core;
  std::shared_ptr<core> core_;
};

}  // namespace plait::celery::amqp
