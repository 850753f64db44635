#include "celery/transport.hpp"

#include <cstdlib>
#include <utility>

#include "celery/redis/redis_backend.hpp"
#include "celery/redis/redis_broker.hpp"
#include "celery/redis/redis_control.hpp"
#include "celery/redis/translated.hpp"

namespace plait::celery {
namespace redis {
namespace {

// A field of the URL's query; "" if there is none.
std::string query_field(const std::string& url, const std::string& name) {
  for (std::size_t at = url.find('?'); at != std::string::npos; at = url.find('&', at + 1))
    if (url.compare(at + 1, name.size() + 1, name + "=") == 0) {
      const std::size_t begin = at + name.size() + 2;
      return url.substr(begin, url.find('&', begin) - begin);
    }
  return {};
}

// One server; each part connects when it is used first.
class redis_transport final : public detail::transport {
 public:
  redis_transport(const connection_options& server, const broker_options& options)
      : broker_(server, options),
        backend_(server, options.keys, options.patience),
        control_(server, options.keys, options.patience) {}

  detail::broker& broker() override { return broker_; }
  detail::result_backend& backend() override { return backend_; }
  detail::control_channel& control() override { return control_; }
  redis_broker& queues() noexcept { return broker_; }

  task<> close() override {
    try {
      co_await control_.withdraw();
    } catch (const transport_error&) {
      // The server is gone; so is what was declared there, or it will be found empty.
    }
    control_.close();
    backend_.close();
    broker_.close();
  }

 private:
  redis_broker broker_;
  redis_backend backend_;
  redis_control control_;
};

}  // namespace
}  // namespace redis

namespace detail {

task<std::unique_ptr<transport>> open_redis(std::string url) {
  redis::connection_options server;
  try {
    server = redis::parse_url(url);
  } catch (const redis::invalid_url& e) {
    throw std::invalid_argument(e.what());
  }
  redis::broker_options options;
  options.keys.prefix = redis::query_field(url, "global_keyprefix");
  const long visible = std::atol(redis::query_field(url, "visibility_timeout").c_str());
  if (visible > 0) options.visibility_timeout = std::chrono::seconds(visible);
  auto opened = std::make_unique<redis::redis_transport>(server, options);
  co_await redis::translated(opened->queues().connection().ready(server.connect_timeout));
  const std::string warning = co_await opened->queues().warning();
  // Nobody's call fails for it, and somebody has to know.
  if (!warning.empty())
    plait::detail::report_unhandled(std::make_exception_ptr(transport_error(warning)),
                                    "opening " + redis::to_text(server));
  co_return std::move(opened);
}

}  // namespace detail
}  // namespace plait::celery
