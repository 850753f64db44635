// plait/http/router.hpp: which handler answers: by method and path.
//
//   plait::http::router routes;
//   routes.get("/users/{id}", [](const request& r) { return show(r.path_parameter<int>("id")); });
//   routes.get("/files/{path...}", plait::http::static_files("/srv/files"));
//   routes.post("/upload", take_upload, {.body = body_mode::streamed});
//   plait::http::server server({.port = 8080}, std::move(routes));
//
// A pattern's segments are literal, {name} for one segment (not empty), or, at the end, {name...} for
// all that is left, also nothing. Segments are told apart before they are percent-decoded, so %2F is
// part of a value and never a separator.
//
// Order:    the most specific pattern answers, wherever it was added: segment by segment from the
//           left a literal goes before {name}, and that before {name...}.
// Methods:  HEAD is answered by GET's handler, OPTIONS by what there is; a known path with another
//           method is 405 with Allow.
// Slashes:  /a and /a/ are two paths. Where only the other one exists, the answer is 308 to it.
// Throws:   when a route is added: invalid_route for a pattern that cannot be read, or that asks for
//           the same as one that is there (/{a} and /{b}).
// Threads:  routes are added before serving begins.
// Example:  examples/http/web_server.cpp
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "plait/coroutines/task.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/refusal.hpp"
#include "plait/http/request.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

class invalid_route : public error {
 public:
  using error::error;
};

enum class body_mode : std::uint8_t {
  whole,     // in request.content, when the handler begins
  streamed,  // by request.body: the handler begins when the header is there
};

struct route_options {
  body_mode body = body_mode::whole;
  // Instead of the server's max_body_bytes.
  std::optional<std::uint64_t> max_body_bytes = std::nullopt;
};

namespace detail {
// A function that answers at once, as a coroutine function.
template <class F>
std::function<task<response>(request)> to_handler(F f) {
  if constexpr (std::is_same_v<std::invoke_result_t<F&, request>, task<response>>) {
    return f;
  } else {
    static_assert(std::is_same_v<std::invoke_result_t<F&, request>, response>,
                  "a handler takes a plait::http::request and returns a plait::http::response or a "
                  "plait::task of one");
    return [f = std::move(f)](request asked) mutable -> task<response> {
      co_return f(std::move(asked));
    };
  }
}
}  // namespace detail

class router {
 public:
  using handler = std::function<task<response>(request)>;
  // A function around a handler. It may answer itself, or change what goes in or comes out:
  // co_return co_await next(std::move(asked)). What it captures stays; `next` too.
  using middleware = std::function<task<response>(request, const handler& next)>;
  // What an exception becomes; nothing: it goes on, to 500 and the unhandled-exception handler.
  using error_handler = std::function<std::optional<response>(const std::exception_ptr&)>;

  router();
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;
  ~router();

  // `method` may be "*": any that has no route of its own here.
  router& add(std::string_view method, std::string_view pattern, handler answer,
              route_options wanted = {});
  template <class F>
  router& get(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("GET", pattern, detail::to_handler(std::move(answer)), wanted);
  }
  template <class F>
  router& post(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("POST", pattern, detail::to_handler(std::move(answer)), wanted);
  }
  template <class F>
  router& put(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("PUT", pattern, detail::to_handler(std::move(answer)), wanted);
  }
  template <class F>
  router& patch(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("PATCH", pattern, detail::to_handler(std::move(answer)), wanted);
  }
  template <class F>
  router& delete_(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("DELETE", pattern, detail::to_handler(std::move(answer)), wanted);
  }
  template <class F>
  router& any(std::string_view pattern, F answer, route_options wanted = {}) {
    return add("*", pattern, detail::to_handler(std::move(answer)), wanted);
  }

  // Around everything this router answers, 404 included. The first one added is the outermost.
  router& use(middleware around);
  // All routes of `other` below `prefix` ("/api"), with its middleware and error handler around
  // them. What it does not know is this router's business.
  router& mount(std::string_view prefix, router other);
  // What handlers and middleware throw, refusals included.
  router& on_error(error_handler handle);
  // Instead of the plain 404.
  router& not_found(handler answer);

  // Answers. What a server does with each request, and a test may do without one.
  task<response> operator()(request asked) const;
  // What the route of this request asked for.
  route_options wishes(const request& head) const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace plait::http
