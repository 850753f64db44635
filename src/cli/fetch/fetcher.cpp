#include "cli/fetch/fetcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "cli/exit_status.hpp"
#include "cli/fetch/storage.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/task_group.hpp"
#include "plait/coroutines/timeout.hpp"
#include "plait/http/errors.hpp"

namespace plait::cli::fetch {
namespace {

constexpr int partial_content = 206, range_not_satisfiable = 416;

http::client_options session_options(const fetch_plan& plan) {
  http::client_options options;
  options.limit = plan.concurrency;
  options.timeouts.total = plan.timeout;
  options.user_agent = plan.user_agent;
  options.headers = plan.headers;
  options.retries = {.times = plan.retries};
  options.cookies = http::cookie_policy::ignore;  // URLs in any order are no visit
  // A file is what the server has, and a part of it can be gone on with.
  if (!plan.folder.empty()) options.compression = http::compression::refuse;
  options.tls = plan.tls;
  return options;
}

// What tells one version of a resource from another; empty if nothing does reliably.
std::string version_of(const http::headers& fields) {
  const auto tag = fields.get("ETag");
  if (!tag.empty() && !tag.starts_with("W/")) return std::string(tag);
  return std::string(fields.get("Last-Modified"));
}

// The first byte of "bytes 100-199/200", and N of "bytes */N".
std::optional<std::uint64_t> number_behind(std::string_view field, std::string_view start) {
  if (!field.starts_with(start)) return std::nullopt;
  field.remove_prefix(start.size());
  std::uint64_t number = 0;
  const auto read = std::from_chars(field.data(), field.data() + field.size(), number);
  return read.ec == std::errc() ? std::optional(number) : std::nullopt;
}

[[noreturn]] void give_up_for_want_of_room(const std::string& what) {
  throw complaint(exit_status::failed,
                  what + "; what was fetched is kept: make room, and go on with --resume");
}

bool means_no_room(const std::error_code& code) noexcept {
  return code == std::errc::no_space_on_device ||
         code == std::error_code(EDQUOT, std::generic_category());
}

// What went wrong, for the summary's table, and `r.error` for the record.
std::string kind_of_failure(record& r, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const timeout_error& e) {
    r.error = e.what();
    return "no answer in time";
  } catch (const http::invalid_url& e) {
    r.error = e.what();
    return "not a URL";
  } catch (const http::dns_error& e) {
    r.error = e.what();
    return "no such host";
  } catch (const http::connect_error& e) {
    r.error = e.what();
    return "no connection";
  } catch (const http::tls_error& e) {
    r.error = e.what();
    return "not to be trusted";
  } catch (const http::connection_lost& e) {
    r.error = e.what();
    return "connection lost";
  } catch (const http::too_many_redirects& e) {
    r.error = e.what();
    return "too many redirects";
  } catch (const http::error& e) {
    r.error = e.what();
    return "not HTTP";
  } catch (const net::file_error& e) {
    if (means_no_room(e.code())) give_up_for_want_of_room(e.what());
    r.error = e.what();
    return "cannot be stored";
  } catch (const std::system_error& e) {
    if (means_no_room(e.code())) give_up_for_want_of_room(e.what());
    r.error = e.what();
    return "cannot be stored";
  }
}

}  // namespace

fetcher::fetcher(const fetch_plan& plan, url_list& urls, journal* lines)
    : plan_(plan),
      session_(session_options(plan)),
      order_(urls, plan.order),
      urls_(urls),
      lines_(lines) {
  if (plan_.robots) {
    const auto slash = plan_.user_agent.find('/');
    robots_.emplace(session_, plan_.user_agent.substr(0, slash));
  }
}

task<> fetcher::run() {
  try {
    co_await with_task_group([this](task_group& workers) -> task<> {
      for (std::size_t i = 0; i < plan_.concurrency; ++i) workers.start(&fetcher::work, this);
      co_return;
    });
  } catch (const exception_group& failures) {
    std::rethrow_exception(failures.exceptions().front());  // a complaint
  }
}

