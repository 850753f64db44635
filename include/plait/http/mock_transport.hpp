// plait/http/mock_transport.hpp: a web for tests, without a network and on any clock.
//
//   plait::testing::mock_transport web;
//   web.on("GET", "http://api.test/users/1", {.content = R"({"name":"me"})"});
//   web.on("POST", "http://api.test/users", [](plait::http::request asked) -> plait::task<response> { ... });
//   client_session session({.transport = &web});
//   ...
//   EXPECT_EQ(web.requests().size(), 2u);
//
// Requests travel as bytes, through the client's whole code. Handlers may sleep: under a virtual clock
// that costs nothing.
//
// Threads:  belongs to the session's loop, and must outlive the session.
// Throws:   a request that nobody has told an answer for fails with http::error, which names it.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plait/http/request.hpp"
#include "plait/http/response.hpp"
#include "plait/http/transport.hpp"

namespace plait::http {

class mock_transport final : public transport {
 public:
  using handler = std::function<task<response>(request)>;
  struct seen_request {
    std::string method, url;
    http::headers headers;
    std::string content;
  };

  mock_transport();
  // Answers everything that on() does not.
  explicit mock_transport(handler otherwise);
  ~mock_transport() override;

  // The URL with its query. Told several times, the answers are given one after the other, and the last
  // for ever.
  mock_transport& on(std::string method, std::string url, response answer);
  mock_transport& on(std::string method, std::string url, handler answer);
  // Nobody listens at this scheme, host and port: connect_error.
  mock_transport& refuse(std::string url);

  // In the order of arrival.
  const std::deque<seen_request>& requests() const noexcept;
  std::size_t connections() const noexcept;  // ever

  task<std::unique_ptr<byte_stream>> connect(const url& to) override;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace plait::http
