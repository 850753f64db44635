#include "celery/redis/redis_backend.hpp"

#include <map>
#include <utility>

#include "celery/redis/json_field.hpp"
#include "celery/redis/scripts.hpp"
#include "celery/redis/translated.hpp"
#include "plait/coroutines/event.hpp"

namespace plait::celery::redis {

using detail::chord_part;
using detail::stored_result;

namespace {

// As long as Celery keeps what belongs to a chord.
constexpr int chord_seconds = 86400;

bool is_final(std::string_view meta) {
  const auto status = text_field(meta, "status");
  return status && (*status == "SUCCESS" || *status == "FAILURE" || *status == "REVOKED");
}

}  // namespace

struct redis_backend::keeper {
  // Those who wait for one result.
  struct awaited {
    int waiting = 0;
    std::optional<std::string> meta;  // final
    // It is there, or it is time to look. Counted: each looks who has not looked since the last.
    std::uint64_t told = 0;
    event news;
    void tell() noexcept {
      ++told;
      news.set();
    }
  };
  keeper(connection_options to, redis::keys k, duration p)
      : keys(std::move(k)), patience(p), server(to), listener(std::move(to)) {
    listener.on_push([this](const value& push) { hear(push); });
  }
  void hear(const value& push) {
    if (push.items.size() < 3) return;
    const auto found = all.find(push.items[1].text);
    if (found == all.end()) return;
    // Subscribed, perhaps anew: what was told before is to be looked for. Not earlier, or what is
    // told between the look and the subscription is missed.
    if (push.items[0].text == "subscribe") found->second->tell();
    if (push.items[0].text != "message" || !is_final(push.items[2].text)) return;
    found->second->meta = push.items[2].text;
    found->second->tell();
  }
  call_options how() const { return {.timeout = patience, .if_cut = if_cut::resend}; }
  static task<std::string> wait(std::shared_ptr<keeper> self, std::string id);

  redis::keys keys;
  duration patience;
  redis::connection server, listener;  // while a connection listens, RESP2 lets it do nothing else
  std::map<std::string, std::shared_ptr<awaited>> all;
  bool is_closed = false;
};

redis_backend::redis_backend(connection_options server, redis::keys keys, duration patience)
    : keeper_(std::make_shared<keeper>(std::move(server), std::move(keys), patience)) {}
redis_backend::~redis_backend() { close(); }

void redis_backend::close() noexcept {
  keeper_->is_closed = true;
  for (const auto& [channel, each] : keeper_->all) each->tell();
  keeper_->server.close();
  keeper_->listener.close();
}

std::string redis_backend::address() const { return to_text(keeper_->server.options()); }
const std::string& redis_backend::prefix() const noexcept { return keeper_->keys.prefix; }

task<bool> redis_backend::store(stored_result result) {
  const std::shared_ptr<keeper> self = keeper_;
  const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(result.expires).count();
  command request("1", self->keys.meta(result.id), result.meta, static_cast<std::int64_t>(ttl));
  const value done =
      co_await translated(self->server.run(scripts::store, std::move(request), self->how()));
  co_return done.as_integer() == 1;
}

task<std::optional<std::string>> redis_backend::get(std::string id) {
  const std::shared_ptr<keeper> self = keeper_;
  value meta =
      co_await translated(self->server.call(command("GET", self->keys.meta(id)), self->how()));
  if (meta.is_null()) co_return std::nullopt;
  co_return std::move(meta.text);
}

task<std::string> redis_backend::keeper::wait(std::shared_ptr<keeper> self, std::string id) {
  const std::string channel = self->keys.meta(id);
  auto& place = self->all[channel];
  if (place == nullptr) place = std::make_shared<awaited>();
  const std::shared_ptr<awaited> mine = place;
  struct listening {
    keeper& of;
    const std::string& channel;
    awaited& on;
    bool subscribed = false;
    ~listening() {
      if (subscribed) of.listener.unsubscribe(channel);
      if (--on.waiting == 0) of.all.erase(channel);
    }
  } here{*self, channel, *mine};
  ++mine->waiting;
  co_await self->listener.subscribe(channel);
  here.subscribed = true;
  while (!mine->meta) {
    const std::uint64_t told = mine->told;
    const value meta = co_await self->server.call(command("GET", channel), self->how());
    if (meta.is_text() && is_final(meta.text)) co_return meta.text;
    if (mine->told == told) {
      mine->news.clear();
      co_await mine->news.wait();
    }
    if (self->is_closed) throw unavailable("the connection to Redis was closed");
  }
  co_return *mine->meta;
}

task<std::string> redis_backend::wait(std::string id) {
  return translated(keeper::wait(keeper_, std::move(id)));
}

task<> redis_backend::forget(std::string id) {
  const std::shared_ptr<keeper> self = keeper_;
  co_await translated(self->server.call(command("DEL", self->keys.meta(id)), self->how()));
}

task<> redis_backend::save_group(std::string id, std::string text, duration expires) {
  const std::shared_ptr<keeper> self = keeper_;
  const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(expires).count();
  command request("SET", self->keys.taskset(id, ""), text);
  if (ttl > 0) request.add("PX").add(static_cast<std::int64_t>(ttl));
  co_await translated(self->server.call(std::move(request), self->how()));
}

task<std::optional<std::string>> redis_backend::restore_group(std::string id) {
  const std::shared_ptr<keeper> self = keeper_;
  value text = co_await translated(
      self->server.call(command("GET", self->keys.taskset(id, "")), self->how()));
  if (text.is_null()) co_return std::nullopt;
  co_return std::move(text.text);
}

task<> redis_backend::begin_chord(std::string group, std::size_t size) {
  const std::shared_ptr<keeper> self = keeper_;
  command request("SETEX", self->keys.taskset(group, ".s"), chord_seconds, size);
  co_await translated(self->server.call(std::move(request), self->how()));
}

task<std::optional<std::vector<std::string>>> redis_backend::end_chord_part(chord_part part) {
  const std::shared_ptr<keeper> self = keeper_;
  command request("6");
  for (const char* name : {".j", ".t", ".s", ".ids", ".last", ".done"})
    request.add(self->keys.taskset(part.group, name));
  request.add(part.task_id).add(part.index ? std::to_string(*part.index) : std::string("+inf"));
  request.add(part.entry).add(chord_seconds);
  value entries =
      co_await translated(self->server.run(scripts::chord_part, std::move(request), self->how()));
  if (entries.is_null()) co_return std::nullopt;
  std::vector<std::string> all;
  for (value& each : entries.items) all.push_back(std::move(each.text));
  co_return all;
}

// The ids of its parts stay until they expire, so that none of them counts again.
task<> redis_backend::close_chord(std::string group) {
  const std::shared_ptr<keeper> self = keeper_;
  command request("DEL", self->keys.taskset(group, ".last"), self->keys.taskset(group, ".done"));
  co_await translated(self->server.call(std::move(request), self->how()));
}

}  // namespace plait::celery::redis
