#include "http/connection_pool.hpp"

#include <algorithm>

namespace plait::http {

connection_pool::connection_pool(const client_options& options) : options_(options) {
  if (options.limit != 0) permits_.emplace(options.limit);
}

connection_pool::host_connections& connection_pool::host(const url& to) {
  if (last_ != nullptr && last_to_->same_origin(to)) return *last_;
  std::string key = to.scheme() + "://";
  to.append_authority(key);
  auto [found, fresh] = hosts_.try_emplace(std::move(key));
  if (fresh && options_.limit_per_host != 0) found->second.permits.emplace(options_.limit_per_host);
  if (fresh && may_share(to)) {
    found->second.shared =
        std::make_unique<shared_connections>(options_.keep_alive, options_.max_header_bytes);
    ++sharing_hosts_;
  }
  last_to_ = to;
  last_ = &found->second;
  return *last_;
}

bool connection_pool::may_share(const url& to) const noexcept {
  return options_.version == http_version::http2 ||
         (options_.version == http_version::automatic && to.scheme() == "https");
}

std::size_t connection_pool::idle() const noexcept {
  std::size_t sum = idle_;
  if (sharing_hosts_ == 0) return sum;
  for (const auto& [key, host] : hosts_)
    if (host.shared != nullptr) sum += host.shared->idle();
  return sum;
}

task<> connection_pool::place::acquire() {
  // The host's first: who waits for a busy host keeps nobody else from another.
  if (host_.permits) permits_.this_host.emplace(co_await host_.permits->acquire());
  if (pool_.permits_) permits_.any.emplace(co_await pool_.permits_->acquire());
}

std::unique_ptr<byte_stream> connection_pool::place::take_idle(time_point now) {
  if (pool_.idle_ != 0) pool_.close_expired(now);
  while (!host_.idle.empty()) {
    auto stream = std::move(host_.idle.back().stream);
    host_.idle.pop_back();
    --pool_.idle_;
    if (stream->reusable()) return stream;
  }
  return nullptr;
}

void connection_pool::place::give_back(std::unique_ptr<byte_stream> stream, time_point now) {
  if (pool_.options_.keep_alive <= duration::zero() || !stream->reusable()) return;
  host_.idle.push_back({std::move(stream), now});
  ++pool_.idle_;
}

// At most once a second, so that it costs nothing a request.
void connection_pool::close_expired(time_point now) noexcept {
  if (now < next_sweep_) return;
  next_sweep_ = now + std::chrono::seconds(1);
  last_ = nullptr;
  for (auto at = hosts_.begin(); at != hosts_.end();) {
    auto& idle = at->second.idle;
    const auto kept = std::find_if(idle.begin(), idle.end(), [&](const idle_connection& c) {
      return now - c.since < options_.keep_alive && c.stream->reusable();
    });
    idle_ -= static_cast<std::size_t>(kept - idle.begin());
    idle.erase(idle.begin(), kept);
    auto& shared = at->second.shared;
    if (shared != nullptr) shared->close_idle(now, options_.keep_alive);
    if (!idle.empty() || at->second.users != 0 || (shared != nullptr && !shared->empty())) {
      ++at;
      continue;
    }
    if (shared != nullptr) --sharing_hosts_;
    at = hosts_.erase(at);
  }
}

void connection_pool::make_room() noexcept {
  if (options_.limit == 0) return;
  const std::size_t unused = idle();
  if (unused == 0) return;
  std::size_t in_use = 0;
  for (const auto& [key, host] : hosts_) in_use += host.users;
  if (std::min(in_use, options_.limit) + unused <= options_.limit) return;
  for (auto& [key, host] : hosts_) {
    if (!host.idle.empty()) {
      host.idle.erase(host.idle.begin());
      --idle_;
      return;
    }
    if (host.shared != nullptr && host.shared->close_idle() != 0) return;
  }
}

void connection_pool::close_idle() noexcept {
  for (auto& [key, host] : hosts_) {
    host.idle.clear();
    if (host.shared != nullptr) host.shared->close_idle();
  }
  idle_ = 0;
}

}  // namespace plait::http
