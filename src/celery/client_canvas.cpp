// The client's part in workflows: sending them, and waiting for results that are lists.
#include <algorithm>

#include "celery/client.hpp"
#include "celery/wire/result_meta.hpp"

namespace plait::celery::detail {
namespace {

// What was said of the workflow as a whole, as options of its calls.
void apply(const send_options& o, signature& s) {
  dict each, first;
  const auto seconds = [](duration d) { return std::chrono::duration<double>(d).count(); };
  if (!o.queue.empty()) each.set("queue", o.queue);
  if (o.priority >= 0) each.set("priority", o.priority);
  if (!o.headers.empty()) each.set("headers", o.headers);
  if (o.expires != datetime::instant()) each.set("expires", datetime{.at = o.expires});
  if (o.time_limit > duration::zero()) each.set("time_limit", seconds(o.time_limit));
  if (o.soft_time_limit > duration::zero()) each.set("soft_time_limit", seconds(o.soft_time_limit));
  if (o.countdown > duration::zero()) {
    first.set("countdown", seconds(o.countdown));
  } else if (o.eta != datetime::instant()) {
    first.set("eta", datetime{.at = o.eta});
  }
  set_options(s, each, first);
  for (const auto& callback : o.link) add_link(s, callback);
  for (const auto& errback : o.link_error) add_link_error(s, errback);
  if (!o.task_id.empty()) s.options.set("task_id", o.task_id);
}

}  // namespace

task<value> client::result_there(const result_tree& of) {
  if (!of.is_group) {
    const auto meta = decode_result(std::string_view(co_await wait_for(of.id)));
    if (meta.status != "SUCCESS")
      std::rethrow_exception(to_exception(meta.failure(), meta.traceback.value_or("")));
    co_return meta.result;
  }
  std::vector<task<value>> waits;
  for (const auto& each : of.members) waits.push_back(result_there(each));
  auto results = co_await gather(std::move(waits));
  co_return value(
      list(std::make_move_iterator(results.begin()), std::make_move_iterator(results.end())));
}

task<> client::hear(const result_tree& of, result_sink& to) {
  std::exception_ptr failed;
  try {
    if (!to.unwanted()) to.value(co_await result_there(of));
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed != nullptr) to.failed(std::move(failed));
}

struct client::outgoing_workflow {
  workflow_start start;
  std::vector<result_tree> results;  // of each sink
  bool ignores = false;
  sinks to;
};

client::sent client::send(const task_table& tasks, signature call, send_options options, sinks to,
                          hears h) {
  apply(options, call);
  auto w = std::make_shared<outgoing_workflow>();
  w->ignores = options.ignore_result;
  freeze(call);
  auto tree = result_of(call);
  sent made;
  if (h == hears::whole) {
    made.calls.push_back(tasks_of(call));
    w->results.push_back(tree);
  } else {
    const auto members = call.members();
    if (members.size() != to.size())
      throw std::invalid_argument("groups in a group are one group: send_group() takes none");
    for (const auto& each : members) made.calls.push_back(tasks_of(each));
    w->results = tree.members;
    made.id = tree.id;
    w->start.groups.push_back(tree);
  }
  call_signature({.tasks = tasks, .default_queue = options_.queue, .ignore_result = w->ignores},
                 std::move(call), {}, w->start);
  w->to = std::move(to);
  start();
  {
    const std::lock_guard lock(mutex_);
    ++unsent_;
  }
  add_delivery(loop_->submit(&client::deliver_workflow, this, std::move(w)));
  return made;
}

task<> client::deliver_workflow(std::shared_ptr<outgoing_workflow> w) {
  std::exception_ptr failed;
  try {
    co_await hand_over(std::make_shared<const workflow_start>(std::move(w->start)));
    if (w->ignores) throw no_result("the result is not kept: the call was sent with ignore_result");
  } catch (...) {
    failed = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    if (--unsent_ == 0) sent_.notify_all();
  }
  if (failed != nullptr) {
    for (const auto& each : w->to) each->failed(failed);
    co_return;
  }
  std::vector<task<>> waits;
  for (std::size_t i = 0; i != w->to.size(); ++i) waits.push_back(hear(w->results[i], *w->to[i]));
  co_await gather(std::move(waits));
}

}  // namespace plait::celery::detail
