#include "plait/http/get.hpp"

#include "plait/coroutines/run.hpp"

namespace plait::http {
namespace {

// What a thread needs to block on a request. The session goes before its loop.
struct thread_client {
  event_loop loop;
  client_session session;
};

thread_client& own_client() {
  if (event_loop::current_or_null() != nullptr)
    throw would_deadlock(
        "http::get would block the event loop that runs on this thread: co_await "
        "client_session::get there instead");
  try {
    thread_local thread_client client;
    return client;
  } catch (const std::system_error& e) {  // no descriptors left for a loop
    throw connect_error(std::string("cannot begin a request: ") + e.what() +
                            ": see ulimit -n for the number of descriptors",
                        e.code());
  }
}

task<> fetch_into(client_session& session, std::string url, request_options options,
                  response& result) {
  result = co_await session.get(std::move(url), std::move(options));
}

task<response> stoppable(client_session& session, std::stop_token stop, std::string url,
                         request_options options) {
  response result;
  auto fetched = spawn(fetch_into(session, std::move(url), std::move(options), result));
  const std::stop_callback on_stop(std::move(stop), [fetched] { fetched.cancel(); });
  co_await std::move(fetched);
  co_return result;
}

}  // namespace

response blocking_get::operator()(std::string url, request_options options) const {
  auto& client = own_client();
  return client.loop.run_until_complete(client.session.get(std::move(url), std::move(options)));
}

response blocking_get::operator()(std::stop_token stop, std::string url,
                                  request_options options) const {
  auto& client = own_client();
  return client.loop.run_until_complete(
      stoppable(client.session, std::move(stop), std::move(url), std::move(options)));
}

}  // namespace plait::http
