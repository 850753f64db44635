// celery/recent_ids.hpp: ids that were named lately: the newest 50,000 of the last three hours, as
// many as Celery remembers of what was revoked.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plait/core/clock.hpp"

namespace plait::celery::detail {

class recent_ids {
 public:
  explicit recent_ids(std::size_t most = 50'000, duration longest = std::chrono::hours(3))
      : most_(most), longest_(longest) {}

  // An id that is named again is as new as the others of today.
  void insert(const std::string& id, time_point now) {
    known_[id] = now;
    in_order_.emplace_back(now, id);
    forget(now);
  }
  bool contains(const std::string& id) const { return known_.contains(id); }
  std::vector<std::string> all(time_point now) {
    forget(now);
    std::vector<std::string> ids;
    for (const auto& [id, named] : known_) ids.push_back(id);
    return ids;
  }

 private:
  void forget(time_point now) {
    while (!in_order_.empty() &&
           (in_order_.size() > most_ || in_order_.front().first + longest_ < now)) {
      const auto& [named, id] = in_order_.front();
      if (const auto found = known_.find(id); found != known_.end() && found->second == named)
        known_.erase(found);
      in_order_.pop_front();
    }
  }

  std::size_t most_;
  duration longest_;
  std::unordered_map<std::string, time_point> known_;  // and when it was named last
  std::deque<std::pair<time_point, std::string>> in_order_;
};

}  // namespace plait::celery::detail
