// src/cli/fetch/fetcher.hpp: many URLs over one session: what `plait fetch` does, without its options' parsing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cli/fetch/record.hpp"
#include "cli/fetch/robots.hpp"
#include "cli/fetch/turnstile.hpp"
#include "cli/fetch/url_list.hpp"
#include "plait/http/client_session.hpp"

namespace plait::cli::fetch {

struct fetch_plan {
  std::size_t concurrency = 100;
  turnstile_options order = {};
  duration timeout = std::chrono::minutes(5);  // of one URL, retries included
  unsigned retries = 2;
  std::string folder = {};  // empty: bodies are not kept
  bool resume = false;
  bool robots = false;
  std::string user_agent = "plait/0.1";
  http::headers headers = {};
  net::tls_client_options tls = {};
};

// So far.
struct fetch_progress {
  std::uint64_t done = 0, failed = 0, kept = 0;  // failed and kept ones are done
  std::uint64_t bytes = 0;                       // that came
  std::size_t active = 0;
  std::map<std::string, std::uint64_t> failures = {};  // by kind
};

class stored_body;

class fetcher {
 public:
  // `lines` may be null; both must outlive it.
  fetcher(const fetch_plan& plan, url_list& urls, journal* lines);

  // Until all URLs have had their turn. Throws complaint for what concerns all of them: a full disk.
  task<> run();
  const fetch_progress& progress() const noexcept { return progress_; }

 private:
  task<> work();
  task<record> fetch(std::string url);
  task<> fetch_into(const http::url& from, record& into);
  task<bool> try_once(const http::url& from, record& into, stored_body* body, bool last);
  void count(const record& r, const std::string& kind);

  const fetch_plan plan_;
  http::client_session session_;
  turnstile order_;
  std::optional<robots> robots_;
  url_list& urls_;
  journal* lines_;
  fetch_progress progress_;
};

}  // namespace plait::cli::fetch
