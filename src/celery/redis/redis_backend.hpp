// src/celery/redis/redis_backend.hpp: Celery's results in Redis.
//
// A result is stored, and those who wait are told, in one script that leaves a SUCCESS alone. Who
// waits subscribes first and looks afterwards, so a result cannot fall between the two; after a new
// connection everybody looks again.
#pragma once

#include <memory>

#include "celery/redis/connection.hpp"
#include "celery/redis/keys.hpp"
#include "celery/result_backend.hpp"

namespace plait::celery::redis {

class redis_backend final : public detail::result_backend {
 public:
  redis_backend(connection_options server, redis::keys keys, duration patience);
  ~redis_backend() override;

  task<bool> store(detail::stored_result result) override;
  task<std::optional<std::string>> get(std::string id) override;
  task<std::string> wait(std::string id) override;
  task<> forget(std::string id) override;
  task<> save_group(std::string id, std::string text, duration expires) override;
  task<std::optional<std::string>> restore_group(std::string id) override;
  task<> begin_chord(std::string group, std::size_t size) override;
  task<std::optional<std::vector<std::string>>> end_chord_part(detail::chord_part part) override;
  task<> close_chord(std::string group) override;

  // Of the server and database; the same for two that keep the same results.
  std::string address() const;
  const std::string& prefix() const noexcept;
  void close() noexcept;

 private:
  struct keeper;
  std::shared_ptr<keeper> keeper_;
};

}  // namespace plait::celery::redis
