// The client's part in broker's failures: what is not taken is kept, and handed on later.
#include "celery/client.hpp"

namespace plait::celery::detail {

task<> client::begin(std::shared_ptr<const workflow_start> w) {
  auto* there = co_await opened();
  auto& results = there->results();
  for (const auto& group : w->groups)
    co_await results.save_group(group.id, encode_group(group), options_.result_expires);
  for (const auto& chord : w->chords) co_await results.begin_chord(chord.group, chord.size);
  if (!w->parcels.empty()) co_await there->broker->broker().publish(w->parcels);
}

task<> client::hand_over(std::shared_ptr<const workflow_start> w) {
  if (outbox_ == nullptr) {
    co_await begin(std::move(w));
    co_return;
  }
  if (!flushing_.valid()) flushing_ = spawn(flush(), {.name = "outbox"});
  if (!broker_is_down_) {
    bool is_taken = false;
    try {
      is_taken = static_cast<bool>(co_await move_on_after(options_.outbox_after, begin(w)));
    } catch (const transport_error&) {
    }
    if (is_taken) co_return;
    broker_is_down_ = true;  // until the outbox gets something through
  }
  try {
    co_await outbox_->keep(std::move(w));
  } catch (...) {
    broker_is_down_ = false;  // the outbox may have nothing to get through
    throw;
  }
}

task<> client::flush() {
  constexpr auto pause = std::chrono::milliseconds(500);
  for (;;) {
    bool failed = false;
    try {
      const auto one = co_await outbox_->next();
      const std::shared_ptr<const workflow_start> start(one, &one->start);
      try {
        failed = !co_await move_on_after(std::chrono::seconds(20), begin(start));
      } catch (const transport_error&) {
        failed = true;
      }
      broker_is_down_ = failed;
      if (failed) {
        co_await outbox_->put_back(one->lease);
      } else {
        co_await outbox_->sent(one->lease);
      }
    } catch (const transport_error&) {  // the file itself: locked, or the disk is full
      failed = true;
    }
    if (failed) co_await sleep(pause);
  }
}

task<std::string> client::wait_for(std::string id) {
  for (;;) {
    try {
      auto* there = co_await opened();
      co_return co_await there->results().wait(id);
    } catch (const transport_error&) {
      if (outbox_ == nullptr) throw;
    }
    co_await sleep(std::chrono::milliseconds(500));
  }
}

}  // namespace plait::celery::detail
