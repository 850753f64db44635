// src/celery/redis/errors.hpp: what can go wrong between us and a Redis server.
//
//   redis::error               (celery::transport_error)
//   ├── server_error           the server refused a command; code() is its first word: "WRONGTYPE"
//   ├── unavailable            no connection could be had in time; nothing was sent
//   ├── unknown_outcome        the connection ended after a command was sent and before its answer
//   ├── protocol_error         the other end does not speak RESP, or beyond our limits
//   └── invalid_url
//
// A command that takes too long throws plait::timeout_error.
#pragma once

#include <string>

#include "plait/celery/errors.hpp"

namespace plait::celery::redis {

class error : public celery::transport_error {
 public:
  using celery::transport_error::transport_error;
};

class server_error : public error {
 public:
  explicit server_error(const std::string& text, const std::string& command = {})
      : error("Redis refused " + (command.empty() ? "a command" : command) + ": " + text),
        code_(text.substr(0, text.find(' '))) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

class unavailable : public error {
 public:
  using error::error;
};

// It may have been carried out, or not.
class unknown_outcome : public error {
 public:
  using error::error;
};

class protocol_error : public error {
 public:
  using error::error;
};

class invalid_url : public error {
 public:
  using error::error;
};

}  // namespace plait::celery::redis
