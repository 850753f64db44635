#include "http/connection_pool.hpp"

#include <algorithm>

namespace plait::http {

connection_pool::connection_pool(const client_options& options) : options_(options) {
  if (options.limit != 0) permits_.emplace(options.limit);
}

connection_pool::host_connections& connection_pool::host(const url& to) {
  std::string key;
  key.reserve(to.scheme().size() + to.host().size() + 8);
  key.append(to.scheme()).append(":").append(to.host()).append(":");
  key.append(std::to_string(to.port()));
  auto [found, fresh] = hosts_.try_emplace(std::move(key));
  if (fresh && options_.limit_per_host != 0) found->second.permits.emplace(options_.limit_per_host);
  return found->second;
}

task<> connection_pool::place::acquire() {
  // The host's first: who waits for a busy host keeps nobody else from another.
  if (host_.permits) this_host_.emplace(co_await host_.permits->acquire());
  if (pool_.permits_) any_.emplace(co_await pool_.permits_->acquire());
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
  for (auto at = hosts_.begin(); at != hosts_.end();) {
    auto& idle = at->second.idle;
    const auto kept = std::find_if(idle.begin(), idle.end(), [&](const idle_connection& c) {
      return now - c.since < options_.keep_alive && c.stream->reusable();
    });
    idle_ -= static_cast<std::size_t>(kept - idle.begin());
    idle.erase(idle.begin(), kept);
    at = idle.empty() && at->second.users == 0 ? hosts_.erase(at) : std::next(at);
  }
}

void connection_pool::make_room() noexcept {
  if (options_.limit == 0 || idle_ == 0) return;
  std::size_t in_use = 0;
  for (const auto& [key, host] : hosts_) in_use += host.users;
  if (std::min(in_use, options_.limit) + idle_ <= options_.limit) return;
  for (auto& [key, host] : hosts_) {
    if (host.idle.empty()) continue;
    host.idle.erase(host.idle.begin());
    --idle_;
    return;
  }
}

void connection_pool::close_idle() noexcept {
  for (auto& [key, host] : hosts_) host.idle.clear();
  idle_ = 0;
}

}  // namespace plait::http
