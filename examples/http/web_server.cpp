// Routes, a middleware, a body that streams in, events that stream out; and a client that visits.
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"

namespace http = plait::http;

long sum_of_squares(int n) {
  std::vector<long> squares(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) squares[static_cast<std::size_t>(i)] = long{i} * i;
  return std::accumulate(squares.begin(), squares.end(), 0L);
}

// What computes for long runs on a thread, or in a worker process, while the loop goes on.
plait::task<http::response> show_sum(http::request asked) {
  const int n = asked.path_parameter<int>("n");
  if (n < 0 || n > 1'000'000) throw http::refusal(422, "n is from 0 to 1000000");
  const long sum = co_await plait::to_thread(sum_of_squares, n);
  http::response answer;
  answer.content = std::to_string(sum);
  co_return answer;
}

// However large the upload is, one piece of it is in memory.
plait::task<http::response> count_bytes(http::request asked) {
  std::size_t bytes = 0;
  for (;;) {
    const std::string piece = co_await asked.body->read_some();
    if (piece.empty()) break;
    bytes += piece.size();
  }
  http::response answer;
  answer.content = std::to_string(bytes) + " bytes";
  co_return answer;
}

plait::task<> count_down(http::event_sender& to) {
  for (int i = 3; i > 0; --i) co_await to.send(http::server_event(std::to_string(i)));
}

plait::task<http::response> sign(http::request asked, const http::router::handler& next) {
  auto answer = co_await next(std::move(asked));
  answer.headers.set("Server", "example");
  co_return answer;
}

http::router make_routes() {
  http::router routes;
  routes.get("/sums/{n}", show_sum);
  routes.post("/upload", count_bytes,
              {.body = http::body_mode::streamed, .max_body_bytes = 1'000'000'000});
  routes.get("/countdown", [](const http::request&) { return http::event_stream(count_down); });
  routes.use(sign);
  return routes;
}

plait::task<> visit(std::string url) {
  http::client_session session;
  for (const char* page : {"/sums/10", "/sums/ten", "/sums/-1", "/nowhere", "/countdown"}) {
    const auto answer = co_await session.get(url + page);
    std::cout << page << ": " << answer.status_code << " " << answer.content
              << (answer.content.ends_with('\n') ? "" : "\n");
  }
  const auto sent = co_await session.post(
      url + "/upload", http::request_options().with_content(std::string(5'000'000, 'x')));
  std::cout << "/upload: " << sent.content << " from " << sent.headers.get("Server") << "\n";
}

plait::task<> serve_one_visit() {
  http::server server({.drain = plait::duration::zero()}, make_routes());
  auto serving = plait::spawn(server.serve());
  co_await visit(server.url());
  serving.cancel();
  try {
    co_await serving;
  } catch (const plait::cancelled_error&) {  // as it was told
  }
}

int main() { plait::run(serve_one_visit()); }
