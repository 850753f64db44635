// plait/core/then.hpp: what to do with a result when it is there, as another future.
//
//   auto size = plait::then(pool.submit(read, path), [](plait::future<std::string> text) {
//     return text.get().size();
//   });
//
// Threads:  f runs on the thread that finishes the first future, or here and now if it is done: it
//           must not block. To go on elsewhere, submit from within f and return nothing, or co_await.
// Stops:    cancelling the result before f has begun keeps f from running; it does not cancel the
//           first future, which others may hold.
// Throws:   what f throws arrives in the result; a failed first future reaches f, whose get() throws.
// Cost:     two allocations.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "plait/core/future.hpp"

namespace plait {

template <class T, class F>
auto then(const future<T>& first, F f) {
  using result = std::invoke_result_t<F, future<T>>;
  auto next = detail::access::promise_after<std::decay_t<result>>(first);
  auto handle = next.get_future();
  first.add_done_callback([f = std::move(f), next = std::move(next)](future<T> done) mutable {
    if (next.cancelled()) return;
    std::exception_ptr error;  // given on behind the handler, whose hold on it ends there
    try {
      if constexpr (std::is_void_v<result>) {
        f(std::move(done));
        next.set_value();
      } else {
        next.set_value(f(std::move(done)));
      }
    } catch (...) {
      error = std::current_exception();
    }
    if (error != nullptr) next.set_exception(std::move(error));
  });
  return handle;
}

}  // namespace plait
