#include "plait/http/transport.hpp"

#include "plait/http/errors.hpp"
#include "plait/net/tcp_stream.hpp"

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

class network final : public transport {
 public:
  task<std::unique_ptr<byte_stream>> connect(const url& to) override {
    if (to.scheme() == "https")
      throw tls_error("cannot fetch " + to.to_string() +
                      ": this version of plait does not speak TLS; only http:// works");
    auto stream = co_await net::tcp_stream::connect(to.host(), to.port());
    co_return std::make_unique<tcp_byte_stream>(std::move(stream));
  }
};

}  // namespace

transport& default_transport() noexcept {
  static network shared;
  return shared;
}

}  // namespace plait::http
