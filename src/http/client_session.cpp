#include "plait/http/client_session.hpp"

#include "http/open_exchange.hpp"
#include "http/request_flow.hpp"

namespace plait::http {

struct client_session::state final : session_core {
  using session_core::session_core;
};

client_session::client_session(client_options options)
    : state_(std::make_unique<state>(std::move(options))) {}
client_session::client_session(client_session&&) noexcept = default;
client_session& client_session::operator=(client_session&&) noexcept = default;
client_session::~client_session() = default;

task<response> client_session::request(std::string method, std::string url,
                                       request_options options) {
  return fetch(std::make_unique<open_exchange>(*state_, std::move(method), std::move(url),
                                               std::move(options),
                                               open_exchange::wanted::whole_body));
}
task<response> client_session::get(std::string url, request_options options) {
  return request("GET", std::move(url), std::move(options));
}
task<response> client_session::head(std::string url, request_options options) {
  return request("HEAD", std::move(url), std::move(options));
}
task<response> client_session::post(std::string url, request_options options) {
  return request("POST", std::move(url), std::move(options));
}
task<response> client_session::put(std::string url, request_options options) {
  return request("PUT", std::move(url), std::move(options));
}
task<response> client_session::patch(std::string url, request_options options) {
  return request("PATCH", std::move(url), std::move(options));
}
task<response> client_session::delete_(std::string url, request_options options) {
  return request("DELETE", std::move(url), std::move(options));
}
task<response> client_session::options(std::string url, request_options options) {
  return request("OPTIONS", std::move(url), std::move(options));
}
task<response_stream> client_session::stream(std::string method, std::string url,
                                             request_options options) {
  return begin_stream(std::make_unique<open_exchange>(
      *state_, std::move(method), std::move(url), std::move(options), open_exchange::wanted::head));
}

cookie_jar& client_session::cookies() noexcept { return state_->cookies; }
std::size_t client_session::idle_connections() const noexcept { return state_->pool.idle(); }

}  // namespace plait::http
