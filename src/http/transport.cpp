#include "http/network.hpp"
#include "http/tunnel.hpp"
#include "plait/http/errors.hpp"
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
  net::tcp_stream* tcp() noexcept override { return &stream_; }

 private:
  net::tcp_stream stream_;
};

class tls_byte_stream final : public byte_stream {
 public:
  explicit tls_byte_stream(net::tls_stream stream)
      : stream_(std::move(stream)), protocol_(stream_.alpn()) {}
  std::optional<std::size_t> try_read(std::span<char> into) override {
    return stream_.try_read(into);
  }
  std::size_t try_write(std::string_view bytes) override { return stream_.try_write(bytes); }
  task<> readable() override { return stream_.readable(); }
  task<> writable() override { return stream_.writable(); }
  bool reusable() const noexcept override { return stream_.silent(); }
  std::string_view protocol() const noexcept override { return protocol_; }

 private:
  net::tls_stream stream_;
  const std::string protocol_;
};

std::vector<std::string> protocols(http_version version) {
  switch (version) {
    case http_version::http1:
      return {"http/1.1"};
    case http_version::http2:
      return {"h2"};
    default:
      return {"h2", "http/1.1"};
  }
}

// Reading the system's trusted certificates takes milliseconds: once for all sessions that want no
// others.
const net::tls_client_context& usual_context() {
  static const net::tls_client_context shared({.alpn = protocols(http_version::automatic)});
  return shared;
}

task<std::unique_ptr<byte_stream>> connect_by_tcp(const url& to) {
  auto stream = co_await net::tcp_stream::connect(to.host(), to.port());
  co_return std::make_unique<tcp_byte_stream>(std::move(stream));
}

task<std::unique_ptr<byte_stream>> connect_by_tls(const url& to,
                                                  const net::tls_client_context& trusting) {
  auto stream = co_await net::tls_stream::connect(to.host(), to.port(), trusting);
  co_return std::make_unique<tls_byte_stream>(std::move(stream));
}

bool is_usual(const client_options& options) noexcept {
  const auto& o = options.tls;
  return options.version == http_version::automatic &&
         o.verify == net::tls_verify::certificate_and_name && o.ca.empty() && o.ca_folder.empty() &&
         o.certificate.empty() && o.key.empty() && o.alpn.empty();
}

task<net::tcp_stream> connect_to(const proxy& by) {
  try {
    co_return co_await net::tcp_stream::connect(by.host, by.port);
  } catch (const net::connect_error& e) {
    throw proxy_error("the proxy " + by.name() + " cannot be reached: " + e.what(), e.code());
  } catch (const net::dns_error& e) {
    throw proxy_error("the proxy " + by.name() + " cannot be found: " + e.what(),
                      std::make_error_code(std::errc::host_unreachable));
  }
}

// `trusting` is null for http.
task<std::unique_ptr<byte_stream>> connect_by_proxy(const url& to, const proxy& by, bool passes_on,
                                                    std::size_t most_header_bytes,
                                                    const net::tls_client_context* trusting) {
  auto stream = co_await connect_to(by);
  if (!passes_on) co_await open_tunnel(stream, by, to, most_header_bytes);
  if (trusting == nullptr) co_return std::make_unique<tcp_byte_stream>(std::move(stream));
  auto secure = co_await net::tls_stream::client(std::move(stream), to.host(), *trusting);
  co_return std::make_unique<tls_byte_stream>(std::move(secure));
}

}  // namespace

const net::tls_client_context& network::context() {
  if (!context_) {
    if (is_usual(options_)) return usual_context();
    auto tls = options_.tls;
    if (tls.alpn.empty()) tls.alpn = protocols(options_.version);
    context_.emplace(tls);
  }
  return *context_;
}

task<std::unique_ptr<byte_stream>> network::connect(const url& to) {
  if (const proxy* by = proxies_.find(to); by != nullptr)
    return connect_by_proxy(to, *by, passes_on(*by, to), options_.max_header_bytes,
                            to.scheme() == "https" ? &context() : nullptr);
  return to.scheme() == "https" ? connect_by_tls(to, context()) : connect_by_tcp(to);
}

}  // namespace plait::http
