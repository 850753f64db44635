#include "http/network.hpp"
#include "plait/net/tcp_stream.hpp"
#include "plait/net/tls_stream.hpp"

namespace plait::http {
namespace {

class tcp_byte_stream final : public byte_stream {
 public:
  explicit tcp_byte_stream(net::tcp_stream stream) noexcept : stream_(std::move(stream)) {}
  std::optional<std::size_t> try_read(std::span<char> into) override {
    return stream_.try_read(into);
  }
  std::size_t try_write(std::string_view bytes) override { return stream_.try_write(bytes); }
  task<> readable() override { co_await stream_.readable(); }
  task<> writable() override { co_await stream_.writable(); }
  bool reusable() const noexcept override { return stream_.silent(); }

 private:
  net::tcp_stream stream_;
};

class tls_byte_stream final : public byte_stream {
 public:
  explicit tls_byte_stream(net::tls_stream stream) noexcept : stream_(std::move(stream)) {}
  std::optional<std::size_t> try_read(std::span<char> into) override {
    return stream_.try_read(into);
  }
  std::size_t try_write(std::string_view bytes) override { return stream_.try_write(bytes); }
  task<> readable() override { co_await stream_.readable(); }
  task<> writable() override { co_await stream_.writable(); }
  bool reusable() const noexcept override { return stream_.is_open(); }

 private:
  net::tls_stream stream_;
};

// Reading the system's trusted certificates takes milliseconds: once for all sessions that want no
// others.
const net::tls_client_context& usual_context() {
  static const net::tls_client_context shared({.alpn = {"http/1.1"}});
  return shared;
}

bool is_usual(const net::tls_client_options& o) noexcept {
  return o.verify == net::tls_verify::certificate_and_name && o.ca.empty() && o.ca_folder.empty() &&
         o.certificate.empty() && o.key.empty() && o.alpn.empty();
}

}  // namespace

const net::tls_client_context& network::context() {
  if (!context_) {
    if (is_usual(tls_)) return usual_context();
    if (tls_.alpn.empty()) tls_.alpn = {"http/1.1"};
    context_.emplace(tls_);
  }
  return *context_;
}

task<std::unique_ptr<byte_stream>> network::connect(const url& to) {
  if (to.scheme() == "https") {
    auto stream = co_await net::tls_stream::connect(to.host(), to.port(), context());
    co_return std::make_unique<tls_byte_stream>(std::move(stream));
  }
  auto stream = co_await net::tcp_stream::connect(to.host(), to.port());
  co_return std::make_unique<tcp_byte_stream>(std::move(stream));
}

}  // namespace plait::http
