// src/celery/amqp/rpc_backend.hpp: results as messages to whoever called, Celery's rpc:// backend.
//
// A client has one queue, named by an id of its own, which its calls carry as reply_to; a worker
// publishes each result there, the task's id as correlation id. So a result is for that client alone,
// and only once: nothing is kept for others, there are no groups to restore and no chords.
//
// The queue outlives a lost connection by an hour, and a restart of RabbitMQ: what was sent to it
// meanwhile is read afterwards, and a result is acknowledged, so that one that was on its way to a
// connection that broke comes again. A restart loses the results that lay in the queue: they are not
// written to disk, as Celery's are not.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "celery/amqp/connection.hpp"
#include "celery/result_backend.hpp"

namespace plait::celery::amqp {

// What broker and backend of one transport know together: to whom a task's result goes.
struct reply_book {
  bool is_wanted = false;  // somebody has asked for the backend
  std::string own_queue;   // "" as long as it was not declared
  void note(const std::string& task, const std::string& reply_to);
  std::string find(const std::string& task) const;

 private:
  static constexpr std::size_t most = 100'000;  // beyond which the oldest goes
  std::unordered_map<std::string, std::string> by_task_;
  std::deque<std::string> order_;
};

class rpc_backend final : public detail::result_backend {
 public:
  rpc_backend(std::shared_ptr<amqp::connection> server, std::shared_ptr<reply_book> book);
  ~rpc_backend() override;

  task<bool> store(detail::stored_result result) override;
  task<std::optional<std::string>> get(std::string id) override;
  task<std::string> wait(std::string id) override;
  task<> forget(std::string id) override;
  task<> begin_chord(std::string group, std::size_t size) override;
  task<std::optional<std::vector<std::string>>> end_chord_part(detail::chord_part part) override;

  // Before a call is published whose result is wanted.
  task<> listen();
  // Deletes the queue.
  task<> withdraw();

 private:
  struct desk;
  std::shared_ptr<desk> desk_;
};

}  // namespace plait::celery::amqp
