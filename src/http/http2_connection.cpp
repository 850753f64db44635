#include "http/http2_connection.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <vector>

#include "http/http2_stream.hpp"
#include "http/receive_buffer.hpp"
#include "plait/coroutines/event_loop.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/net/errors.hpp"

namespace plait::http {
namespace {

constexpr std::uint32_t stream_window = 1 << 20;
// All streams' together is given back as soon as it has come: a response that nobody reads does not
// hold up the others.
constexpr std::int32_t connection_window = 16 << 20;
constexpr std::size_t most_at_once = 64 * 1024;  // that is written
constexpr std::size_t longest_request_header = 256 * 1024;
constexpr std::size_t worth_keeping = 4096;
constexpr int reads_in_a_row = 8;  // before others get their turn

template <auto Delete>
struct deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Delete(object);
  }
};

http2_stream* stream_of(nghttp2_session* session, std::int32_t id) noexcept {
  return static_cast<http2_stream*>(nghttp2_session_get_stream_user_data(session, id));
}
std::string_view text(const std::uint8_t* bytes, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(bytes), size};
}

// An exception must not travel through nghttp2.
template <class F>
int guarded(F act) noexcept {
  try {
    return act();
  } catch (...) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
}

}  // namespace

struct http2_connection::frames {
  static http2_connection& self(void* user) noexcept {
    return *static_cast<http2_connection*>(user);
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t, void*) noexcept {
    http2_stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    return guarded([&] {
      const bool fits = stream->field(text(name, name_size), text(value, value_size));
      return fits ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    });
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                     const std::uint8_t* bytes, std::size_t size, void*) noexcept {
    nghttp2_session_consume_connection(session, size);
    http2_stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    return guarded([&] {
      stream->data(text(bytes, size));
      return 0;
    });
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept {
    return guarded([&] {
      if (frame->hd.type == NGHTTP2_GOAWAY) {
        self(user).refuse_above(frame->goaway.last_stream_id);
        return 0;
      }
      if (frame->hd.type == NGHTTP2_SETTINGS) self(user).notify();
      http2_stream* stream = stream_of(session, frame->hd.stream_id);
      if (stream == nullptr) return 0;
      if (frame->hd.type == NGHTTP2_HEADERS) stream->header_complete();
      if (frame->hd.type == NGHTTP2_RST_STREAM) stream->reset_by_server();
      const bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
      if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->response_complete();
      return 0;
    });
  }

  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t code,
                      void*) noexcept {
    http2_stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    return guarded([&] {
      stream->closed(code, nghttp2_http2_strerror(code));
      return 0;
    });
  }

  // nghttp2 says why it breaks the connection off.
  static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
      self(user).broken_off_ = true;
    return 0;
  }

  static int on_complaint(nghttp2_session*, int, const char* message, std::size_t size,
                          void* user) noexcept {
    return guarded([&] {
      self(user).complaint_.assign(message, size);
      return 0;
    });
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* into,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                           void*) noexcept {
    http2_stream* stream = stream_of(session, id);
    if (stream == nullptr) return NGHTTP2_ERR_DEFERRED;
    bool last = false;
    const auto sent = stream->send_some({reinterpret_cast<char*>(into), size}, last);
    if (!sent) return NGHTTP2_ERR_DEFERRED;
    if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(*sent);
  }

  static const nghttp2_session_callbacks* callbacks() {
    using owned =
        std::unique_ptr<nghttp2_session_callbacks, deleter<nghttp2_session_callbacks_del>>;
    static const owned all = [] {
      nghttp2_session_callbacks* made = nullptr;
      if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_header_callback(made, on_header);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, on_close);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, on_sent);
      nghttp2_session_callbacks_set_error_callback2(made, on_complaint);
      return owned(made);
    }();
    return all.get();
  }

  static nghttp2_session* session(http2_connection& user) {
    nghttp2_option* given = nullptr;
    if (nghttp2_option_new(&given) != 0) throw std::bad_alloc();
    const std::unique_ptr<nghttp2_option, deleter<nghttp2_option_del>> option(given);
    nghttp2_option_set_no_auto_window_update(given, 1);
    nghttp2_option_set_max_send_header_block_length(given, longest_request_header);
    nghttp2_session* made = nullptr;
    if (nghttp2_session_client_new2(&made, callbacks(), &user, given) != 0) throw std::bad_alloc();
    return made;
  }
};

