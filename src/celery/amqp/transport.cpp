#include "celery/transport.hpp"

#include <stdexcept>
#include <utility>

#include "celery/amqp/amqp_broker.hpp"
#include "celery/amqp/amqp_control.hpp"

namespace plait::celery {
namespace amqp {
namespace {

class amqp_transport final : public detail::transport {
 public:
  explicit amqp_transport(connection_options options)
      : server_(std::make_shared<connection>(std::move(options))),
        book_(std::make_shared<reply_book>()),
        backend_(server_, book_),
        broker_(server_, book_, backend_),
        control_(server_) {}
  ~amqp_transport() override { server_->close(); }

  detail::broker& broker() override { return broker_; }
  // Who asks for it wants results; what is published from then on says where they go.
  detail::result_backend& backend() override {
    book_->is_wanted = true;
    return backend_;
  }
  detail::control_channel& control() override { return control_; }
  task<> close() override {
    try {
      co_await backend_.withdraw();
    } catch (const transport_error&) {
      // It ends by itself when nobody has listened for an hour.
    }
    co_await say_goodbye();
    server_->close();
  }
  connection& server() noexcept { return *server_; }

 private:
  // What was posted has arrived when a question after it is answered: the last acknowledgements.
  task<> say_goodbye() {
    if (!server_->is_up()) co_return;
    list a;
    a.push_back(0);
    a.push_back(1);
    a.push_back(false);
    method last(method_id::basic_qos, std::move(a));
    try {
      static_cast<void>(co_await server_->call(channel::consuming, std::move(last)));
    } catch (const transport_error&) {
    }
  }

  std::shared_ptr<connection> server_;
  std::shared_ptr<reply_book> book_;
  rpc_backend backend_;
  amqp_broker broker_;
  amqp_control control_;
};

}  // namespace
}  // namespace amqp

namespace detail {

task<std::unique_ptr<transport>> open_amqp(std::string url) {
  amqp::connection_options server;
  try {
    server = amqp::parse_url(url);
  } catch (const amqp::invalid_url& e) {
    throw std::invalid_argument(e.what());
  }
  const duration within = server.connect_timeout;
  auto opened = std::make_unique<amqp::amqp_transport>(std::move(server));
  co_await opened->server().ready(within);
  co_return std::move(opened);
}

}  // namespace detail
}  // namespace plait::celery
