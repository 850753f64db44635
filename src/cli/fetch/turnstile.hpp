// src/cli/fetch/turnstile.hpp: whose turn it is: the next URL whose host is free, at the rate that is wanted.
//
// It reads ahead of a busy host by up to `window` URLs, so that others need not wait for it.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "cli/fetch/url_list.hpp"
#include "plait/core/clock.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/lock.hpp"

namespace plait::cli::fetch {

struct turnstile_options {
  std::size_t per_host = 0;  // at once; 0: no limit
  double rate = 0;           // a second; 0: no limit
  std::size_t window = 10'000;
};

class turnstile {
 public:
  turnstile(url_list& urls, turnstile_options options) : urls_(urls), options_(options) {}
  turnstile(const turnstile&) = delete;

  // One URL's turn; its end lets the next one of that host go.
  class turn {
   public:
    turn(turnstile& of, std::string whose, std::string host)
        : url(std::move(whose)), of_(&of), host_(std::move(host)) {}
    turn(turn&& other) noexcept
        : url(std::move(other.url)),
          of_(std::exchange(other.of_, nullptr)),
          host_(std::move(other.host_)) {}
    turn& operator=(turn&&) = delete;
    ~turn() {
      if (of_ != nullptr) of_->leave(host_);
    }
    const std::string url;

   private:
    turnstile* of_;
    std::string host_;
  };
  // Any number of flows may wait. Nothing when all have had their turn.
  task<std::optional<turn>> next();

 private:
  struct host {
    std::deque<std::string> waiting;
    std::size_t active = 0;
    bool listed = false;  // in free_
  };
  void add(std::string url);
  void list_if_free(const std::string& name, host& h);
  void leave(const std::string& name) noexcept;
  task<> keep_pace();

  url_list& urls_;
  const turnstile_options options_;
  std::unordered_map<std::string, host> hosts_;  // those that wait or are busy
  std::deque<std::string> free_;                 // hosts that have a URL and room for it
  std::size_t held_ = 0;                         // URLs that wait
  bool exhausted_ = false;
  bool reading_ = false;
  event changed_;
  time_point next_slot_{};
};

}  // namespace plait::cli::fetch
