// tests/http/servers.hpp: servers that live for one test: a real one and one without manners.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/net.hpp"

// Ends what it was given when it leaves scope by co_await ending(): cancels and waits.
inline plait::task<> ended(plait::future<> running) {
  running.cancel();
  try {
    co_await running;
  } catch (const plait::cancelled_error&) {
  }
}

// Runs `body(url)` on a loop beside a server.
template <class Body>
plait::task<> with_server(plait::http::server_options options, plait::http::server::handler handler,
                          Body body) {
  plait::http::server server(std::move(options), std::move(handler));
  auto serving = plait::spawn(server.serve());
  std::exception_ptr failure;
  try {
    co_await body(server.url());
  } catch (...) {
    failure = std::current_exception();
  }
  co_await ended(std::move(serving));
  if (failure != nullptr) std::rethrow_exception(failure);
}
template <class Body>
void run_with_server(plait::http::server::handler handler, Body body,
                     plait::http::server_options options = {.drain = plait::duration::zero()}) {
  plait::run(with_server(std::move(options), std::move(handler), std::move(body)));
}

// Reads up to the blank line, and gives what came up to and after it.
inline plait::task<std::string> read_head(plait::net::tcp_stream& from) {
  std::string head;
  std::array<char, 4096> buffer{};
  while (head.find("\r\n\r\n") == std::string::npos) {
    const std::size_t got = co_await from.read_some(buffer);
    if (got == 0) break;
    head.append(buffer.data(), got);
  }
  co_return head;
}

inline plait::task<std::string> read_to_end(plait::net::tcp_stream& from) {
  std::string all;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = co_await from.read_some(buffer)) all.append(buffer.data(), got);
  co_return all;
}

// What a rude server does with one connection; `n` counts them from 0.
using conduct = std::function<plait::task<>(plait::net::tcp_stream&, int n)>;

inline plait::task<> behave(const conduct& how, plait::net::tcp_stream stream, int n) {
  try {
    co_await how(stream, n);
  } catch (const plait::net::error&) {  // the client has had enough
  }
}

inline plait::task<> be_rude(plait::net::tcp_listener& listener, const conduct& how,
                             std::vector<plait::future<>>& visits) {
  for (int n = 0;; ++n) visits.push_back(plait::spawn(behave(how, co_await listener.accept(), n)));
}

// Runs `body(url)` on a loop beside a server that does what `how` says.
template <class Body>
plait::task<> with_rude_server(conduct how, Body body) {
  auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
  std::vector<plait::future<>> visits;
  auto serving = plait::spawn(be_rude(listener, how, visits));
  std::exception_ptr failure;
  try {
    co_await body("http://" + listener.local_endpoint().to_string());
  } catch (...) {
    failure = std::current_exception();
  }
  co_await ended(std::move(serving));
  for (auto& visit : visits) co_await ended(visit);
  if (failure != nullptr) std::rethrow_exception(failure);
}

// Answers every request of a connection with the same bytes, then closes.
inline conduct answering(std::string bytes) {
  return [bytes](plait::net::tcp_stream& stream, int) -> plait::task<> {
    struct once {
      static plait::task<> answer(plait::net::tcp_stream& to, const std::string& text) {
        co_await read_head(to);
        co_await to.write_all(text);
      }
    };
    return once::answer(stream, bytes);
  };
}

// A server on a loop and thread of its own, for blocking clients.
class server_thread {
 public:
  explicit server_thread(plait::http::server::handler handler,
                         plait::http::server_options options = {.drain = plait::duration::zero()})
      : server_(std::move(options), std::move(handler)),
        serving_(loop_.spawn(server_.serve())),
        thread_([this] { loop_.run(); }) {}
  ~server_thread() {
    serving_.cancel();
    loop_.shutdown();
    thread_.join();
  }
  std::string url() const { return server_.url(); }

 private:
  plait::event_loop loop_;
  plait::http::server server_;
  plait::future<> serving_;
  std::thread thread_;
};
