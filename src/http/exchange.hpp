// src/http/exchange.hpp: one request on one connection, and the response to it.
#pragma once

#include <string>

#include "http/message_parser.hpp"
#include "plait/http/client_session.hpp"
#include "plait/http/transport.hpp"

namespace plait::http {

// A request as it travels.
std::string request_text(const std::string& method, const url& to, const client_options& session,
                         const request_options& given);

// What became of the connection.
enum class after_exchange {
  keep,        // the next request may use it
  close,       // not so
  was_closed,  // it had ended before the first byte of a response
};

// Sends `text` and reads the response into `into`. Throws http::error and net::error.
task<after_exchange> exchange(byte_stream& stream, std::string text, const std::string& method,
                              const url& to, message_limits limits, response& into);

}  // namespace plait::http
