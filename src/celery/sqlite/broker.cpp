#include <algorithm>
#include <charconv>
#include <random>

#include "celery/sqlite/store.hpp"

namespace plait::celery::sqlite {
namespace {

// How long a look at the table is put off at most, should a ring not have been heard.
constexpr std::int64_t look_again = 5000;

// A lease is the number of the message and what this hand-out of it is called.
struct lease_tag {
  std::int64_t number = 0;
  std::string_view lease;
  explicit lease_tag(std::string_view tag) {
    const auto colon = tag.find(':');
    std::from_chars(tag.data(), tag.data() + tag.size(), number);
    if (colon != std::string_view::npos) lease = tag.substr(colon + 1);
  }
};

std::string new_lease() {
  thread_local std::random_device random;
  return std::to_string((std::uint64_t{random()} << 32) | random());
}

void wake_due(connection& c) {
  c("UPDATE plait_messages SET state = 0, lease = NULL WHERE state <> 0 AND due <= ?")
      .with(milliseconds_now())
      .run();
}

// Milliseconds until something may be there; 0: something is.
std::int64_t time_to_next(connection& c, const std::vector<std::string>& queues) {
  for (const auto& queue : queues) {
    auto found = c("SELECT 1 FROM plait_messages WHERE queue = ? AND state = 0 LIMIT 1");
    if (found.with(std::string_view(queue)).step()) return 0;
  }
  auto first = c("SELECT min(due) FROM plait_messages WHERE state <> 0");
  if (!first.step() || first.is_null(0)) return look_again;
  return std::clamp<std::int64_t>(first.integer(0) - milliseconds_now(), 0, look_again);
}

struct candidate {
  std::int64_t priority, number;
  std::size_t queue;
  auto operator<=>(const candidate&) const = default;
};

std::vector<detail::delivery> take(connection& c, const std::vector<std::string>& queues,
                                   std::size_t at_most, duration lease) {
  wake_due(c);
  std::vector<candidate> found;
  for (std::size_t q = 0; q != queues.size(); ++q) {
    auto rows =
        c("SELECT priority, number FROM plait_messages WHERE queue = ? AND state = 0 "
          "ORDER BY priority, number LIMIT ?");
    rows.with(std::string_view(queues[q]), static_cast<std::int64_t>(at_most));
    while (rows.step()) found.push_back({rows.integer(0), rows.integer(1), q});
  }
  std::sort(found.begin(), found.end());
  if (found.size() > at_most) found.resize(at_most);
  std::vector<detail::delivery> taken;
  const std::string name = found.empty() ? std::string() : new_lease();
  for (const auto& f : found) {
    auto row =
        c("UPDATE plait_messages SET state = 1, due = ?, lease = ?, deliveries = deliveries + 1 "
          "WHERE number = ? RETURNING envelope, deliveries");
    row.with(milliseconds_from_now(lease), std::string_view(name), f.number);
    if (!row.step()) continue;
    taken.push_back({.tag = std::to_string(f.number) + ':' + name,
                     .envelope = row.text(0),
                     .queue = queues[f.queue],
                     .deliveries = static_cast<unsigned>(row.integer(1)),
                     .priority = static_cast<int>(f.priority)});
    while (row.step()) {
    }
  }
  return taken;
}

void give_back(connection& c, std::string_view tag, bool counts) {
  const lease_tag t(tag);
  c("UPDATE plait_messages SET state = 0, lease = NULL, deliveries = deliveries - ? "
    "WHERE number = ? AND state = 1 AND lease = ?")
      .with(std::int64_t{counts ? 0 : 1}, t.number, t.lease)
      .run();
  c.ring_after_commit();
}

void end(connection& c, const detail::ending& e) {
  for (const auto& p : e.then) insert(c, p);
  if (e.result && store(c, *e.result)) c.ring_after_commit();
  const lease_tag t(e.tag);
  if (e.bury_because) {
    c("INSERT INTO plait_dead(queue, priority, reason, died, envelope) "
      "SELECT queue, priority, ?, ?, envelope FROM plait_messages WHERE number = ? AND lease = ?")
        .with(std::string_view(*e.bury_because), milliseconds_now(), t.number, t.lease)
        .run();
  }
  c("DELETE FROM plait_messages WHERE number = ? AND lease = ?").with(t.number, t.lease).run();
}

}  // namespace

void insert(connection& c, const detail::parcel& p) {
  const bool later = p.not_before > milliseconds_now();
  c("INSERT INTO plait_messages(queue, priority, state, due, envelope) VALUES(?, ?, ?, ?, ?)")
      .with(std::string_view(p.queue), std::int64_t{p.priority}, std::int64_t{later ? 2 : 0},
            p.not_before, std::string_view(p.envelope))
      .run();
  c.ring_after_commit();
}

task<> queue_broker::publish(std::vector<detail::parcel> parcels) {
  auto asked = database_.write([all = std::move(parcels)](connection& c) {
    for (const auto& p : all) insert(c, p);
  });
  co_await std::move(asked);
}

task<std::vector<detail::delivery>> queue_broker::reserve(std::vector<std::string> queues,
                                                          std::size_t at_most, duration lease) {
  for (;;) {
    const auto seen = bell_.rings();
    auto asked = database_.read([queues](connection& c) { return time_to_next(c, queues); });
    // Looking needs no lock, so that many idle workers do not stand in each other's way.
    const auto wait = co_await std::move(asked);
    if (wait == 0) {
      auto taking =
          database_.write([=](connection& c) { return take(c, queues, at_most, lease); },
                          [](connection& c, const std::vector<detail::delivery>& unwanted) {
                            for (const auto& d : unwanted) give_back(c, d.tag, false);
                          });
      auto taken = co_await std::move(taking);
      if (!taken.empty()) co_return taken;
    } else {
      co_await bell_.wait(seen, std::chrono::milliseconds(wait));
    }
  }
}

task<std::vector<std::string>> queue_broker::renew(std::vector<std::string> tags, duration lease) {
  auto asked = database_.write([all = std::move(tags), lease](connection& c) {
    std::vector<std::string> lost;
    for (const auto& tag : all) {
      const lease_tag t(tag);
      c("UPDATE plait_messages SET due = ? WHERE number = ? AND state = 1 AND lease = ?")
          .with(milliseconds_from_now(lease), t.number, t.lease)
          .run();
      if (c.changes() == 0) lost.push_back(tag);
    }
    return lost;
  });
  co_return co_await std::move(asked);
}

task<> queue_broker::finish(std::vector<detail::ending> endings) {
  auto asked = database_.write([all = std::move(endings)](connection& c) {
    for (const auto& e : all) end(c, e);
  });
  co_await std::move(asked);
}

task<> queue_broker::restore(std::vector<std::string> tags, hand_out h) {
  auto asked = database_.write([all = std::move(tags), h](connection& c) {
    for (const auto& tag : all) give_back(c, tag, h == hand_out::counts);
  });
  co_await std::move(asked);
}

task<std::vector<detail::queue_length>> queue_broker::lengths(std::vector<std::string> queues) {
  auto asked = database_.read([wanted = std::move(queues)](connection& c) {
    auto names = wanted;
    if (names.empty()) {
      auto rows =
          c("SELECT queue FROM plait_messages UNION SELECT queue FROM plait_dead ORDER BY 1");
      while (rows.step()) names.push_back(rows.text(0));
    }
    std::vector<detail::queue_length> all;
    for (const auto& name : names) {
      auto live =
          c("SELECT count(*) FILTER (WHERE state <> 1), count(*) FILTER (WHERE state = 1) "
            "FROM plait_messages WHERE queue = ?");
      auto dead = c("SELECT count(*) FROM plait_dead WHERE queue = ?");
      live.with(std::string_view(name)).step();
      dead.with(std::string_view(name)).step();
      all.push_back({.queue = name,
                     .waiting = static_cast<std::uint64_t>(live.integer(0)),
                     .leased = static_cast<std::uint64_t>(live.integer(1)),
                     .dead = static_cast<std::uint64_t>(dead.integer(0))});
    }
    return all;
  });
  co_return co_await std::move(asked);
}

task<std::vector<detail::dead_message>> queue_broker::dead(std::string queue, std::size_t at_most) {
  auto asked = database_.read([q = std::move(queue), at_most](connection& c) {
    std::vector<detail::dead_message> all;
    auto rows =
        c("SELECT number, reason, envelope, died FROM plait_dead WHERE queue = ? "
          "ORDER BY number LIMIT ?");
    rows.with(std::string_view(q), static_cast<std::int64_t>(at_most));
    while (rows.step())
      all.push_back({.id = std::to_string(rows.integer(0)),
                     .queue = q,
                     .reason = rows.text(1),
                     .envelope = rows.text(2),
                     .died_at = rows.integer(3)});
    return all;
  });
  co_return co_await std::move(asked);
}

task<bool> queue_broker::retry_dead(std::string queue, std::string id) {
  auto asked = database_.write([q = std::move(queue), i = std::move(id)](connection& c) {
    const lease_tag t(i);
    c("INSERT INTO plait_messages(queue, priority, state, due, envelope) "
      "SELECT queue, priority, 0, 0, envelope FROM plait_dead WHERE number = ? AND queue = ?")
        .with(t.number, std::string_view(q))
        .run();
    c("DELETE FROM plait_dead WHERE number = ? AND queue = ?")
        .with(t.number, std::string_view(q))
        .run();
    c.ring_after_commit();
    return c.changes() != 0;
  });
  co_return co_await std::move(asked);
}

task<bool> queue_broker::drop_dead(std::string queue, std::string id) {
  auto asked = database_.write([q = std::move(queue), i = std::move(id)](connection& c) {
    const lease_tag t(i);
    c("DELETE FROM plait_dead WHERE number = ? AND queue = ?")
        .with(t.number, std::string_view(q))
        .run();
    return c.changes() != 0;
  });
  co_return co_await std::move(asked);
}

}  // namespace plait::celery::sqlite
