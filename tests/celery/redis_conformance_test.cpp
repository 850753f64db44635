// Redis keeps what every broker promises.
#include "broker_conformance.hpp"
#include "redis_server.hpp"

namespace broker_conformance {
namespace {

struct redis_store {
  bool available() const { return true; }
  std::string url() const { return server.url(); }
  redis_server server;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Redis, BrokerConformance, redis_store);

}  // namespace
}  // namespace broker_conformance
