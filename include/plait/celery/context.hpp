// plait/celery/context.hpp: what a running call can know of itself and do: Celery's bound tasks.
//
//   int fetch(plait::celery::context& self, std::string url) {
//     try { return get(url); } catch (const http::error&) { self.retry({.countdown = 10s}); }
//   }
//
// A task whose first parameter is a context& is given one; the caller does not see that parameter.
//
// Threads:  belongs to the call.
// Throws:   retry() and replace() always: they do not return. What they throw is to be let through.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "plait/celery/signature.hpp"
#include "plait/celery/value.hpp"
#include "plait/core/clock.hpp"

namespace plait::celery {

// Thrown by context::retry(); no std::exception, so that handlers of those let it through.
struct retry_request {
  std::optional<duration> countdown = {};
  std::optional<unsigned> max_retries = {};
};

// Thrown by context::replace().
struct replace_request {
  signature by;
};

class context {
 public:
  struct facts {
    std::string id, task, root_id;
    std::optional<std::string> parent_id = {}, group = {};
    unsigned retries = 0, deliveries = 1;
    dict headers = {};
  };
  explicit context(facts f, std::stop_token stop = {},
                   std::function<void(std::string, value)> update = {})
      : facts_(std::move(f)), stop_(std::move(stop)), update_(std::move(update)) {}

  const std::string& id() const noexcept { return facts_.id; }
  const std::string& task() const noexcept { return facts_.task; }
  const std::string& root_id() const noexcept { return facts_.root_id; }
  const std::optional<std::string>& parent_id() const noexcept { return facts_.parent_id; }
  const std::optional<std::string>& group() const noexcept { return facts_.group; }
  // How often it was retried, and how often this message was handed out: 1 unless a worker died.
  unsigned retries() const noexcept { return facts_.retries; }
  unsigned deliveries() const noexcept { return facts_.deliveries; }
  // The caller's own.
  const dict& headers() const noexcept { return facts_.headers; }
  // Stopped by the soft time limit, by a revocation with terminate, and by a cold shutdown.
  std::stop_token stop_token() const;
  // Stores a state of the call's own, such as PROGRESS, for whoever asks. In a worker process it waits
  // for the one before it to be handed over, and throws std::length_error beyond 64 KiB of JSON.
  void update_state(std::string state, value meta = {});
  [[noreturn]] void retry(retry_request how = {}) const { throw how; }
  // Another call, or a whole workflow, in this one's stead: its result is this one's.
  [[noreturn]] void replace(signature by) const { throw replace_request{std::move(by)}; }

 private:
  facts facts_;
  std::stop_token stop_;
  std::function<void(std::string, value)> update_;
};

}  // namespace plait::celery
