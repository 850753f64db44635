// celery/transport.hpp: one store that a URL names: broker, backend and control channel of it.
//
//   sqlite:FILE              sqlite/transport.cpp
//   redis://, rediss://      redis/transport.cpp
//   amqp://, amqps://        amqp/transport.cpp; "rpc://" as an app's backend means its results
//   memory:NAME              memory/transport.cpp, in this process only: for tests
#pragma once

#include <memory>
#include <string>

#include "celery/broker.hpp"
#include "celery/control_channel.hpp"
#include "celery/result_backend.hpp"
#include "plait/celery/errors.hpp"

namespace plait::celery::detail {

class transport {
 public:
  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  // On its loop, when no call of any part is under way.
  virtual ~transport() = default;

  virtual celery::detail::broker& broker() = 0;
  virtual result_backend& backend() = 0;
  virtual control_channel& control() = 0;
  // Ends connections and threads. Leases are left as they are.
  virtual task<> close() = 0;
};

// By the scheme of `url`. Throws std::invalid_argument for one that is not known, transport_error if
// the store cannot be reached.
task<std::unique_ptr<transport>> open_transport(std::string url);

task<std::unique_ptr<transport>> open_sqlite(std::string url);
task<std::unique_ptr<transport>> open_redis(std::string url);
task<std::unique_ptr<transport>> open_amqp(std::string url);
task<std::unique_ptr<transport>> open_memory(std::string url);

}  // namespace plait::celery::detail