task<> fetcher::work() {
  for (;;) {
    auto turn = co_await order_.next();
    if (!turn) co_return;
    if (plan_.resume && lines_ != nullptr && plan_.folder.empty() && lines_->has(turn->url)) {
      ++progress_.done;
      ++progress_.kept;
      continue;
    }
    ++progress_.active;
    const struct leaving {
      std::size_t& active;
      ~leaving() { --active; }
    } scope{progress_.active};
    const record r = co_await fetch(turn->url);
    if (lines_ != nullptr && !r.kept) lines_->write(r);
  }
}

task<record> fetcher::fetch(std::string url) {
  record r;
  r.url = std::move(url);
  const time_point started = event_loop::current().clock().now();
  std::exception_ptr failure;
  std::string kind;
  try {
    const http::url from(r.url);
    co_await timeout(plan_.timeout, fetch_into(from, r));
  } catch (const cancelled_error&) {
    throw;
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure != nullptr) {
    kind = kind_of_failure(r, failure);
  } else if (!r.ok()) {
    kind = r.error;
  }
  r.seconds = std::chrono::duration<double>(event_loop::current().clock().now() - started).count();
  count(r, kind);
  co_return r;
}

void fetcher::count(const record& r, const std::string& kind) {
  ++progress_.done;
  progress_.kept += r.kept;
  if (r.ok()) return;
  ++progress_.failed;
  ++progress_.failures[kind];
}

task<> fetcher::fetch_into(const http::url& from, record& into) {
  if (robots_) {
    const bool allowed = co_await robots_->allow(from);
    if (!allowed) {
      into.error = "refused by robots.txt";
      co_return;
    }
  }
  if (plan_.folder.empty()) {
    for (unsigned tries = 0;; ++tries) {
      const bool settled = co_await try_once(from, into, nullptr, tries == plan_.retries);
      if (settled) co_return;
    }
  }
  for (unsigned tries = 0;; ++tries) {
    stored_body body(plan_.folder, from);
    if (plan_.resume && body.is_complete()) {
      into.kept = true;
      into.bytes = body.complete_size();
      into.file = body.path();
      co_return;
    }
    const bool settled = co_await try_once(from, into, &body, tries == plan_.retries);
    if (settled) co_return;
  }
}

// False: the body broke off, and another try may bring the rest.
task<bool> fetcher::try_once(const http::url& from, record& into, stored_body* body, bool last) {
  sha256 hash;
  std::uint64_t had = 0;
  http::request_options asked;
  if (body != nullptr) {
    had = co_await body->resume(hash);
    if (had != 0) {
      asked.headers().set("Range", fmt::format("bytes={}-", had));
      asked.headers().set("If-Range", body->version());
    }
  }
  auto answer = co_await session_.stream("GET", from.to_string(), std::move(asked));
  into.status = answer.status_code();
  if (answer.url() != from.to_string()) into.final_url = answer.url();
  const auto range = answer.headers().get("Content-Range");
  const bool has_all =
      had != 0 && into.status == range_not_satisfiable && number_behind(range, "bytes */") == had;
  const bool goes_on =
      had != 0 && into.status == partial_content && number_behind(range, "bytes ") == had;
  if (!has_all && !answer.ok()) {
    if (had != 0 && into.status == range_not_satisfiable) {  // another version: from the beginning
      co_await body->start({});
      co_return last;
    }
    const auto reason = http::reason_of(into.status);
    into.error = fmt::format("HTTP {}{}{}", into.status, reason.empty() ? "" : " ", reason);
    co_return true;
  }
  into.bytes = has_all || goes_on ? had : 0;
  if (body != nullptr && !has_all && !goes_on) {
    hash = sha256();
    co_await body->start(version_of(answer.headers()));
  }
  while (!has_all) {
    std::string piece;
    bool broke_off = false;
    try {
      piece = co_await answer.read_some();
    } catch (const http::connection_lost&) {
      if (last) throw;
      broke_off = true;
    }
    if (broke_off) co_return false;
    if (piece.empty()) break;
    hash.add(piece);
    if (body != nullptr) co_await body->write(piece);
    into.bytes += piece.size();
    progress_.bytes += piece.size();
  }
  if (body != nullptr) {
    co_await body->commit();
    into.file = body->path();
  }
  if (into.status == partial_content || has_all) into.status = 200;  // of the whole
  into.sha256 = hash.finish();
  co_return true;
}

}  // namespace plait::cli::fetch
