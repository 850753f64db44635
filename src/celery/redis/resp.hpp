// src/celery/redis/resp.hpp: RESP2 and RESP3, the language that Redis speaks, both ways.
//
//   std::string request;
//   append(request, command("LPUSH", queue, message));
//   reader replies;
//   std::string_view bytes = whatever came;
//   while (auto reply = replies.next(bytes)) use(*reply);   // takes from the front of `bytes`
//
// The reader keeps what is incomplete, a piece at a time, so it can be fed single bytes; it copies
// every text once, from the caller's buffer to its place. Attributes are read and dropped.
//
// Throws:   protocol_error: not RESP, or beyond a limit. The reader is of no use after that.
// Cost:     72 bytes a value beside its text. No announced length is believed before bytes come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "celery/redis/errors.hpp"

namespace plait::celery::redis {

enum class kind : std::uint8_t {
  null,
  text,     // simple, bulk or verbatim (without its "txt:")
  error,    // simple or bulk
  integer,  // and a boolean: 0 or 1
  real,     // RESP3's double
  big,      // an integer that does not fit; its digits are the text
  array,    // and a set
  map,      // key, value, key, value
  push,     // no answer to anything
};

struct value {
  redis::kind kind = redis::kind::null;
  std::int64_t integer = 0;
  double real = 0;
  std::string text = {};
  std::vector<value> items = {};

  bool is_null() const noexcept { return kind == redis::kind::null; }
  bool is_error() const noexcept { return kind == redis::kind::error; }
  bool is_text() const noexcept { return kind == redis::kind::text; }
  // These throw protocol_error if it is something else: the server answered what was not asked.
  std::int64_t as_integer() const;
  const std::string& as_text() const;
  const std::vector<value>& as_array() const;
  // What a map has under `key`; null if there is none or this is no map (or RESP2's form of one).
  const value* find(std::string_view key) const noexcept;

  friend bool operator==(const value&, const value&) = default;
};

// One command and its arguments, as they travel.
class command {
 public:
  template <class... Args>
  explicit command(std::string_view first, Args&&... others) {
    add(first);
    (add(others), ...);
  }
  command() = default;
  command& add(std::string_view argument);
  command& add(std::int64_t argument);
  command& add(int argument) { return add(static_cast<std::int64_t>(argument)); }
  command& add(std::size_t argument) { return add(static_cast<std::int64_t>(argument)); }

  // All of another one's.
  command& add(const command& more);

  std::size_t arguments() const noexcept { return arguments_; }
  std::size_t size() const noexcept { return body_.size() + 16; }
  // Its first argument, for error texts.
  std::string name() const;
  friend void append(std::string& to, const command& c);

 private:
  std::string body_;
  std::size_t arguments_ = 0;
};

struct reader_limits {
  std::size_t reply_bytes = std::size_t{1} << 30;  // in memory, with what each value costs
  std::size_t depth = 32;
  std::size_t line_bytes = 65536;  // a simple text, an error, a number
};

class reader {
 public:
  explicit reader(reader_limits limits = {}) noexcept : limits_(limits) {}
  // The next whole value; nothing if `bytes`, all of which it has taken then, do not complete one.
  std::optional<value> next(std::string_view& bytes);
  // Whether a value has begun and not ended.
  bool is_within() const noexcept { return !open_.empty() || !line_.empty() || in_bulk_; }

 private:
  struct aggregate {
    value whole;
    std::uint64_t missing;  // items
    bool is_attribute;
  };
  bool take_line(std::string_view& bytes, std::string_view& line);
  bool take_bulk(std::string_view& bytes);
  // A line has come. True if it is a whole value, now in done_.
  bool begin(std::string_view line);
  bool begin_bulk(std::string_view digits);
  bool begin_aggregate(char type, std::string_view digits);
  // done_ is whole: puts it in its place. True if nothing encloses it.
  bool place();
  void charge(std::size_t bytes);

  reader_limits limits_;
  std::vector<aggregate> open_;
  std::string line_;  // the beginning of an incomplete one
  value done_;
  std::size_t charged_ = 0;         // bytes of the value that is being read
  std::uint64_t bulk_missing_ = 0;  // with the \r\n
  char bulk_type_ = '$';
  bool in_bulk_ = false;
};

}  // namespace plait::celery::redis
