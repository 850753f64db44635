// celery/client.hpp: what an application's calls share: one loop on a thread of its own, and the
// transports on it.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "celery/canvas.hpp"
#include "celery/outbox.hpp"
#include "celery/transport.hpp"
#include "celery/wire/task_message.hpp"
#include "plait/celery/call_state.hpp"
#include "plait/celery/registered_task.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {

// The envelope of a call, ready to be published.
parcel parcel_of(const task_message& m, const std::string& queue, int priority);
// Takes the call apart: what a first sending of it is.
task_message message_of(outgoing_call& call);
std::string new_id();
std::string host_name();
std::string node_name();  // of this process: gen<pid>@<host>
datetime datetime_of(std::int64_t milliseconds);
// So much later than now, never a microsecond less.
datetime datetime_after(duration delay);
// Rounded up: nothing begins before its eta.
std::int64_t milliseconds_of(const datetime& d);

class client {
 public:
  explicit client(app_options options);
  ~client();
  std::string send(outgoing_call call, std::unique_ptr<result_sink> sink);
  // A workflow, and for each sink which calls its cancellation revokes.
  struct sent {
    std::string id;  // of a group
    std::vector<std::vector<std::string>> calls;
  };
  sent send(const task_table& tasks, signature call, send_options options, sinks to, hears h);
  void revoke(std::vector<std::string> ids);
  // Of a call that somebody else may have sent. What is returned can be cancelled.
  future<> wait_for_result(std::string id, std::unique_ptr<result_sink> sink);
  future<call_state> state_of(std::string id);
  // False if something is still on its way when the time is up.
  bool wait_until_sent(duration within);

 private:
  struct stores {
    std::unique_ptr<transport> broker, backend;  // backend: null if the broker's is used
    result_backend& results() {
      return backend != nullptr ? backend->backend() : broker->backend();
    }
  };
  void start();
  task<stores*> opened();
  task<> deliver(parcel p, std::string id, bool ignores, std::shared_ptr<result_sink> sink);
  task<> revoke_there(std::vector<std::string> ids);
  task<> hear_result(std::string id, std::shared_ptr<result_sink> sink);
  task<> look(std::string id, std::shared_ptr<promise<call_state>> to);
  struct outgoing_workflow;
  // To the broker; with an outbox, what it does not take in time is kept.
  task<> hand_over(std::shared_ptr<const workflow_start> w);
  task<> begin(std::shared_ptr<const workflow_start> w);
  task<> flush();
  task<std::string> wait_for(std::string id);
  struct heard {
    std::optional<std::string> text;
    std::exception_ptr failure;
  };
  task<> hear_of(std::string id, heard& of);
  task<> publish(parcel p);
  task<std::string> publish_and_hear(parcel p, const std::string& id);
  task<value> result_there(const result_tree& of);
  task<> hear(const result_tree& of, result_sink& to);
  task<> deliver_workflow(std::shared_ptr<outgoing_workflow> w);
  void add_delivery(future<> delivery);
  task<> close();

  const app_options options_;
  std::mutex mutex_;
  std::condition_variable sent_;
  std::size_t unsent_ = 0;
  std::vector<future<>> deliveries_, revocations_;
  std::size_t open_deliveries_ = 0;
  std::optional<event_loop> loop_;
  std::thread thread_;
  // On the loop:
  plait::lock opening_;
  std::optional<stores> stores_;
  std::unique_ptr<outbox> outbox_;
  bool broker_is_down_ = false;
  future<> flushing_;
};

}  // namespace plait::celery::detail
