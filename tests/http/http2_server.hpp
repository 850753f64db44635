// tests/http/http2_server.hpp: an HTTP/2 server on nghttp2's other side, as rude as a test wants it.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "servers.hpp"

// What all connections of a test's server have seen.
struct http2_log {
  int connections = 0;
  int ended = 0;
  std::size_t most_at_once = 0;
  std::size_t pings_answered = 0;
  std::size_t goaways = 0;
  std::size_t bytes_sent = 0;         // of bodies
  std::vector<std::uint32_t> resets;  // by the client
  std::vector<std::string> asked;     // "METHOD path"
};

class http2_peer {
 public:
  struct request {
    std::int32_t id = 0;
    std::map<std::string, std::string> fields;
    std::string body;
  };
  using fields = std::vector<std::pair<std::string, std::string>>;
  struct conduct {
    std::function<void(http2_peer&, const request&)> answer;
    std::vector<nghttp2_settings_entry> settings = {};
    bool gives_windows = true;  // for what the client sends
  };

  http2_peer(plait::net::any_stream stream, conduct how, http2_log& log, int n)
      : number(n), stream_(std::move(stream)), how_(std::move(how)), log_(log) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    if (!how_.gives_windows) nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_server_new2(&session_, calls, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, how_.settings.data(),
                            how_.settings.size());
    ++log_.connections;
  }
  http2_peer(const http2_peer&) = delete;
  ~http2_peer() {
    ++log_.ended;
    nghttp2_session_del(session_);
  }

  plait::task<> serve() {
    std::array<char, 16384> buffer{};
    for (;;) {
      co_await flush();
      if (closing_) co_return;
      const std::size_t got = co_await stream_.read_some(buffer);
      if (got == 0) co_return;
      const auto taken = nghttp2_session_mem_recv(
          session_, reinterpret_cast<const std::uint8_t*>(buffer.data()), got);
      if (taken < 0) throw std::logic_error(nghttp2_strerror(static_cast<int>(taken)));
    }
  }

  void respond(std::int32_t id, const std::string& status, const fields& more = {},
               std::string body = {}, fields trailers = {}) {
    auto all = pairs(status, more);
    if (body.empty()) {
      nghttp2_submit_response(session_, id, all.data(), all.size(), nullptr);
      return;
    }
    bodies_[id] = {std::move(body), 0, std::move(trailers)};
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    nghttp2_submit_response(session_, id, all.data(), all.size(), &provider);
  }
  void interim(std::int32_t id, const std::string& status) {
    auto all = pairs(status, {});
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, all.data(), all.size(),
                           nullptr);
  }
  void reset(std::int32_t id, std::uint32_t code) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code);
  }
  void go_away(std::int32_t last) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
  }
  void ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
  // Behind what has been said: any bytes; then, if it was the last, the end.
  void raw(std::string bytes) { raw_ += bytes; }
  void close() { closing_ = true; }
  std::size_t at_once() const { return asked_.size(); }

  const int number;

 private:
  struct outgoing {
    std::string bytes;
    std::size_t sent = 0;
    fields trailers;
  };
  static http2_peer& self(void* user) { return *static_cast<http2_peer*>(user); }
  static nghttp2_nv pair(const std::string& name, const std::string& value) {
    const auto bytes = [](const std::string& s) {
      return reinterpret_cast<std::uint8_t*>(const_cast<char*>(s.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  std::vector<nghttp2_nv> pairs(const std::string& status, const fields& more) {
    static const std::string name = ":status";
    std::vector<nghttp2_nv> all{pair(name, status)};
    for (const auto& [n, v] : more) all.push_back(pair(n, v));
    return all;
  }

  plait::task<> flush() {
    for (;;) {
      const std::uint8_t* bytes = nullptr;
      const auto size = nghttp2_session_mem_send(session_, &bytes);
      if (size < 0) throw std::logic_error(nghttp2_strerror(static_cast<int>(size)));
      if (size == 0) break;
      co_await stream_.write_all(
          {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
    }
    const std::string rude = std::exchange(raw_, {});
    if (!rude.empty()) co_await stream_.write_all(rude);
  }

  static int on_begin(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& me = self(user);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      me.asked_[frame->hd.stream_id].id = frame->hd.stream_id;
    me.log_.most_at_once = std::max(me.log_.most_at_once, me.asked_.size());
    return 0;
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t n, const std::uint8_t* value, std::size_t v, std::uint8_t,
                       void* user) {
    const auto text = [](const std::uint8_t* b, std::size_t s) {
      return std::string(reinterpret_cast<const char*>(b), s);
    };
    self(user).asked_[frame->hd.stream_id].fields[text(name, n)] += text(value, v);
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                     std::size_t size, void* user) {
    self(user).asked_[id].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& me = self(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
      ++me.log_.pings_answered;
    if (frame->hd.type == NGHTTP2_GOAWAY) ++me.log_.goaways;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
      me.log_.resets.push_back(frame->rst_stream.error_code);
    const bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!may_end || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    const auto found = me.asked_.find(frame->hd.stream_id);
    if (found == me.asked_.end()) return 0;
    me.log_.asked.push_back(found->second.fields[":method"] + " " + found->second.fields[":path"]);
    if (me.how_.answer) me.how_.answer(me, found->second);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    self(user).asked_.erase(id);
    self(user).bodies_.erase(id);
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* into,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                           void* user) {
    auto& body = self(user).bodies_[id];
    const std::size_t n = std::min(size, body.bytes.size() - body.sent);
    std::copy_n(body.bytes.data() + body.sent, n, into);
    body.sent += n;
    self(user).log_.bytes_sent += n;
    if (body.sent == body.bytes.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!body.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        std::vector<nghttp2_nv> all;
        for (const auto& [name, value] : body.trailers) all.push_back(pair(name, value));
        nghttp2_submit_trailer(session, id, all.data(), all.size());
      }
    }
    return static_cast<ssize_t>(n);
  }

  plait::net::any_stream stream_;
  conduct how_;
  http2_log& log_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, request> asked_;
  std::map<std::int32_t, outgoing> bodies_;
  std::string raw_;
  bool closing_ = false;
};

inline plait::task<> serve_http2(plait::net::any_stream stream, http2_peer::conduct how,
                                 http2_log& log, int number) {
  http2_peer peer(std::move(stream), std::move(how), log, number);
  co_await peer.serve();
}

// As with_rude_server; `url` is an http:// one: to be asked with prior knowledge.
template <class Body>
void run_with_http2(http2_peer::conduct how, http2_log& log, Body body) {
  plait::run(with_rude_server([&](plait::net::tcp_stream& stream,
                                  int n) { return serve_http2(std::move(stream), how, log, n); },
                              body));
}
