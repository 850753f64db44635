// plait/http/retry_policy.hpp: when a request that failed is sent again.
//
//   client_session session({.retries = {.times = 3}});
//
// Sent again is what failed before an answer (no connection, connection lost) or was answered 429,
// 502, 503 or 504; and only when the method may be repeated (RFC 9110, 9.2.2) or nobody can have seen
// the request, and its body can be sent once more. Anything else is returned or thrown as it came.
#pragma once

#include "plait/core/clock.hpp"

namespace plait::http {

// Which methods may be sent again after a server may have acted on them.
enum class repeatable { idempotent_methods, every_method };

struct retry_policy {
  // How often more, at most.
  unsigned times = 0;
  // The first pause. Each next one is twice as long; a random part of up to half of it is taken off,
  // so that many clients do not come back at the same moment.
  plait::duration backoff = std::chrono::milliseconds(200);
  // No pause is longer. An answer whose Retry-After asks for more is returned as it came.
  plait::duration max_backoff = std::chrono::seconds(30);
  repeatable methods = repeatable::idempotent_methods;
};

}  // namespace plait::http
