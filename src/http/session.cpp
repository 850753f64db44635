#include "plait/http/session.hpp"

#include <atomic>
#include <stdexcept>

#include "http/blocking_client.hpp"

namespace plait::http {

struct session::state {
  explicit state(client_options options) : client(std::move(options)) {}

  template <class T>
  T run(task<T> work) {
    check_may_block("http::session");
    if (busy.test_and_set(std::memory_order_acquire))
      throw std::logic_error(
          "an http::session serves one thread at a time: give each thread its own");
    struct release {
      std::atomic_flag& flag;
      ~release() { flag.clear(std::memory_order_release); }
    } const at_end{busy};
    return client.loop.run_until_complete(std::move(work));
  }

  blocking_client client;
  std::atomic_flag busy;
};

namespace {

task<response> pour(client_session& from, std::string method, std::string url,
                    const std::function<void(std::string_view)>& sink, request_options given) {
  constexpr std::size_t worth_keeping = 64 * 1024;
  auto stream = co_await from.stream(std::move(method), std::move(url), std::move(given));
  response result = stream.head();
  result.content.clear();
  for (;;) {
    const std::string piece = co_await stream.read_some();
    if (piece.empty()) break;
    if (result.ok()) {
      sink(piece);
      continue;
    }
    result.content.append(piece, 0, worth_keeping - result.content.size());
    if (result.content.size() == worth_keeping) break;
  }
  co_return result;
}

}  // namespace

session::session(client_options options) : state_(std::make_unique<state>(std::move(options))) {}
session::session(session&&) noexcept = default;
session& session::operator=(session&&) noexcept = default;
session::~session() = default;

response session::request(std::string method, std::string url, request_options given) {
  return state_->run(
      state_->client.session.request(std::move(method), std::move(url), std::move(given)));
}
response session::get(std::string url, request_options given) {
  return request("GET", std::move(url), std::move(given));
}
response session::head(std::string url, request_options given) {
  return request("HEAD", std::move(url), std::move(given));
}
response session::post(std::string url, request_options given) {
  return request("POST", std::move(url), std::move(given));
}
response session::put(std::string url, request_options given) {
  return request("PUT", std::move(url), std::move(given));
}
response session::patch(std::string url, request_options given) {
  return request("PATCH", std::move(url), std::move(given));
}
response session::delete_(std::string url, request_options given) {
  return request("DELETE", std::move(url), std::move(given));
}
response session::options(std::string url, request_options given) {
  return request("OPTIONS", std::move(url), std::move(given));
}
response session::stream(std::string method, std::string url,
                         const std::function<void(std::string_view piece)>& sink,
                         request_options given) {
  return state_->run(
      pour(state_->client.session, std::move(method), std::move(url), sink, std::move(given)));
}

cookie_jar& session::cookies() noexcept { return state_->client.session.cookies(); }
std::size_t session::idle_connections() const noexcept {
  return state_->client.session.idle_connections();
}

}  // namespace plait::http
