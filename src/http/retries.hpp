// src/http/retries.hpp: whether and when a request is sent again.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "plait/http/response.hpp"
#include "plait/http/retry_policy.hpp"

namespace plait::http {

// RFC 9110, 9.2.2.
bool is_idempotent(const std::string& method) noexcept;

// What the tries of one request have left. The policy must stay.
class retries {
 public:
  explicit retries(const retry_policy& policy) noexcept
      : policy_(&policy), left_(policy.times), next_pause_(policy.backoff) {}
  // A try was answered. The pause before the next one; nothing: the answer is final.
  std::optional<duration> after_answer(const std::string& method, const response& seen);
  // A try failed. `unseen`: no server can have acted on it.
  std::optional<duration> after_failure(const std::string& method, bool unseen);

 private:
  std::optional<duration> pause();
  bool may_repeat(const std::string& method) const noexcept {
    return policy_->methods == repeatable::every_method || is_idempotent(method);
  }

  const retry_policy* policy_;
  unsigned left_;
  duration next_pause_;
};

// A Retry-After field (RFC 9110, 10.2.3), in seconds or as a date.
std::optional<duration> retry_after(std::string_view field);

}  // namespace plait::http
