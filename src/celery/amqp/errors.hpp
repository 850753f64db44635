// src/celery/amqp/errors.hpp: what can go wrong between us and an AMQP broker.
//
//   amqp::error                (celery::transport_error)
//   ├── protocol_error         the other end does not speak AMQP 0-9-1, or beyond our limits
//   ├── refused                the broker refused a command, or us; code() is AMQP's: 404, 406 ...
//   ├── unroutable             a message was published to a queue that is not there
//   ├── unavailable            no connection in time, or it ended before the broker had answered
//   └── invalid_url
#pragma once

#include <string>

#include "plait/celery/errors.hpp"

namespace plait::celery::amqp {

class error : public celery::transport_error {
 public:
  using celery::transport_error::transport_error;
};

class protocol_error : public error {
 public:
  using error::error;
};

class refused : public error {
 public:
  refused(int code, const std::string& text)
      : error("RabbitMQ refused: " + text + " (" + std::to_string(code) + ")"), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

class unroutable : public error {
 public:
  using error::error;
};

class unavailable : public error {
 public:
  using error::error;
};

class invalid_url : public error {
 public:
  using error::error;
};

}  // namespace plait::celery::amqp
