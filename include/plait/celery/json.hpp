// plait/celery/json.hpp: values as JSON text, as CPython's json and kombu's read and write it.
//
// Beyond RFC 8259: NaN, Infinity and -Infinity; integers of any size; \ud800 alone in a string, which
// is kept as three bytes (WTF-8); the last of several equal keys counts. kombu's own types are
// {"__type__": "datetime", "__value__": "2024-01-02T03:04:05"} since 5.3 and were bare strings before.
//
// Throws:   decode_error that names the byte; encode_error for what the reader would not understand.
// Cost:     one pass over the text; every container is allocated once, with the room that it needs.
// Source:   Python's json module; kombu/utils/json.py of 5.2 and 5.6.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "plait/celery/value.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery {

struct json_limits {
  std::size_t depth = 500;  // CPython gives up at about 1,000
  std::size_t bytes = std::size_t{128} << 20;
};

// How what JSON has no type for is written. Both are read.
enum class dialect : unsigned char {
  typed,  // kombu >= 5.3: objects that say their type
  bare,   // kombu < 5.3: strings; bytes cannot be sent
};

value parse_json(std::string_view text, const json_limits& limits = {});

std::string to_json(const value& v, dialect d = dialect::typed);
void append_json(std::string& to, const value& v, dialect d = dialect::typed);
// In quotes; all but ASCII is escaped, as CPython does it.
void append_json_string(std::string& to, std::string_view text);

}  // namespace plait::celery
