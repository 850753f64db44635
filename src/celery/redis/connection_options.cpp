#include "celery/redis/connection_options.hpp"

#include <stdexcept>

#include "celery/server_url.hpp"
#include "plait/net/errors.hpp"

namespace plait::celery::redis {
namespace {

constexpr char url_kind[] = "a Redis URL";

int database_in(std::string_view text) {
  return detail::number_in_url(text, 1 << 20, url_kind, "database");
}

connection_options options_of(const detail::server_url& url) {
  const bool local = url.scheme == "redis+socket" || url.scheme == "unix";
  if (!local && url.scheme != "redis" && url.scheme != "rediss")
    throw invalid_url("a Redis URL begins redis://, rediss:// or redis+socket://" +
                      (url.scheme.empty() ? "" : ", not " + url.scheme + "://"));
  connection_options options;
  options.user = url.user.value_or("");
  options.password = url.password.value_or("");
  const std::string_view path = url.path;
  if (local) {
    options.socket = detail::decode_url(path);
    if (options.socket.size() < 2) throw invalid_url("a redis+socket:// URL names a socket's path");
  } else {
    if (url.port) options.port = *url.port;
    if (!url.host.empty()) options.host = url.host;
    if (path.size() > 1) options.database = database_in(path.substr(1));
  }
  for (const auto& [key, text] : url.fields)
    if (key == "db" || key == "virtual_host")
      options.database = database_in(std::string_view(text).substr(text.starts_with('/') ? 1 : 0));
  // The rest are settings of redis-py, which mean nothing here.
  if (url.scheme == "rediss") options.tls.emplace(detail::tls_options_of(url));
  return options;
}

}  // namespace

connection_options parse_url(std::string_view url) {
  try {
    return options_of(detail::split_server_url(url, url_kind));
  } catch (const std::invalid_argument& e) {
    throw invalid_url(e.what());
  } catch (const net::tls_error& e) {  // a file that is not there, or not PEM
    throw invalid_url("a Redis URL's certificates: " + std::string(e.what()));
  }
}

std::string to_text(const connection_options& options) {
  const std::string database = std::to_string(options.database);
  if (!options.socket.empty())
    return "redis+socket://" + options.socket + "?virtual_host=" + database;
  const bool v6 = options.host.find(':') != std::string::npos;
  return (options.tls ? "rediss://" : "redis://") + (v6 ? "[" + options.host + "]" : options.host) +
         ":" + std::to_string(options.port) + "/" + database;
}

}  // namespace plait::celery::redis
