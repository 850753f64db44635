// src/http/open_exchange.hpp: a request under way: its place in the pool, its connection, the conversation.
#pragma once

#include <memory>
#include <optional>

#include "http/connection_pool.hpp"
#include "http/exchange.hpp"
#include "plait/coroutines/event_loop.hpp"

namespace plait::http {

class open_exchange {
 public:
  open_exchange(connection_pool& pool, const client_options& options, url destination,
                std::uint64_t most_body)
      : to(std::move(destination)), talk(options, to, most_body) {
    place.emplace(pool, pool.host(to));
  }
  open_exchange(const open_exchange&) = delete;
  ~open_exchange() { release(); }
  static void* operator new(std::size_t bytes) {
    return plait::detail::block_cache::allocate(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    plait::detail::block_cache::free(block, bytes);
  }

  // Gives the connection back to the pool if the next request may use it, else closes it.
  void release() noexcept {
    if (stream != nullptr && talk.reusable())
      place->give_back(std::move(stream), event_loop::current().clock().now());
    stream.reset();
    place.reset();
  }

  const url to;
  std::optional<connection_pool::place> place;
  std::unique_ptr<byte_stream> stream;
  exchange talk;
  response seen;
};

}  // namespace plait::http
