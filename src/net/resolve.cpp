#include "plait/net/resolve.hpp"

#include <netdb.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "net/failures.hpp"
#include "plait/coroutines/await_future.hpp"
#include "plait/net/errors.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::net {
namespace {

std::vector<endpoint> ask_system(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) throw_dns_error(code, errno, host);
  std::vector<endpoint> endpoints;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    if (a->ai_addrlen > endpoint::capacity) continue;
    endpoint e;
    std::memcpy(e.data(), a->ai_addr, a->ai_addrlen);
    e.resize(a->ai_addrlen);
    endpoints.push_back(e);
  }
  freeaddrinfo(found);
  if (endpoints.empty()) throw_dns_error(EAI_NONAME, 0, host);
  return endpoints;
}

// Not the default pool: its workers may all be blocked in calls that wait for an address.
thread_pool_executor& resolvers() {
  static thread_pool_executor pool({.max_workers = 8, .thread_name_prefix = "plait-dns"});
  return pool;
}

// The result goes through a promise, whose future can be abandoned while getaddrinfo is stuck.
future<std::vector<endpoint>> begin_lookup(std::string host, std::uint16_t port) {
  promise<std::vector<endpoint>> answer;
  auto result = answer.get_future();
  resolvers().submit([answer = std::move(answer), host = std::move(host), port]() mutable {
    std::exception_ptr error;  // given on behind the handler, whose hold on it ends there
    try {
      answer.set_value(ask_system(host, port));
    } catch (...) {
      error = std::current_exception();
    }
    if (error != nullptr) answer.set_exception(std::move(error));
  });
  return result;
}

}  // namespace

task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port) {
  if (auto numeric = endpoint::parse(host, port)) co_return std::vector<endpoint>{*numeric};
  co_return co_await begin_lookup(std::move(host), port);
}

}  // namespace plait::net