http2_connection::http2_connection(std::unique_ptr<byte_stream> over, options given)
    : over_(std::move(over)),
      options_(std::move(given)),
      session_(frames::session(*this)),
      idle_since_(event_loop::current().clock().now()) {
  const auto header_bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(options_.most_header_bytes, UINT32_MAX));
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
                                             {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_bytes}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, connection_window);
}

http2_connection::~http2_connection() { nghttp2_session_del(session_); }

std::shared_ptr<http2_connection> http2_connection::start(std::unique_ptr<byte_stream> over,
                                                          options given) {
  auto connection = std::make_shared<http2_connection>(std::move(over), std::move(given));
  connection->running_ = spawn(run(connection), {.name = "HTTP/2 connection"});
  return connection;
}

bool http2_connection::leaving() const noexcept {
  return goaway_ || ended_ || closed_ || nghttp2_session_check_request_allowed(session_) == 0;
}

bool http2_connection::accepts() const noexcept {
  return !leaving() && live_ < nghttp2_session_get_remote_settings(
                                   session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

std::unique_ptr<byte_stream> http2_connection::open_stream(const std::string& scheme) {
  return std::make_unique<http2_stream>(shared_from_this(), scheme);
}

void http2_connection::close() noexcept {
  if (std::exchange(closed_, true)) return;
  if (running_.valid()) running_.cancel();
}

// ---- the flow ------------------------------------------------------------------------------------

task<> http2_connection::run(std::shared_ptr<http2_connection> self) {
  std::exception_ptr why;
  try {
    co_await with_task_group([&self](task_group& group) { return self->converse(group); });
    if (self->broken_off_) self->throw_broken();
  } catch (const exception_group& all) {
    why = all.exceptions().front();
  } catch (const cancelled_error&) {
    why = std::make_exception_ptr(
        connection_lost("the session closed its connection to " + self->options_.whom));
  } catch (...) {
    why = std::current_exception();
  }
  self->end(std::move(why));
}

// Reads, until there is no more to expect.
task<> http2_connection::converse(task_group& group) {
  group.start([this, &group] { return write_all_the_time(group); });
  for (int reads = 0; nghttp2_session_want_read(session_) != 0;) {
    co_await over_->readable();
    const auto got = over_->try_read(receive_buffer());
    if (!got) {
      reads = 0;
      continue;
    }
    if (*got == 0) {
      goaway_ = true;
      break;
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(receive_buffer().data());
    const auto good = nghttp2_session_mem_recv(session_, bytes, *got);
    if (collect()) want_write();
    if (good < 0) {
      if (complaint_.empty()) complaint_ = nghttp2_strerror(static_cast<int>(good));
      throw_broken();
    }
    if (++reads % reads_in_a_row == 0) co_await sleep(duration::zero());
  }
  group.cancel();
}

task<> http2_connection::write_all_the_time(task_group& group) {
  try {
    for (;;) {
      wake_writer_.clear();
      while (collect()) {
        while (sent_ != outgoing_.size()) {
          sent_ += over_->try_write(std::string_view(outgoing_).substr(sent_));
          co_await over_->writable();  // also for a stream that takes first and sends now
        }
        outgoing_.clear();
        sent_ = 0;
      }
      if (nghttp2_session_want_read(session_) == 0) break;
      if (outgoing_.capacity() > worth_keeping) outgoing_ = std::string();
      co_await wake_writer_.wait();
    }
    group.cancel();
  } catch (const net::connection_closed&) {  // what it had said before is still to be read
    goaway_ = true;
  }
}

bool http2_connection::collect() {
  while (outgoing_.size() < most_at_once) {
    const std::uint8_t* frame = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &frame);
    if (size < 0) throw_broken();
    if (size == 0) break;
    outgoing_.append(text(frame, static_cast<std::size_t>(size)));
  }
  return !outgoing_.empty();
}

void http2_connection::throw_broken() const {
  throw protocol_error(options_.whom + " does not keep to the rules of HTTP/2" +
                       (complaint_.empty() ? "" : " (" + complaint_ + ")") + ": does it speak it?");
}

void http2_connection::end(std::exception_ptr why) noexcept {
  ended_ = true;
  if (closed_ && sent_ == outgoing_.size()) {  // a farewell, if it can be sent at once
    try {
      outgoing_.clear();
      nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
      if (collect()) over_->try_write(outgoing_);
    } catch (...) {
    }
  }
  while (first_ != nullptr) {
    http2_stream& stream = *first_;
    remove(stream);
    stream.lost(why);
  }
  over_.reset();
  notify();
}

// ---- streams -------------------------------------------------------------------------------------

void http2_connection::add(http2_stream& stream) noexcept {
  stream.next = first_;
  if (first_ != nullptr) first_->previous = &stream;
  first_ = &stream;
  ++live_;
  ++ever_;
}

void http2_connection::remove(http2_stream& stream) noexcept {
  if (stream.previous != nullptr) {
    stream.previous->next = stream.next;
  } else {
    first_ = stream.next;
  }
  if (stream.next != nullptr) stream.next->previous = stream.previous;
  stream.previous = stream.next = nullptr;
  if (--live_ == 0 && !ended_) idle_since_ = event_loop::current().clock().now();
}

void http2_connection::refuse_above(std::int32_t last) {
  goaway_ = true;
  for (http2_stream* stream = first_; stream != nullptr;) {
    http2_stream& refused = *std::exchange(stream, stream->next);
    if (refused.id > last)
      refused.fail(std::make_exception_ptr(
          not_processed(options_.whom + " is going away and has not begun with the request")));
  }
  notify();
}

void http2_connection::notify() noexcept {
  if (!closed_ && options_.on_change) options_.on_change();
}

namespace {
// What HTTP/1.1 says of the connection, and HTTP/2 in other ways or not at all.
bool is_of_http1(std::string_view name) noexcept {
  for (const char* own : {"Host", "Connection", "Keep-Alive", "Proxy-Connection",
                          "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "TE"})
    if (same_token(name, own)) return true;
  return false;
}
nghttp2_nv pair(std::string_view name, std::string_view value) noexcept {
  const auto bytes = [](std::string_view s) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(s.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}
}  // namespace

std::int32_t http2_connection::begin(http2_stream& stream, const request& asked,
                                     const std::string& scheme, body_to_come body) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(16);
  fields.push_back(pair(":method", asked.method));
  fields.push_back(pair(":scheme", scheme));
  fields.push_back(pair(":authority", asked.headers.get("Host")));
  fields.push_back(pair(":path", asked.target));
  for (const auto field : asked.headers)
    if (!is_of_http1(field.name)) fields.push_back(pair(field.name, field.value));
  nghttp2_data_provider provider{};
  provider.read_callback = frames::read_body;
  const std::int32_t id =
      nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                             body == body_to_come::some ? &provider : nullptr, &stream);
  if (id < 0)
    throw not_processed(options_.whom + " takes no further request on this connection (" +
                        nghttp2_strerror(id) + ")");
  want_write();
  return id;
}

void http2_connection::body_goes_on(std::int32_t id) noexcept {
  if (ended_) return;
  nghttp2_session_resume_data(session_, id);
  want_write();
}

void http2_connection::consumed(std::int32_t id, std::size_t bytes) noexcept {
  if (ended_) return;
  nghttp2_session_consume_stream(session_, id, bytes);
  if (nghttp2_session_want_write(session_) != 0) want_write();
}

// Nobody waits for the stream any more.
void http2_connection::drop(http2_stream& stream) noexcept {
  remove(stream);
  if (ended_) return;
  if (stream.id != 0) {
    nghttp2_session_set_stream_user_data(session_, stream.id, nullptr);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
    want_write();
  }
  notify();
}

}  // namespace plait::http
