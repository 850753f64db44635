// src/http/blocking_client.hpp: what a thread needs to block on a request.
#pragma once

#include <string>

#include "plait/coroutines/event_loop.hpp"
#include "plait/http/client_session.hpp"

namespace plait::http {

// The session goes before its loop.
struct blocking_client {
  explicit blocking_client(client_options given) : session(std::move(given)) {}
  event_loop loop;
  client_session session;
};

// Throws would_deadlock on a thread where a loop runs.
inline void check_may_block(const char* what) {
  if (event_loop::current_or_null() != nullptr)
    throw would_deadlock(std::string(what) +
                         " would block the event loop that runs on this thread: co_await "
                         "client_session::get there instead");
}

}  // namespace plait::http
