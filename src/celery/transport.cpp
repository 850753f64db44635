#include "celery/transport.hpp"

#include <stdexcept>
#include <string_view>

namespace plait::celery::detail {
namespace {

// A password in a URL is nobody's business in a log.
std::string without_password(const std::string& url) {
  const auto at = url.rfind('@'), scheme = url.find("://");
  if (at == std::string::npos || scheme == std::string::npos) return url;
  return url.substr(0, scheme + 3) + "***" + url.substr(at);
}

}  // namespace

task<std::unique_ptr<transport>> open_transport(std::string url) {
  const std::string_view scheme = std::string_view(url).substr(0, url.find(':'));
  if (scheme == "sqlite") co_return co_await open_sqlite(std::move(url));
  if (scheme == "redis" || scheme == "rediss" || scheme == "redis+socket")
    co_return co_await open_redis(std::move(url));
  if (scheme == "amqp" || scheme == "amqps" || scheme == "pyamqp")
    co_return co_await open_amqp(std::move(url));
  if (scheme == "memory") co_return co_await open_memory(std::move(url));
  throw std::invalid_argument(
      "no broker or backend is known for \"" + without_password(url) +
      "\": sqlite:FILE, redis://HOST:PORT/DB, rediss://, amqp://HOST:PORT/ and amqps:// are");
}

}  // namespace plait::celery::detail
