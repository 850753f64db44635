#include "http/shared_connections.hpp"

#include <algorithm>

#include "plait/coroutines/event_loop.hpp"

namespace plait::http {

shared_connections::~shared_connections() {
  for (auto& e : entries_) e.connection->close();
}

shared_connections::entry* shared_connections::find() noexcept {
  std::erase_if(entries_, [](const entry& e) { return e.connection->leaving(); });
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [](const entry& e) { return e.connection->accepts(); });
  return found != entries_.end() ? &*found : nullptr;
}

shared_connections::entry& shared_connections::add(std::unique_ptr<byte_stream> fresh,
                                                   std::string whom) {
  const auto on_change = [this] {
    if (keep_alive_ <= duration::zero()) close_idle();
    call_next();
  };
  return entries_.emplace_back(entry{
      http2_connection::start(std::move(fresh), {std::move(whom), most_header_bytes_, on_change}),
      {}});
}

bool shared_connections::in_use() const noexcept {
  return std::any_of(entries_.begin(), entries_.end(), [](const entry& e) {
    return !e.connection->leaving() && e.connection->streams() != 0;
  });
}

void shared_connections::set_speaks_http1() noexcept {
  speaks_http1_ = true;
  for (turn* t : waiting_) t->called.set();
  waiting_.clear();
}

void shared_connections::arrangement::failed() noexcept {
  for (turn* t : all_.waiting_) {
    t->failure = std::current_exception();
    t->called.set();
  }
  all_.waiting_.clear();
}

task<> shared_connections::wait_turn() {
  struct place_in_line : turn {
    explicit place_in_line(shared_connections& s) : all(s) {
      at = all.waiting_.insert(all.waiting_.end(), this);
    }
    ~place_in_line() {
      if (!called.is_set()) {
        all.waiting_.erase(at);
      } else if (!gone_on) {
        all.call_next();  // stopped: somebody else may use the turn
      }
    }
    shared_connections& all;
    std::list<turn*>::iterator at;
    bool gone_on = false;
  } mine(*this);
  co_await event::awaiter(mine.called, "room on an HTTP/2 connection");
  mine.gone_on = true;
  if (mine.failure != nullptr) std::rethrow_exception(mine.failure);
}

void shared_connections::call_next() noexcept {
  if (waiting_.empty()) return;
  turn* first = waiting_.front();
  waiting_.pop_front();
  first->called.set();
}

std::size_t shared_connections::idle() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(),
      [](const entry& e) { return !e.connection->leaving() && e.connection->streams() == 0; }));
}

std::size_t shared_connections::close_idle(time_point now, duration at_least) noexcept {
  return std::erase_if(entries_, [&](const entry& e) {
    if (e.connection->leaving()) return e.connection->streams() == 0;
    if (e.connection->streams() != 0 || now - e.connection->idle_since() < at_least) return false;
    e.connection->close();
    return true;
  });
}

}  // namespace plait::http
