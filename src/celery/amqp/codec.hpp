// src/celery/amqp/codec.hpp: AMQP 0-9-1 as bytes: frames, methods, tables, content headers.
//
//   frame_reader in(131072);
//   while (auto f = in.next(bytes))                      // takes what it needs from the front
//     if (f->type == frame_type::method) auto m = decode_method(f->payload);
//   append_method(out, 1, {method_id::basic_qos, {0, 16, false}});
//
// No sockets and no state but a frame that has not come as a whole. What is read may be anything: it is
// bounded, in size and in depth, and wrong bytes are a protocol_error.
//
// Threads:  a value is a value.
// Throws:   protocol_error; also for what AMQP cannot carry (a name over 255 bytes).
// Source:   AMQP 0-9-1 specification, 2.3 and 4.2; RabbitMQ's errata on the types in tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "celery/amqp/errors.hpp"
#include "plait/celery/value.hpp"

namespace plait::celery::amqp {

inline constexpr std::string_view protocol_header("AMQP\0\0\x09\x01", 8);

enum class frame_type : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };

struct frame {
  frame_type type = frame_type::heartbeat;
  std::uint16_t channel = 0;
  std::string payload = {};
};

class frame_reader {
 public:
  // `most`: bytes of a frame's payload.
  explicit frame_reader(std::size_t most = 131072) : most_(most) {}
  // Nothing, and `bytes` is empty: more have to come.
  std::optional<frame> next(std::string_view& bytes);

 private:
  std::size_t most_;
  std::string kept_;  // of a frame that has begun
};

// Class and method in one number.
enum class method_id : std::uint32_t {
  connection_start = 10 << 16 | 10,
  connection_start_ok = 10 << 16 | 11,
  connection_tune = 10 << 16 | 30,
  connection_tune_ok = 10 << 16 | 31,
  connection_open = 10 << 16 | 40,
  connection_open_ok = 10 << 16 | 41,
  connection_close = 10 << 16 | 50,
  connection_close_ok = 10 << 16 | 51,
  connection_blocked = 10 << 16 | 60,
  connection_unblocked = 10 << 16 | 61,
  channel_open = 20 << 16 | 10,
  channel_open_ok = 20 << 16 | 11,
  channel_flow = 20 << 16 | 20,
  channel_flow_ok = 20 << 16 | 21,
  channel_close = 20 << 16 | 40,
  channel_close_ok = 20 << 16 | 41,
  exchange_declare = 40 << 16 | 10,
  exchange_declare_ok = 40 << 16 | 11,
  queue_declare = 50 << 16 | 10,
  queue_declare_ok = 50 << 16 | 11,
  queue_bind = 50 << 16 | 20,
  queue_bind_ok = 50 << 16 | 21,
  queue_delete = 50 << 16 | 40,
  queue_delete_ok = 50 << 16 | 41,
  basic_qos = 60 << 16 | 10,
  basic_qos_ok = 60 << 16 | 11,
  basic_consume = 60 << 16 | 20,
  basic_consume_ok = 60 << 16 | 21,
  basic_cancel = 60 << 16 | 30,
  basic_cancel_ok = 60 << 16 | 31,
  basic_publish = 60 << 16 | 40,
  basic_return = 60 << 16 | 50,
  basic_deliver = 60 << 16 | 60,
  basic_get = 60 << 16 | 70,
  basic_get_ok = 60 << 16 | 71,
  basic_get_empty = 60 << 16 | 72,
  basic_ack = 60 << 16 | 80,
  basic_reject = 60 << 16 | 90,
  basic_nack = 60 << 16 | 120,
  confirm_select = 85 << 16 | 10,
  confirm_select_ok = 85 << 16 | 11,
};

// A method and its arguments in the specification's order, reserved ones left out: whole numbers,
// strings, bools (bits) and dicts (tables).
struct method {
  method() = default;
  method(method_id i, list a) : id(i), arguments(std::move(a)) {}
  method_id id = method_id::connection_start;
  list arguments = {};

  // Of an argument; the decoder has seen to it that it is of its type.
  std::int64_t number(std::size_t at) const { return *arguments.at(at).get_if<std::int64_t>(); }
  const std::string& text(std::size_t at) const { return *arguments.at(at).get_if<std::string>(); }
  bool flag(std::size_t at) const { return *arguments.at(at).get_if<bool>(); }
};

// For people: "basic.deliver".
const char* name_of(method_id id) noexcept;

method decode_method(std::string_view payload);
std::string encode_method(const method& m);

// A content's properties; an empty string and -1 stand for what is not there.
struct properties {
  std::string content_type = {}, content_encoding = {};
  std::optional<dict> headers = {};
  int delivery_mode = -1, priority = -1;
  std::optional<std::string> correlation_id = {}, reply_to = {}, expiration = {}, message_id = {};
};
struct content_header {
  std::uint64_t body_bytes = 0;
  amqp::properties properties = {};
};
content_header decode_content_header(std::string_view payload);
std::string encode_content_header(const content_header& h);

void append_frame(std::string& to, frame_type type, std::uint16_t channel,
                  std::string_view payload);
void append_method(std::string& to, std::uint16_t channel, const method& m);
// basic.publish's content; frames of at most `frame_bytes`, their eight bytes around it included.
void append_content(std::string& to, std::uint16_t channel, const properties& p,
                    std::string_view body, std::size_t frame_bytes);

}  // namespace plait::celery::amqp
