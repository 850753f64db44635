#include <chrono>

#include "celery/sqlite/store.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::celery::sqlite {

std::int64_t milliseconds_now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t milliseconds_from_now(duration span) {
  return milliseconds_now() + std::chrono::ceil<std::chrono::milliseconds>(span).count();
}

namespace {

// Final states, as Celery's READY_STATES.
constexpr char final_result[] =
    "SELECT meta FROM plait_results WHERE id = ? AND state IN ('SUCCESS', 'FAILURE', 'REVOKED')";

std::optional<std::string> meta_of(connection& c, const char* sql, const std::string& id) {
  auto row = c(sql);
  if (!row.with(std::string_view(id)).step()) return std::nullopt;
  return row.text(0);
}

}  // namespace

bool store(connection& c, const detail::stored_result& r) {
  // A few of the old ones each time: no single call pays for all.
  c("DELETE FROM plait_results WHERE serial IN "
    "(SELECT serial FROM plait_results WHERE expires <= ? LIMIT 4)")
      .with(milliseconds_now())
      .run();
  {
    auto before = c("SELECT 1 FROM plait_results WHERE id = ? AND state = 'SUCCESS'");
    if (before.with(std::string_view(r.id)).step()) return false;
  }
  auto row = c("INSERT OR REPLACE INTO plait_results(id, state, meta, expires) VALUES(?, ?, ?, ?)");
  row.with(std::string_view(r.id), std::string_view(r.state), std::string_view(r.meta));
  if (r.expires > duration::zero()) {
    row.bind(milliseconds_from_now(r.expires));
  } else {
    row.bind_null();
  }
  row.run();
  return true;
}

task<bool> results::store(detail::stored_result result) {
  auto asked = database_.write([r = std::move(result)](connection& c) {
    const bool stored = sqlite::store(c, r);
    if (stored) c.ring_after_commit();
    return stored;
  });
  co_return co_await std::move(asked);
}

task<std::optional<std::string>> results::get(std::string id) {
  auto asked = database_.read([i = std::move(id)](connection& c) {
    return meta_of(c, "SELECT meta FROM plait_results WHERE id = ?", i);
  });
  co_return co_await std::move(asked);
}

task<std::string> results::wait(std::string id) {
  plait::promise<std::string> promise;
  const auto arrives = promise.get_future();
  const struct listed {
    std::unordered_multimap<std::string, plait::promise<std::string>*>& map;
    decltype(waiting_)::iterator place;
    ~listed() { map.erase(place); }
  } entry{waiting_, waiting_.emplace(id, &promise)};
  wanted_.set();
  auto asked = database_.read([id](connection& c) { return meta_of(c, final_result, id); });
  if (auto there = co_await std::move(asked)) co_return *std::move(there);
  co_return co_await arrives;
}

task<> results::watch() {
  std::int64_t last = -1;  // of none
  for (;;) {
    if (waiting_.empty()) {
      wanted_.clear();
      co_await wanted_.wait();
    }
    const auto seen = bell_.rings();
    struct found {
      std::int64_t last;
      std::vector<std::pair<std::string, std::string>> ended;
    };
    std::vector<std::string> ids;
    for (const auto& [id, promise] : waiting_) ids.push_back(id);
    auto looking = database_.read([last, wanted = std::move(ids)](connection& c) {
      found f{last, {}};
      auto top = c("SELECT coalesce(max(serial), 0) FROM plait_results");
      top.step();
      if (top.integer(0) == last) return f;
      f.last = top.integer(0);
      for (const auto& id : wanted)
        if (auto meta = meta_of(c, final_result, id)) f.ended.emplace_back(id, *std::move(meta));
      return f;
    });
    std::optional<found> news;
    try {
      news = co_await std::move(looking);
    } catch (const transport_error&) {  // locked, or the disk is full: what waits has to wait
    }
    if (!news) {
      co_await sleep(std::chrono::milliseconds(500));
      continue;
    }
    last = news->last;
    for (const auto& [id, meta] : news->ended) {
      const auto [first, end] = waiting_.equal_range(id);
      for (auto one = first; one != end; ++one)
        if (!one->second->get_future().done()) one->second->set_value(meta);
    }
    co_await bell_.wait(seen, std::chrono::seconds(5));
  }
}

task<> results::forget(std::string id) {
  auto asked = database_.write([i = std::move(id)](connection& c) {
    c("DELETE FROM plait_results WHERE id = ?").with(std::string_view(i)).run();
  });
  co_await std::move(asked);
}

task<> results::begin_chord(std::string group, std::size_t size) {
  auto asked = database_.write([g = std::move(group), size](connection& c) {
    // As long as Celery keeps what belongs to a chord; a few of the old ones each time.
    const auto old = milliseconds_from_now(-std::chrono::hours(24));
    c("DELETE FROM plait_chord_parts WHERE chord IN "
      "(SELECT chord FROM plait_chords WHERE begun < ? LIMIT 4)")
        .with(old)
        .run();
    c("DELETE FROM plait_chords WHERE chord IN "
      "(SELECT chord FROM plait_chords WHERE begun < ? LIMIT 4)")
        .with(old)
        .run();
    c("INSERT OR IGNORE INTO plait_chords(chord, size, begun) VALUES(?, ?, ?)")
        .with(std::string_view(g), static_cast<std::int64_t>(size), milliseconds_now())
        .run();
  });
  co_await std::move(asked);
}

namespace {

// Whether `task` is the one that ends the chord; it stays so.
bool is_last(connection& c, const std::string& group, const std::string& task) {
  auto row = c("SELECT size, last FROM plait_chords WHERE chord = ?");
  if (!row.with(std::string_view(group)).step()) return false;
  if (!row.is_null(1)) return row.text(1) == task;
  auto count = c("SELECT count(*) FROM plait_chord_parts WHERE chord = ?");
  count.with(std::string_view(group)).step();
  if (count.integer(0) != row.integer(0)) return false;
  c("UPDATE plait_chords SET last = ? WHERE chord = ?")
      .with(std::string_view(task), std::string_view(group))
      .run();
  return true;
}

}  // namespace

task<std::optional<std::vector<std::string>>> results::end_chord_part(detail::chord_part part) {
  auto asked = database_.write([p = std::move(part)](
                                   connection& c) -> std::optional<std::vector<std::string>> {
    {
      auto ended = c("SELECT 1 FROM plait_chords WHERE chord = ? AND last <> ?");
      if (ended.with(std::string_view(p.group), std::string_view(p.task_id)).step())
        return std::nullopt;
    }
    auto row = c("INSERT OR IGNORE INTO plait_chord_parts VALUES(?, ?, ?, ?)");
    row.with(std::string_view(p.group), std::string_view(p.task_id));
    if (p.index) {
      row.bind(*p.index);
    } else {
      row.bind_null();
    }
    row.bind(p.entry);
    row.run();
    if (!is_last(c, p.group, p.task_id)) return std::nullopt;
    std::vector<std::string> entries;
    auto rows = c("SELECT entry FROM plait_chord_parts WHERE chord = ? ORDER BY place NULLS LAST");
    rows.with(std::string_view(p.group));
    while (rows.step()) entries.push_back(rows.text(0));
    return entries;
  });
  co_return co_await std::move(asked);
}

task<> results::close_chord(std::string group) {
  auto asked = database_.write([g = std::move(group)](connection& c) {
    c("UPDATE plait_chords SET last = '' WHERE chord = ?").with(std::string_view(g)).run();
    c("DELETE FROM plait_chord_parts WHERE chord = ?").with(std::string_view(g)).run();
  });
  co_await std::move(asked);
}

}  // namespace plait::celery::sqlite
