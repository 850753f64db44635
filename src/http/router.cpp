#include "plait/http/router.hpp"

#include "http/route_tree.hpp"

namespace plait::http {
namespace {

using handler = router::handler;

// The other spelling of a path: with or without the slash at its end. Nothing for one that a browser
// would take for the name of another server.
std::string other_slash(std::string_view raw_path) {
  if (raw_path.size() < 2 || raw_path[1] == '/' || raw_path[1] == '\\') return {};
  if (raw_path.ends_with('/')) return std::string(raw_path.substr(0, raw_path.size() - 1));
  return std::string(raw_path) + "/";
}

task<response> guarded(task<response> answering, const router::error_handler& handle) {
  std::exception_ptr error;
  try {
    co_return co_await std::move(answering);
  } catch (const cancelled_error&) {
    throw;
  } catch (...) {
    error = std::current_exception();
  }
  auto answer = handle(error);
  if (!answer) std::rethrow_exception(std::move(error));
  co_return std::move(*answer);
}

task<response> ready(response answer) { co_return answer; }

handler around(const router::middleware& outer, handler inner) {
  return
      [outer, inner = std::move(inner)](request asked) { return outer(std::move(asked), inner); };
}

handler around(const router::error_handler& outer, handler inner) {
  return [outer, inner = std::move(inner)](request asked) {
    return guarded(inner(std::move(asked)), outer);
  };
}

}  // namespace

struct router::state {
  route_tree routes;
  std::vector<middleware> middlewares;
  error_handler handle;
  handler unknown;
  handler whole;  // the middlewares around dispatch(); null while there are none

  // `inner` as this router would have it called.
  handler wrapped(handler inner) const {
    for (auto m = middlewares.rbegin(); m != middlewares.rend(); ++m)
      inner = around(*m, std::move(inner));
    return handle ? around(handle, std::move(inner)) : inner;
  }
  void rewrap() {
    whole = wrapped([this](request asked) { return dispatch(std::move(asked)); });
  }
  task<response> dispatch(request asked) const {
    const auto path = path_segments(asked.raw_path());
    if (path) {
      auto match = routes.find(asked.method, *path);
      if (match.found != nullptr) {
        asked.path_parameters = std::move(match.values);
        asked.parameter_names = match.found->names;
        return match.found->answer(std::move(asked));
      }
    }
    return refuse(path, std::move(asked));
  }
  task<response> refuse(const std::optional<std::vector<std::string>>& path, request asked) const {
    if (asked.method == "OPTIONS" && asked.target == "*") return ready({.status_code = 204});
    std::string allowed = path ? routes.allowed(*path) : std::string();
    response answer;
    if (!allowed.empty()) {
      if (asked.method == "OPTIONS") {
        answer.status_code = 204;
      } else {
        answer = refusal(405, "This page knows only " + allowed + ".").answer();
      }
      answer.headers.add("Allow", allowed);
      return ready(std::move(answer));
    }
    if (auto other = other_slash(asked.raw_path()); path && !other.empty()) {
      const auto there = path_segments(other);
      if (there && routes.find(asked.method, *there).found != nullptr) {
        if (!asked.query_text().empty()) other.append("?").append(asked.query_text());
        answer.status_code = 308;
        answer.headers.add("Location", other);
        return ready(std::move(answer));
      }
    }
    if (unknown) return unknown(std::move(asked));
    return ready(refusal(404, "There is no such page.").answer());
  }
};

router::router() : state_(std::make_unique<state>()) {}
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;
router::~router() = default;

router& router::add(std::string_view method, std::string_view pattern, handler answer,
                    route_options options) {
  if (!answer) throw invalid_route("the pattern '" + std::string(pattern) + "' has no handler");
  headers check;
  if (method != "*") check.add(method, "");  // throws invalid_header for what is no token
  state_->routes.add(method, {std::move(answer), options, std::string(pattern), nullptr});
  return *this;
}

router& router::use(middleware m) {
  state_->middlewares.push_back(std::move(m));
  state_->rewrap();
  return *this;
}

router& router::on_error(error_handler handle) {
  state_->handle = std::move(handle);
  state_->rewrap();
  return *this;
}

router& router::not_found(handler answer) {
  state_->unknown = std::move(answer);
  return *this;
}

router& router::mount(std::string_view prefix, router other) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  other.state_->routes.for_each([&](const std::string& method, const route& r) {
    state_->routes.add(method, {other.state_->wrapped(r.answer), r.options,
                                std::string(prefix) + r.pattern, nullptr});
  });
  return *this;
}

task<response> router::operator()(request asked) const {
  return state_->whole ? state_->whole(std::move(asked)) : state_->dispatch(std::move(asked));
}

route_options router::wishes(const request& head) const {
  const auto path = path_segments(head.raw_path());
  if (!path) return {};
  const auto match = state_->routes.find(head.method, *path);
  return match.found != nullptr ? match.found->options : route_options{};
}

}  // namespace plait::http
