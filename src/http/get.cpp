#include "plait/http/get.hpp"

#include "http/blocking_client.hpp"
#include "plait/coroutines/run.hpp"

namespace plait::http {
namespace {

blocking_client& own_client() {
  check_may_block("http::get");
  try {
    thread_local blocking_client client(client_options{.cookies = cookie_policy::ignore});
    return client;
  } catch (const std::system_error& e) {  // no descriptors left for a loop
    throw connect_error(std::string("cannot begin a request: ") + e.what() +
                            ": see ulimit -n for the number of descriptors",
                        e.code());
  }
}

task<> fetch_into(client_session& session, std::string method, std::string url,
                  request_options given, response& result) {
  result = co_await session.request(std::move(method), std::move(url), std::move(given));
}

task<response> stoppable(client_session& session, std::stop_token stop, std::string method,
                         std::string url, request_options given) {
  response result;
  auto fetched =
      spawn(fetch_into(session, std::move(method), std::move(url), std::move(given), result));
  const std::stop_callback on_stop(std::move(stop), [fetched] { fetched.cancel(); });
  co_await std::move(fetched);
  co_return result;
}

}  // namespace

response send(std::string method, std::string url, request_options given) {
  auto& client = own_client();
  return client.loop.run_until_complete(
      client.session.request(std::move(method), std::move(url), std::move(given)));
}

response send(std::stop_token stop, std::string method, std::string url, request_options given) {
  auto& client = own_client();
  return client.loop.run_until_complete(stoppable(
      client.session, std::move(stop), std::move(method), std::move(url), std::move(given)));
}

std::string to_string(method m) {
  constexpr const char* names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  return names[static_cast<int>(m)];
}

}  // namespace plait::http
