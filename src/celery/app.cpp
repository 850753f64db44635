#include "plait/celery/app.hpp"
#include "celery/application.hpp"
#include "celery/rate_limits.hpp"

#include <stdexcept>

namespace plait::celery {
namespace {

void check_scheme(const std::string& url, const char* what) {
  const auto scheme = url.substr(0, url.find(':'));
  for (const char* known : {"sqlite", "redis", "rediss", "amqp", "amqps", "memory"})
    if (scheme == known && url.size() > scheme.size()) return;
  throw std::invalid_argument(std::string("the ") + what +
                              " of an application is sqlite:FILE, redis://HOST:PORT/DB, rediss://, "
                              "amqp://HOST:PORT/ or amqps://");
}

}  // namespace

app::app(app_options options) : core_(std::make_unique<core>(std::move(options))) {
  check_scheme(core_->options.broker, "broker");
  const std::string& backend = core_->options.backend;
  if (backend.starts_with("rpc://")) {
    if (!core_->options.broker.starts_with("amqp"))
      throw std::invalid_argument("results come by rpc:// only from a broker at amqp://");
  } else if (!backend.empty()) {
    check_scheme(backend, "backend");
  }
  if (!core_->options.outbox.empty() && !core_->options.outbox.starts_with("sqlite:"))
    throw std::invalid_argument("the outbox of an application is sqlite:FILE");
}

app::~app() = default;

const app_options& app::options() const noexcept { return core_->options; }

std::vector<std::string> app::task_names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : core_->tasks) names.push_back(name);
  return names;
}

void app::add(std::unique_ptr<detail::task_entry> entry) {
  const std::string name = entry->name();
  detail::time_between(entry->options().rate_limit);  // throws what is wrong with it
  if (!core_->tasks.try_emplace(name, std::move(entry)).second)
    throw std::invalid_argument("a task of the name \"" + name + "\" is registered already");
}

namespace {

std::function<void()> revoker(const std::shared_ptr<detail::client>& from,
                              std::vector<std::string> ids) {
  return [to = std::weak_ptr(from), called = std::move(ids)] {
    if (const auto client = to.lock()) client->revoke(called);
  };
}

}  // namespace

std::function<void()> detail::send(app& from, outgoing_call call,
                                   std::unique_ptr<result_sink> sink) {
  const auto& client = from.core_->client;
  std::vector<std::string> id;
  id.push_back(client->send(std::move(call), std::move(sink)));
  return revoker(client, std::move(id));
}

std::function<void()> detail::wait_for(app& from, std::string id,
                                       std::unique_ptr<result_sink> sink) {
  const auto& client = from.core_->client;
  auto waiting = client->wait_for_result(std::move(id), std::move(sink));
  return [w = std::move(waiting)] { w.cancel(); };
}

future<call_state> app::state_of(std::string id) { return core_->client->state_of(std::move(id)); }

void app::revoke(std::string id) {
  std::vector<std::string> one;
  one.push_back(std::move(id));
  core_->client->revoke(std::move(one));
}

bool app::flush(duration within) { return core_->client->wait_until_sent(within); }

std::string new_task_id() { return detail::new_id(); }

detail::sent_workflow detail::send_all(app& from, signature call, send_options options, sinks to,
                                       hears h) {
  const auto& client = from.core_->client;
  auto sent =
      client->send(from.core_->tasks, std::move(call), std::move(options), std::move(to), h);
  sent_workflow made{.id = std::move(sent.id), .revokes = {}};
  for (auto& ids : sent.calls) made.revokes.push_back(revoker(client, std::move(ids)));
  return made;
}

}  // namespace plait::celery
