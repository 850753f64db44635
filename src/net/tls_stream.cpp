#include "plait/net/tls_stream.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>

#include "net/failures.hpp"
#include "net/stop_check.hpp"
#include "net/tls_session.hpp"
#include "plait/net/tcp_stream.hpp"

namespace plait::net {

using detail::tls_session;

namespace {

constexpr std::size_t most_at_once = 65536;  // plain bytes that are encrypted before they are sent

task<std::size_t> read(std::shared_ptr<tls_session> session, std::span<char> into) {
  co_await stop_check();
  for (;;) {
    if (const auto got = session->decrypt(into)) co_return *got;
    if (session->failure == nullptr) co_await tls_session::fill(session);
    if (session->failure != nullptr) co_await tls_session::fail(session);
  }
}

task<std::size_t> write(std::shared_ptr<tls_session> session, std::string_view bytes) {
  co_await stop_check();
  session->check_writable();
  if (session->failure != nullptr) co_await tls_session::fail(session);
  if (bytes.empty()) co_return 0;
  if (session->has_output()) co_await tls_session::flush(session);
  session->check_writable();
  const std::size_t taken = session->encrypt(bytes.substr(0, most_at_once));
  if (session->failure != nullptr) co_await tls_session::fail(session);
  try {
    co_await tls_session::flush(session);
  } catch (const cancelled_error&) {  // it is taken: the next call sends what is left
  }
  co_return taken;
}

task<> write_everything(std::shared_ptr<tls_session> session, std::string_view bytes) {
  while (!bytes.empty()) bytes.remove_prefix(co_await write(session, bytes));
}

task<> end(std::shared_ptr<tls_session> session) {
  if (session->failure != nullptr) co_await tls_session::fail(session);
  session->end_writing();
  co_await tls_session::flush(session);
}

task<> wait_readable(std::shared_ptr<tls_session> session) {
  co_await stop_check();
  if (session->has_output()) co_await tls_session::flush(session);
  if (session->starved() && session->failure == nullptr) co_await tls_session::fill(session);
}

}  // namespace

task<tls_stream> tls_stream::connect(std::string host, std::uint16_t port,
                                     const tls_client_context& context) {
  return connect_with(std::move(host), port, context);
}

task<tls_stream> tls_stream::connect_with(std::string host, std::uint16_t port,
                                          tls_client_context context) {
  auto transport = co_await tcp_stream::connect(host, port);
  co_return co_await client(std::move(transport), std::move(host), context);
}

task<tls_stream> tls_stream::client(any_stream transport, std::string host,
                                    const tls_client_context& context) {
  return shake_hands(std::make_shared<tls_session>(std::move(transport), tls_session::role::client,
                                                   std::move(host), context.settings()));
}

task<tls_stream> tls_stream::server(any_stream transport, const tls_server_context& context) {
  return shake_hands(std::make_shared<tls_session>(std::move(transport), tls_session::role::server,
                                                   "the client", context.settings()));
}

task<tls_stream> tls_stream::shake_hands(std::shared_ptr<tls_session> session) {
  tls_stream stream(session);  // closes the transport if this fails
  for (;;) {
    const bool done = session->advance_handshake();
    if (session->failure != nullptr) co_await tls_session::fail(session);
    if (session->has_output()) co_await tls_session::flush(session);
    if (done) break;
    co_await tls_session::fill(session);
    if (session->failure != nullptr) co_await tls_session::fail(session);
  }
  co_return stream;
}

const std::shared_ptr<tls_session>& tls_stream::open() const {
  if (session_ == nullptr) throw_closed(EBADF, "using it", "this end");
  return session_;
}

task<std::size_t> tls_stream::read_some(std::span<char> into) { return read(open(), into); }
task<std::size_t> tls_stream::write_some(std::string_view bytes) { return write(open(), bytes); }
task<> tls_stream::write_all(std::string_view bytes) { return write_everything(open(), bytes); }
task<> tls_stream::shutdown_write() { return end(open()); }
task<> tls_stream::readable() { return wait_readable(open()); }
task<> tls_stream::writable() { return tls_session::flush(open()); }

std::optional<std::size_t> tls_stream::try_read(std::span<char> into) {
  auto got = open()->decrypt(into);
  while (!got && session_->failure == nullptr && session_->take_in()) got = session_->decrypt(into);
  if (!got && session_->failure != nullptr) std::rethrow_exception(session_->failure);
  return got;
}

std::size_t tls_stream::try_write(std::string_view bytes) {
  open()->check_writable();
  if (session_->has_output()) return 0;
  const std::size_t taken = session_->encrypt(bytes.substr(0, most_at_once));
  if (session_->failure != nullptr) std::rethrow_exception(session_->failure);
  return taken;
}

void tls_stream::close() noexcept {
  if (session_ == nullptr) return;
  session_->closed = true;
  session_->transport.close();  // whoever waits in it is cancelled
  session_.reset();
}

bool tls_stream::is_open() const noexcept {
  return session_ != nullptr && session_->transport.is_open();
}

bool tls_stream::silent() const noexcept {
  if (!is_open()) return false;
  try {
    return session_->silent();
  } catch (const std::exception&) {  // the transport is broken
    return false;
  }
}

std::string tls_stream::alpn() const {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(open()->ssl.get(), &chosen, &size);
  return std::string(reinterpret_cast<const char*>(chosen), size);
}

std::string tls_stream::server_name() const {
  const char* name = SSL_get_servername(open()->ssl.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

std::string tls_stream::version() const { return SSL_get_version(open()->ssl.get()); }
bool tls_stream::resumed() const { return SSL_session_reused(open()->ssl.get()) == 1; }
std::string tls_stream::peer_subject() const {
  return detail::subject_of(SSL_get0_peer_certificate(open()->ssl.get()));
}

}  // namespace plait::net
