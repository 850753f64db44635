#include "celery/amqp/codec.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "plait/celery/json.hpp"

namespace plait::celery::amqp {
namespace {

constexpr char frame_end = '\xce';
constexpr int deepest = 64;  // a table in a table in ...

template <class Unsigned>
void put(std::string& to, Unsigned n) {
  for (int shift = static_cast<int>(sizeof n) * 8 - 8; shift >= 0; shift -= 8)
    to += static_cast<char>(static_cast<std::uint64_t>(n) >> shift);
}

void put_short_string(std::string& to, std::string_view text) {
  if (text.size() > 255)
    throw protocol_error("AMQP has names of up to 255 bytes, not \"" +
                         std::string(text.substr(0, 40)) + "...\"");
  put(to, static_cast<std::uint8_t>(text.size()));
  to += text;
}

void put_long_string(std::string& to, std::string_view text) {
  if (text.size() > UINT32_MAX) throw protocol_error("a string is too long for AMQP");
  put(to, static_cast<std::uint32_t>(text.size()));
  to += text;
}

void put_table(std::string& to, const dict& table, int depth);

// What `fill` appends, its size in four bytes before it.
template <class F>
void put_sized(std::string& to, F fill) {
  const std::size_t at = to.size();
  to.append(4, '\0');
  fill();
  const std::size_t size = to.size() - at - 4;
  if (size > UINT32_MAX) throw protocol_error("a table is too large for AMQP");
  for (int i = 0; i < 4; ++i) to[at + i] = static_cast<char>(size >> (24 - 8 * i));
}

void put_field(std::string& to, const value& v, int depth) {
  if (depth > deepest) throw protocol_error("a table is too deep for AMQP");
  if (v.is_null()) {
    to += 'V';
  } else if (const bool* flag = v.get_if<bool>()) {
    to += 't';
    to += *flag ? '\1' : '\0';
  } else if (const auto* number = v.get_if<std::int64_t>()) {
    if (*number >= INT32_MIN && *number <= INT32_MAX) {
      to += 'I';
      put(to, static_cast<std::uint32_t>(*number));
    } else {
      to += 'l';
      put(to, static_cast<std::uint64_t>(*number));
    }
  } else if (const double* real = v.get_if<double>()) {
    to += 'd';
    put(to, std::bit_cast<std::uint64_t>(*real));
  } else if (const auto* text = v.get_if<std::string>()) {
    to += 'S';
    put_long_string(to, *text);
  } else if (const auto* items = v.get_if<list>()) {
    to += 'A';
    put_sized(to, [&] {
      for (const value& each : *items) put_field(to, each, depth + 1);
    });
  } else if (const auto* table = v.get_if<dict>()) {
    to += 'F';
    put_table(to, *table, depth + 1);
  } else if (const auto* raw = v.get_if<bytes>()) {
    to += 'x';
    put_long_string(to, {reinterpret_cast<const char*>(raw->data()), raw->size()});
  } else {  // a date, a decimal, an uuid: as kombu before 5.3 wrote them in JSON
    std::string bare = to_json(v, dialect::bare);
    if (bare.size() >= 2 && bare.front() == '"') bare = bare.substr(1, bare.size() - 2);
    to += 'S';
    put_long_string(to, bare);
  }
}

void put_table(std::string& to, const dict& table, int depth) {
  put_sized(to, [&] {
    for (const dict::entry& each : table) {
      put_short_string(to, each.key);
      put_field(to, each.value, depth);
    }
  });
}

class parser {
 public:
  explicit parser(std::string_view bytes) : left_(bytes) {}

