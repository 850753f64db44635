// Remote control and events as rows that are dropped after a minute: whoever listens has read them.
#include "celery/sqlite/store.hpp"

namespace plait::celery::sqlite {

task<> mail::begin() {
  auto asked = database_.read([](connection& c) {
    auto row = c("SELECT coalesce(max(serial), 0) FROM plait_mail");
    row.step();
    return row.integer(0);
  });
  start_ = co_await std::move(asked);
  last_request_ = last_event_ = start_;
}

task<> mail::send(std::string channel, std::string envelope) {
  auto asked = database_.write([to = std::move(channel),
                                text = std::move(envelope)](connection& c) {
    c("DELETE FROM plait_mail WHERE serial IN (SELECT serial FROM plait_mail WHERE sent < ? LIMIT "
      "4)")
        .with(milliseconds_now() - 60'000)
        .run();
    c("INSERT INTO plait_mail(channel, sent, envelope) VALUES(?, ?, ?)")
        .with(std::string_view(to), milliseconds_now(), std::string_view(text))
        .run();
    c.ring_after_commit();
  });
  co_await std::move(asked);
}

task<std::pair<std::string, std::string>> mail::next(std::string prefix, std::int64_t& last) {
  for (;;) {
    const auto seen = bell_.rings();
    struct letter {
      std::int64_t serial = 0;
      std::string channel, text;
    };
    auto asked = database_.read([prefix, after = last](connection& c) {
      letter l;
      auto row =
          c("SELECT serial, channel, envelope FROM plait_mail WHERE serial > ? "
            "AND substr(channel, 1, length(?2)) = ?2 ORDER BY serial LIMIT 1");
      if (row.with(after, std::string_view(prefix)).step())
        l = {row.integer(0), row.text(1), row.text(2)};
      return l;
    });
    auto found = co_await std::move(asked);
    if (found.serial != 0) {
      last = found.serial;
      co_return std::pair(std::move(found.channel), std::move(found.text));
    }
    co_await bell_.wait(seen, std::chrono::seconds(5));
  }
}

task<> mail::broadcast(std::string envelope) { co_await send("control", std::move(envelope)); }

task<std::string> mail::next_request() {
  co_return (co_await next("control", last_request_)).second;
}

task<> mail::reply(std::string, std::string routing_key, std::string envelope) {
  co_await send("reply:" + routing_key, std::move(envelope));
}

task<std::string> mail::next_reply(std::string routing_key) {
  auto& last = last_replies_.try_emplace(routing_key, start_).first->second;
  co_return (co_await next("reply:" + routing_key, last)).second;
}

task<> mail::emit(std::string routing_key, std::string envelope) {
  co_await send("event:" + routing_key, std::move(envelope));
}

task<std::pair<std::string, std::string>> mail::next_event() {
  auto [channel, text] = co_await next("event:", last_event_);
  co_return std::pair(channel.substr(6), std::move(text));
}

}  // namespace plait::celery::sqlite
