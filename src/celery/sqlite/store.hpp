// celery/sqlite/store.hpp: what the parts of an SQLite transport share, and its broker and backend.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "celery/sqlite/bell.hpp"
#include "celery/sqlite/database.hpp"
#include "celery/transport.hpp"
#include "plait/coroutines/await_future.hpp"

namespace plait::celery::sqlite {

std::int64_t milliseconds_now();
std::int64_t milliseconds_from_now(duration span);

// In the caller's transaction.
void insert(connection& c, const detail::parcel& p);
bool store(connection& c, const detail::stored_result& r);

class queue_broker final : public detail::broker {
 public:
  queue_broker(database& d, bell& b, const detail::result_backend& own)
      : database_(d), bell_(b), backend_(own) {}
  task<> publish(std::vector<detail::parcel> parcels) override;
  task<std::vector<detail::delivery>> reserve(std::vector<std::string> queues, std::size_t at_most,
                                              duration lease) override;
  task<std::vector<std::string>> renew(std::vector<std::string> tags, duration lease) override;
  task<> finish(std::vector<detail::ending> endings) override;
  task<> restore(std::vector<std::string> tags, hand_out h) override;
  bool keeps(const detail::result_backend& b) const noexcept override { return &b == &backend_; }
  task<std::vector<detail::queue_length>> lengths(std::vector<std::string> queues) override;
  task<std::vector<detail::dead_message>> dead(std::string queue, std::size_t at_most) override;
  task<bool> retry_dead(std::string queue, std::string id) override;
  task<bool> drop_dead(std::string queue, std::string id) override;

 private:
  database& database_;
  bell& bell_;
  const detail::result_backend& backend_;
};

class results final : public detail::result_backend {
 public:
  results(database& d, bell& b) : database_(d), bell_(b) {}
  task<bool> store(detail::stored_result result) override;
  task<std::optional<std::string>> get(std::string id) override;
  task<std::string> wait(std::string id) override;
  task<> forget(std::string id) override;
  task<> begin_chord(std::string group, std::size_t size) override;
  task<std::optional<std::vector<std::string>>> end_chord_part(detail::chord_part part) override;
  task<> close_chord(std::string group) override;

  // Hands new results to those who wait for them, until it is stopped.
  task<> watch();

 private:
  database& database_;
  bell& bell_;
  event wanted_;  // somebody waits
  std::unordered_multimap<std::string, plait::promise<std::string>*> waiting_;
};

class mail final : public detail::control_channel {
 public:
  mail(database& d, bell& b) : database_(d), bell_(b) {}
  task<> broadcast(std::string envelope) override;
  task<std::string> next_request() override;
  task<> reply(std::string exchange, std::string routing_key, std::string envelope) override;
  task<std::string> next_reply(std::string routing_key) override;
  task<> emit(std::string routing_key, std::string envelope) override;
  task<std::pair<std::string, std::string>> next_event() override;
  // What is sent from now on is not missed.
  task<> begin();

 private:
  task<> send(std::string channel, std::string envelope);
  // The next letter to a channel that begins with `prefix`: its channel and its text.
  task<std::pair<std::string, std::string>> next(std::string prefix, std::int64_t& last);
  database& database_;
  bell& bell_;
  std::int64_t start_ = 0, last_request_ = 0, last_event_ = 0;
  std::unordered_map<std::string, std::int64_t> last_replies_;
};

}  // namespace plait::celery::sqlite
