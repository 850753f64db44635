// plait/http/request.hpp: what a client asked of our server.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plait/coroutines/task.hpp"
#include "plait/http/headers.hpp"
#include "plait/net/endpoint.hpp"

namespace plait::http {

// The body of a request whose route asked to have it piece by piece (see router.hpp). The client is
// read no faster than the pieces are taken.
// Throws: refusal (413) behind the route's limit, (400) for what is no HTTP; connection_lost when
//         the client left, or the request has been answered.
class request_body {
 public:
  virtual ~request_body() = default;
  // The next piece; empty at the end.
  virtual task<std::string> read_some() = 0;
};

struct request {
  std::string method = {};  // "GET", as it came
  std::string target = {};  // "/get?name=value", as it came
  http::headers headers = {};
  std::string content = {};
  net::endpoint peer = {};                  // who asks
  std::shared_ptr<request_body> body = {};  // instead of content, where a route asked for it
  std::vector<std::string> path_parameters =
      {};  // what {names} of the route's pattern stand for...
  std::shared_ptr<const std::vector<std::string>> parameter_names = {};  // ...and these names

  // The target up to its query, percent-decoded. Of http://host/path it is /path.
  std::string path() const;
  // The same as it came.
  std::string_view raw_path() const noexcept;
  // The text after the first '?', as it came.
  std::string_view query_text() const noexcept;
  // Its names and values, decoded (%41, +), in order.
  std::vector<std::pair<std::string, std::string>> query() const;

  // What {name} stands for, decoded. Throws invalid_state if the route's pattern has no such name.
  const std::string& path_parameter(std::string_view name) const;
  // As a whole number. What is none, or too large for the type, throws a refusal: 404, since there
  // is no such page.
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) Number path_parameter(std::string_view name)
  const;
};

namespace detail {
// Both throw refusal unless `least` <= the number <= `most`.
long long number_parameter(std::string_view name, const std::string& text, long long least,
                           long long most);
unsigned long long number_parameter(std::string_view name, const std::string& text,
                                    unsigned long long most);
}  // namespace detail

template <std::integral Number>
requires(!std::same_as<Number, bool>) Number request::path_parameter(std::string_view name)
const {
  constexpr Number most =
      static_cast<Number>(std::is_signed_v<Number> ? ~0ull >> (65 - 8 * sizeof(Number))
                                                   : ~0ull >> (64 - 8 * sizeof(Number)));
  if constexpr (std::is_signed_v<Number>) {
    return static_cast<Number>(detail::number_parameter(name, path_parameter(name),
                                                        -static_cast<long long>(most) - 1, most));
  } else {
    return static_cast<Number>(detail::number_parameter(name, path_parameter(name), most));
  }
}

}  // namespace plait::http