  template <class Unsigned>
  Unsigned take() {
    const std::string_view raw = take_bytes(sizeof(Unsigned));
    std::uint64_t n = 0;
    for (const char c : raw) n = n << 8 | static_cast<std::uint8_t>(c);
    return static_cast<Unsigned>(n);
  }
  std::string_view take_bytes(std::size_t count) {
    if (count > left_.size()) throw protocol_error("an AMQP frame ends too early");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::string take_short_string() { return std::string(take_bytes(take<std::uint8_t>())); }
  std::string take_long_string() { return std::string(take_bytes(take<std::uint32_t>())); }
  dict take_table(int depth = 0) {
    if (depth > deepest) throw protocol_error("a table is too deep");
    parser within(take_bytes(take<std::uint32_t>()));
    dict table;
    while (!within.left_.empty()) {
      std::string key = within.take_short_string();
      table.append(std::move(key), within.take_field(depth));
    }
    return table;
  }
  bool is_empty() const noexcept { return left_.empty(); }

 private:
  value take_field(int depth) {
    const char type = static_cast<char>(take<std::uint8_t>());
    switch (type) {
      case 'V':
        return {};
      case 't':
        return take<std::uint8_t>() != 0;
      case 'b':
        return static_cast<std::int8_t>(take<std::uint8_t>());
      case 'B':
        return take<std::uint8_t>();
      case 's':
        return static_cast<std::int16_t>(take<std::uint16_t>());
      case 'u':
        return take<std::uint16_t>();
      case 'I':
        return static_cast<std::int32_t>(take<std::uint32_t>());
      case 'i':
        return take<std::uint32_t>();
      case 'l':
      case 'L':
        return static_cast<std::int64_t>(take<std::uint64_t>());
      case 'f':
        return static_cast<double>(std::bit_cast<float>(take<std::uint32_t>()));
      case 'd':
        return std::bit_cast<double>(take<std::uint64_t>());
      case 'D': {
        const auto places = take<std::uint8_t>();
        const auto digits = static_cast<std::int32_t>(take<std::uint32_t>());
        return decimal{std::to_string(digits) + "E-" + std::to_string(places)};
      }
      case 'S':
        return take_long_string();
      case 'x': {
        const std::string raw = take_long_string();
        const auto* first = reinterpret_cast<const std::byte*>(raw.data());
        return bytes(first, first + raw.size());
      }
      case 'T': {
        // Seconds; what no calendar has stays a number.
        const auto seconds = take<std::uint64_t>();
        if (seconds > 253402300799) return seconds;
        return datetime{
            .at = datetime::instant(std::chrono::seconds(static_cast<std::int64_t>(seconds)))};
      }
      case 'A': {
        if (depth >= deepest) throw protocol_error("a table is too deep");
        parser within(take_bytes(take<std::uint32_t>()));
        list items;
        while (!within.left_.empty()) items.push_back(within.take_field(depth + 1));
        return items;
      }
      case 'F':
        return take_table(depth + 1);
      default:
        throw protocol_error("a table has a field of the unknown type " +
                             std::to_string(static_cast<unsigned char>(type)));
    }
  }

  std::string_view left_;
};

// A method's arguments, one letter each: o h l L numbers of 1, 2, 4, 8 bytes; s S short and long
// strings; t a bit; F a table. Reserved ones, which are no arguments here: 0 a short number, 1 a short
// string, 2 a bit.
struct shape {
  method_id id;
  const char* name;
  const char* fields;
};
constexpr std::array shapes{
    shape{method_id::connection_start, "connection.start", "ooFSS"},
    shape{method_id::connection_start_ok, "connection.start-ok", "FsSs"},
    shape{method_id::connection_tune, "connection.tune", "hlh"},
    shape{method_id::connection_tune_ok, "connection.tune-ok", "hlh"},
    shape{method_id::connection_open, "connection.open", "s12"},
    shape{method_id::connection_open_ok, "connection.open-ok", "1"},
    shape{method_id::connection_close, "connection.close", "hshh"},
    shape{method_id::connection_close_ok, "connection.close-ok", ""},
    shape{method_id::connection_blocked, "connection.blocked", "s"},
    shape{method_id::connection_unblocked, "connection.unblocked", ""},
    shape{method_id::channel_open, "channel.open", "1"},
    shape{method_id::channel_open_ok, "channel.open-ok", "S"},
    shape{method_id::channel_flow, "channel.flow", "t"},
    shape{method_id::channel_flow_ok, "channel.flow-ok", "t"},
    shape{method_id::channel_close, "channel.close", "hshh"},
    shape{method_id::channel_close_ok, "channel.close-ok", ""},
    shape{method_id::exchange_declare, "exchange.declare", "0sstttttF"},
    shape{method_id::exchange_declare_ok, "exchange.declare-ok", ""},
    shape{method_id::queue_declare, "queue.declare", "0stttttF"},
    shape{method_id::queue_declare_ok, "queue.declare-ok", "sll"},
    shape{method_id::queue_bind, "queue.bind", "0ssstF"},
    shape{method_id::queue_bind_ok, "queue.bind-ok", ""},
    shape{method_id::queue_delete, "queue.delete", "0sttt"},
    shape{method_id::queue_delete_ok, "queue.delete-ok", "l"},
    shape{method_id::basic_qos, "basic.qos", "lht"},
    shape{method_id::basic_qos_ok, "basic.qos-ok", ""},
    shape{method_id::basic_consume, "basic.consume", "0ssttttF"},
    shape{method_id::basic_consume_ok, "basic.consume-ok", "s"},
    shape{method_id::basic_cancel, "basic.cancel", "st"},
    shape{method_id::basic_cancel_ok, "basic.cancel-ok", "s"},
    shape{method_id::basic_publish, "basic.publish", "0sstt"},
    shape{method_id::basic_return, "basic.return", "hsss"},
    shape{method_id::basic_deliver, "basic.deliver", "sLtss"},
    shape{method_id::basic_get, "basic.get", "0st"},
    shape{method_id::basic_get_ok, "basic.get-ok", "Ltssl"},
    shape{method_id::basic_get_empty, "basic.get-empty", "1"},
    shape{method_id::basic_ack, "basic.ack", "Lt"},
    shape{method_id::basic_reject, "basic.reject", "Lt"},
    shape{method_id::basic_nack, "basic.nack", "Ltt"},
    shape{method_id::confirm_select, "confirm.select", "t"},
    shape{method_id::confirm_select_ok, "confirm.select-ok", ""},
};

const shape* find_shape(std::uint32_t id) noexcept {
  for (const shape& each : shapes)
    if (static_cast<std::uint32_t>(each.id) == id) return &each;
  return nullptr;
}

bool is_bit(char field) { return field == 't' || field == '2'; }

[[noreturn]] void wrong_arguments(const shape& of) {
  throw protocol_error(std::string("wrong arguments for ") + of.name);
}

}  // namespace

const char* name_of(method_id id) noexcept {
  const shape* of = find_shape(static_cast<std::uint32_t>(id));
  return of != nullptr ? of->name : "an unknown method";
}

std::optional<frame> frame_reader::next(std::string_view& bytes) {
  const auto fill = [&](std::size_t size) {
    if (kept_.size() >= size) return true;
    const std::size_t count = std::min(size - kept_.size(), bytes.size());
    kept_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    return kept_.size() >= size;
  };
  if (!fill(7)) return std::nullopt;
  if (kept_.starts_with("AMQP")) throw protocol_error("the server speaks another version of AMQP");
  parser head(kept_);
  const auto type = head.take<std::uint8_t>();
  const auto channel = head.take<std::uint16_t>();
  const auto size = head.take<std::uint32_t>();
  if (type != 1 && type != 2 && type != 3 && type != 8)
    throw protocol_error("an AMQP frame of the unknown type " + std::to_string(type));
  if (size > most_)
    throw protocol_error("an AMQP frame of " + std::to_string(size) + " bytes, over the limit of " +
                         std::to_string(most_));
  if (!fill(std::size_t{8} + size)) return std::nullopt;
  if (kept_.back() != frame_end) throw protocol_error("an AMQP frame without its end");
  frame whole{static_cast<frame_type>(type), channel, kept_.substr(7, size)};
  kept_.clear();
  return whole;
}

method decode_method(std::string_view payload) {
  parser from(payload);
  const auto id = from.take<std::uint32_t>();
  const shape* of = find_shape(id);
  if (of == nullptr)
    throw protocol_error("unknown AMQP method " + std::to_string(id >> 16) + '.' +
                         std::to_string(id & 0xffff));
  method made(of->id, {});
  unsigned bit = 8;
  std::uint8_t bits = 0;
  for (const char* field = of->fields; *field != '\0'; ++field) {
    if (is_bit(*field)) {
      if (bit == 8) {
        bits = from.take<std::uint8_t>();
        bit = 0;
      }
      const bool flag = (bits >> bit++ & 1) != 0;
      if (*field == 't') made.arguments.push_back(flag);
      continue;
    }
    bit = 8;
    switch (*field) {
      case '0':
        from.take<std::uint16_t>();
        break;
      case '1':
        from.take_short_string();
        break;
      case 'o':
        made.arguments.push_back(from.take<std::uint8_t>());
        break;
      case 'h':
        made.arguments.push_back(from.take<std::uint16_t>());
        break;
      case 'l':
        made.arguments.push_back(from.take<std::uint32_t>());
        break;
      case 'L':
        made.arguments.push_back(static_cast<std::int64_t>(from.take<std::uint64_t>()));
        break;
      case 's':
        made.arguments.push_back(from.take_short_string());
        break;
      case 'S':
        made.arguments.push_back(from.take_long_string());
        break;
      default:
        made.arguments.push_back(from.take_table());
    }
  }
  if (!from.is_empty()) throw protocol_error(std::string(of->name) + " is longer than it may be");
  return made;
}

std::string encode_method(const method& m) {
  const shape& of = *find_shape(static_cast<std::uint32_t>(m.id));
  std::string to;
  put(to, static_cast<std::uint32_t>(m.id));
  unsigned bit = 8;
  auto next = m.arguments.begin();
  const auto take = [&]<class T>(const T*) -> const T& {
    if (next == m.arguments.end() || !next->is<T>()) wrong_arguments(of);
    return *(next++)->get_if<T>();
  };
  constexpr const std::int64_t* number = nullptr;
  constexpr const std::string* text = nullptr;
  for (const char* field = of.fields; *field != '\0'; ++field) {
    if (is_bit(*field)) {
      if (bit == 8) {
        to += '\0';
        bit = 0;
      }
      if (*field == 't' && take(static_cast<const bool*>(nullptr)))
        to.back() = static_cast<char>(to.back() | 1 << bit);
      ++bit;
      continue;
    }
    bit = 8;
    switch (*field) {
      case '0':
        put(to, std::uint16_t{0});
        break;
      case '1':
        put(to, std::uint8_t{0});
        break;
      case 'o':
        put(to, static_cast<std::uint8_t>(take(number)));
        break;
      case 'h':
        put(to, static_cast<std::uint16_t>(take(number)));
        break;
      case 'l':
        put(to, static_cast<std::uint32_t>(take(number)));
        break;
      case 'L':
        put(to, static_cast<std::uint64_t>(take(number)));
        break;
      case 's':
        put_short_string(to, take(text));
        break;
      case 'S':
        put_long_string(to, take(text));
        break;
      default:
        put_table(to, take(static_cast<const dict*>(nullptr)), 0);
    }
  }
  if (next != m.arguments.end()) wrong_arguments(of);
  return to;
}

content_header decode_content_header(std::string_view payload) {
  parser from(payload);
  content_header made;
  if (from.take<std::uint16_t>() != 60) throw protocol_error("a content that is not basic");
  from.take<std::uint16_t>();
  made.body_bytes = from.take<std::uint64_t>();
  const auto flags = from.take<std::uint16_t>();
  if ((flags & 1) != 0) throw protocol_error("a content header with unknown properties");
  const auto has = [&](int bit) { return (flags >> bit & 1) != 0; };
  properties& p = made.properties;
  if (has(15)) p.content_type = from.take_short_string();
  if (has(14)) p.content_encoding = from.take_short_string();
  if (has(13)) p.headers = from.take_table();
  if (has(12)) p.delivery_mode = from.take<std::uint8_t>();
  if (has(11)) p.priority = from.take<std::uint8_t>();
  if (has(10)) p.correlation_id = from.take_short_string();
  if (has(9)) p.reply_to = from.take_short_string();
  if (has(8)) p.expiration = from.take_short_string();
  if (has(7)) p.message_id = from.take_short_string();
  if (has(6)) from.take<std::uint64_t>();  // timestamp
  for (const int bit : {5, 4, 3, 2})       // type, user-id, app-id, cluster-id
    if (has(bit)) from.take_short_string();
  if (!from.is_empty()) throw protocol_error("a content header is longer than it may be");
  return made;
}

std::string encode_content_header(const content_header& h) {
  const properties& p = h.properties;
  std::string to;
  put(to, std::uint16_t{60});
  put(to, std::uint16_t{0});
  put(to, h.body_bytes);
  unsigned flags = 0;
  std::string fields;
  const auto add = [&](int bit, const auto& fill) {
    flags |= 1u << bit;
    fill();
  };
  if (!p.content_type.empty()) add(15, [&] { put_short_string(fields, p.content_type); });
  if (!p.content_encoding.empty()) add(14, [&] { put_short_string(fields, p.content_encoding); });
  if (p.headers) add(13, [&] { put_table(fields, *p.headers, 0); });
  if (p.delivery_mode >= 0) add(12, [&] { fields += static_cast<char>(p.delivery_mode); });
  if (p.priority >= 0) add(11, [&] { fields += static_cast<char>(p.priority); });
  int bit = 10;
  for (const auto* text : {&p.correlation_id, &p.reply_to, &p.expiration, &p.message_id}) {
    if (*text) add(bit, [&] { put_short_string(fields, **text); });
    --bit;
  }
  put(to, static_cast<std::uint16_t>(flags));
  return to + fields;
}

void append_frame(std::string& to, frame_type type, std::uint16_t channel,
                  std::string_view payload) {
  put(to, static_cast<std::uint8_t>(type));
  put(to, channel);
  put(to, static_cast<std::uint32_t>(payload.size()));
  to += payload;
  to += frame_end;
}

void append_method(std::string& to, std::uint16_t channel, const method& m) {
  append_frame(to, frame_type::method, channel, encode_method(m));
}

void append_content(std::string& to, std::uint16_t channel, const properties& p,
                    std::string_view body, std::size_t frame_bytes) {
  const std::size_t most = frame_bytes - 8;
  const std::string header = encode_content_header({body.size(), p});
  if (header.size() > most)
    throw protocol_error("a message's headers take " + std::to_string(header.size()) +
                         " bytes, more than the broker's frames of " + std::to_string(frame_bytes));
  append_frame(to, frame_type::header, channel, header);
  for (std::size_t at = 0; at < body.size(); at += most)
    append_frame(to, frame_type::body, channel, body.substr(at, most));
}

}  // namespace plait::celery::amqp
