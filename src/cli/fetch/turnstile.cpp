#include "cli/fetch/turnstile.hpp"

#include <algorithm>

#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/url.hpp"

namespace plait::cli::fetch {
namespace {

// What is no URL waits for nobody: it fails in its turn.
std::string host_of(const std::string& url) {
  try {
    return http::url(url).authority();
  } catch (const http::invalid_url&) {
    return {};
  }
}

}  // namespace

void turnstile::list_if_free(const std::string& name, host& h) {
  const bool has_room = options_.per_host == 0 || h.active < options_.per_host;
  if (h.listed || h.waiting.empty() || !has_room) return;
  h.listed = true;
  free_.push_back(name);
}

void turnstile::add(std::string url) {
  const std::string name = host_of(url);
  host& h = hosts_[name];
  h.waiting.push_back(std::move(url));
  ++held_;
  list_if_free(name, h);
}

void turnstile::leave(const std::string& name) noexcept {
  const auto found = hosts_.find(name);
  host& h = found->second;
  --h.active;
  if (h.active == 0 && h.waiting.empty()) {
    hosts_.erase(found);
  } else {
    list_if_free(name, h);
  }
  changed_.set();
}

task<std::optional<turnstile::turn>> turnstile::next() {
  for (;;) {
    if (!free_.empty()) {
      const std::string name = std::move(free_.front());
      free_.pop_front();
      host& h = hosts_.at(name);
      h.listed = false;
      ++h.active;
      turn mine(*this, std::move(h.waiting.front()), name);
      h.waiting.pop_front();
      --held_;
      list_if_free(name, h);
      if (options_.rate > 0) co_await keep_pace();
      co_return mine;
    }
    if (exhausted_ && held_ == 0) co_return std::nullopt;
    if (!exhausted_ && !reading_ && held_ < options_.window) {
      struct reading {
        turnstile& of;
        explicit reading(turnstile& t) : of(t) { of.reading_ = true; }
        ~reading() {
          of.reading_ = false;
          of.changed_.set();
        }
      } const scope(*this);
      auto url = co_await urls_.next();
      if (url) {
        add(std::move(*url));
      } else {
        exhausted_ = true;
      }
      continue;
    }
    changed_.clear();
    co_await changed_.wait();
  }
}

task<> turnstile::keep_pace() {
  const time_point now = event_loop::current().now();
  const time_point mine = std::max(now, next_slot_);
  next_slot_ = mine + plait::detail::to_duration(std::chrono::duration<double>(1 / options_.rate));
  if (mine > now) co_await sleep(mine - now);
}

}  // namespace plait::cli::fetch
