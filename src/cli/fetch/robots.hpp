// src/cli/fetch/robots.hpp: what a site's robots.txt allows (RFC 9309).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plait/coroutines/event.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/http/client_session.hpp"

namespace plait::cli::fetch {

// The rules for one product name.
class robots_rules {
 public:
  // `text` is the file, of which the first 500 KiB count. The group of that name counts, else that of
  // "*"; without either everything is allowed.
  robots_rules(std::string_view text, std::string_view product);
  static robots_rules allow_all() { return {"", ""}; }
  static robots_rules allow_nothing() { return {"User-agent: *\nDisallow: /\n", ""}; }

  // `target` is path and query. The longest rule that matches decides, and of two the one that allows.
  bool allows(std::string_view target) const;

 private:
  struct rule {
    std::string pattern;
    bool allows;
  };
  std::vector<rule> rules_;
};

// Asks each scheme, host and port once. A file that is not there (4xx) allows everything; a server that
// fails or cannot be reached allows nothing, as the RFC has it.
class robots {
 public:
  robots(http::client_session& session, std::string product)
      : session_(session), product_(std::move(product)) {}
  task<bool> allow(const http::url& to);

 private:
  struct site {
    robots_rules rules = robots_rules::allow_nothing();
    event known;
  };
  task<robots_rules> ask(const http::url& to);

  http::client_session& session_;
  const std::string product_;
  std::unordered_map<std::string, std::shared_ptr<site>> sites_;
};

}  // namespace plait::cli::fetch
