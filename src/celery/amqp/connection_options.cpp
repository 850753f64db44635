#include "celery/amqp/connection_options.hpp"

#include <stdexcept>

#include "celery/server_url.hpp"
#include "plait/net/errors.hpp"

namespace plait::celery::amqp {
namespace {

constexpr char url_kind[] = "an AMQP URL";

connection_options options_of(const detail::server_url& url) {
  if (url.scheme != "amqp" && url.scheme != "amqps" && url.scheme != "pyamqp")
    throw invalid_url("an AMQP URL begins amqp:// or amqps://");
  connection_options options;
  if (url.scheme == "amqps") options.port = 5671;
  if (url.port) options.port = *url.port;
  if (!url.host.empty()) options.host = url.host;
  if (url.user) options.user = *url.user;
  if (url.password) options.password = *url.password;
  if (url.path.size() > 1)
    options.virtual_host = detail::decode_url(std::string_view(url.path).substr(1));
  for (const auto& [key, text] : url.fields) {
    if (key == "quorum") options.quorum = text == "1" || text == "true";
    if (key == "max_priority")
      options.max_priority = detail::number_in_url(text, 255, url_kind, "max_priority");
    if (key == "heartbeat")
      options.heartbeat =
          std::chrono::seconds(detail::number_in_url(text, 3600, url_kind, "heartbeat"));
  }  // The rest are settings of py-amqp, which mean nothing here.
  if (url.scheme == "amqps") options.tls.emplace(detail::tls_options_of(url));
  return options;
}

}  // namespace

connection_options parse_url(std::string_view url) {
  try {
    return options_of(detail::split_server_url(url, url_kind));
  } catch (const std::invalid_argument& e) {
    throw invalid_url(e.what());
  } catch (const net::tls_error& e) {  // a file that is not there, or not PEM
    throw invalid_url("an AMQP URL's certificates: " + std::string(e.what()));
  }
}

std::string to_text(const connection_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  return (options.tls ? "amqps://" : "amqp://") + (v6 ? "[" + options.host + "]" : options.host) +
         ":" + std::to_string(options.port) + "/" + options.virtual_host;
}

}  // namespace plait::celery::amqp
