// plait/net/over_tls.hpp: serve() with TLS: any listener, any handler, one call more.
//
//   co_await plait::net::serve(listener, plait::net::over_tls(context, handler));
//
// Each connection shakes hands in a flow of its own, so one that is slow, or says nothing, keeps
// nobody from being accepted. The handler gets a tls_stream.
//
// Stops:    as serve's.
// Throws:   nothing of a handshake: who cannot agree with us, or takes longer than the timeout, is
//           disconnected, and that is all. What the handler throws goes where serve() says.
// Example:  tests/net/tls_server_test.cpp
#pragma once

#include <chrono>
#include <type_traits>
#include <utility>

#include "plait/coroutines/timeout.hpp"
#include "plait/net/byte_stream.hpp"
#include "plait/net/tls_context.hpp"
#include "plait/net/tls_stream.hpp"

namespace plait::net {

struct over_tls_options {
  duration handshake_timeout = std::chrono::seconds(10);
};

template <class Handler>
class tls_handler {
 public:
  tls_handler(tls_server_context context, Handler handler, over_tls_options options)
      : context_(std::move(context)), handler_(std::move(handler)), options_(options) {}

  // Runs while the handler is kept where it is.
  template <byte_stream Stream>
  task<> operator()(Stream stream) {
    any_stream transport(std::move(stream));
    tls_stream secure;
    try {
      secure = co_await timeout(options_.handshake_timeout,
                                tls_stream::server(std::move(transport), context_));
    } catch (const tls_error&) {
      co_return;
    } catch (const timeout_error&) {
      co_return;
    }
    co_await handler_(std::move(secure));
  }

 private:
  tls_server_context context_;
  Handler handler_;
  over_tls_options options_;
};

// `handler`, a coroutine function that takes a tls_stream, as one that takes the stream below it.
template <class Handler>
[[nodiscard]] auto over_tls(tls_server_context context, Handler handler,
                            over_tls_options options = {}) {
  static_assert(std::is_same_v<std::invoke_result_t<Handler&, tls_stream>, task<>>,
                "over_tls(context, handler): handler must be a coroutine function that takes a "
                "plait::net::tls_stream and returns a plait::task<>");
  return tls_handler<Handler>(std::move(context), std::move(handler), options);
}

}  // namespace plait::net
