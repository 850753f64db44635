#include "http/retries.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "http/http_date.hpp"

namespace plait::http {
namespace {

double random_share() {
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

}  // namespace

bool is_idempotent(const std::string& method) noexcept {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

std::optional<duration> retries::pause() {
  if (left_ == 0) return std::nullopt;
  --left_;
  const duration whole = std::min(next_pause_, policy_->max_backoff);
  next_pause_ = whole > policy_->max_backoff / 2 ? policy_->max_backoff : whole * 2;
  const auto taken_off =
      static_cast<duration::rep>(static_cast<double>(whole.count()) / 2 * random_share());
  return whole - duration(taken_off);
}

std::optional<duration> retries::after_answer(const std::string& method, const response& seen) {
  const int code = seen.status_code;
  if ((code != 429 && code != 502 && code != 503 && code != 504) || !may_repeat(method))
    return std::nullopt;
  const auto asked = retry_after(seen.headers.get("Retry-After"));
  if (!asked) return pause();
  if (*asked > policy_->max_backoff || !pause()) return std::nullopt;
  return asked;
}

std::optional<duration> retries::after_failure(const std::string& method, bool unseen) {
  if (!unseen && !may_repeat(method)) return std::nullopt;
  return pause();
}

std::optional<duration> retry_after(std::string_view field) {
  if (field.empty()) return std::nullopt;
  std::uint32_t seconds = 0;
  const char* end = field.data() + field.size();
  if (const auto read = std::from_chars(field.data(), end, seconds);
      read.ec == std::errc() && read.ptr == end)
    return std::chrono::seconds(seconds);
  const auto date = parse_http_date(field);
  if (!date) return std::nullopt;
  return std::chrono::seconds(std::max<std::int64_t>(*date - std::time(nullptr), 0));
}

}  // namespace plait::http
