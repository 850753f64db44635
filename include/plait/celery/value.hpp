// plait/celery/value.hpp: anything that a Celery message can carry.
//
//   value v = dict{{"to", "me"}, {"when", datetime{...}}, {"sizes", list{1, 2.5, nullptr}}};
//   if (const std::string* to = v.find("to")->get_if<std::string>()) ...
//
// JSON's types as Python has them (integers of any size, NaN, lone surrogates in strings) and those
// that kombu adds: bytes, date, time, datetime, decimal, uuid. Nothing is rounded or cut on the way.
//
// Threads:  a value is a value: no sharing, no locks.
// Throws:   std::bad_alloc.
// Cost:     40 bytes each; a container is one allocation, a string over 15 bytes as well.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "plait/core/clock.hpp"

namespace plait::celery {

class value;

using bytes = std::vector<std::byte>;
using list = std::vector<value>;

// An integer outside of std::int64_t: "-" perhaps, then digits without leading zeros.
struct big_integer {
  std::string digits;
  bool operator==(const big_integer&) const = default;
};

// Python's Decimal as it prints itself: "1.50", "1E+3", "NaN".
struct decimal {
  std::string text;
  bool operator==(const decimal&) const = default;
};

struct uuid {
  std::array<std::uint8_t, 16> octets{};
  bool operator==(const uuid&) const = default;
  // "00000000-0000-0000-0000-000000000005"
  std::string to_string() const;
  // With or without dashes, 32 hexadecimal digits.
  static std::optional<uuid> from(std::string_view text);
};

struct date {
  int year = 1970;
  unsigned month = 1, day = 1;
  bool operator==(const date&) const = default;
};

struct time_of_day {
  std::chrono::microseconds since_midnight{};
  std::optional<std::chrono::seconds> offset = {};  // from UTC
  bool operator==(const time_of_day&) const = default;
};

struct datetime {
  // Wide enough for all of Python's years, 1 to 9999.
  using instant = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

  // In UTC. A datetime without a zone ("naive") is what its clock showed, as if that were UTC.
  instant at{};
  std::optional<std::chrono::seconds> offset = std::chrono::seconds(0);
  bool operator==(const datetime&) const = default;
};

// Keys in the order in which they came. Looking up goes along all of them.
class dict {
 public:
  struct entry;

  dict() noexcept;
  dict(std::initializer_list<entry> entries);
  dict(const dict&);
  dict(dict&&) noexcept;
  dict& operator=(const dict&);
  dict& operator=(dict&&) noexcept;
  ~dict();

  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  void reserve(std::size_t entries);
  entry* begin() noexcept;
  entry* end() noexcept;
  const entry* begin() const noexcept;
  const entry* end() const noexcept;

  // Null if there is none.
  value* find(std::string_view key) noexcept;
  const value* find(std::string_view key) const noexcept;
  // Takes the place of a value with this key, or comes last.
  value& set(std::string key, value v);
  // Without a look whether the key is there already: it must not be.
  value& append(std::string key, value v);
  // Takes the value out of the dict, the others stay in order.
  std::optional<value> take(std::string_view key);
  bool erase(std::string_view key);

  // As Python has it: the order does not matter.
  friend bool operator==(const dict& a, const dict& b) { return equal(a, b); }

 private:
  friend class json_reader;
  static bool equal(const dict& a, const dict& b);
  std::vector<entry> entries_;
};

class value {
 public:
  using any = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, list, dict,
                           celery::bytes, big_integer, decimal, celery::uuid, celery::date,
                           time_of_day, celery::datetime>;

  value() noexcept = default;
  value(std::nullptr_t) noexcept {}
  template <class Integer>
  requires std::is_integral_v<Integer> value(Integer i) {
    if constexpr (std::is_same_v<Integer, bool>)
      held_ = i;
    else if constexpr (std::is_unsigned_v<Integer> && sizeof(Integer) == 8)
      set_unsigned(i);
    else
      held_ = static_cast<std::int64_t>(i);
  }
  value(double d) noexcept : held_(d) {}
  value(const char* text) : held_(std::string(text)) {}
  value(std::string_view text) : held_(std::string(text)) {}
  value(std::string text) noexcept : held_(std::move(text)) {}
  value(list items) noexcept : held_(std::move(items)) {}
  value(celery::dict entries) noexcept : held_(std::move(entries)) {}
  value(celery::bytes b) noexcept : held_(std::move(b)) {}
  value(big_integer i) : held_(std::move(i)) {}
  value(celery::decimal d) : held_(std::move(d)) {}
  value(celery::uuid u) noexcept : held_(u) {}
  value(celery::date d) noexcept : held_(d) {}
  value(time_of_day t) noexcept : held_(t) {}
  value(celery::datetime d) noexcept : held_(d) {}

  bool is_null() const noexcept { return held_.index() == 0; }
  template <class T>
  bool is() const noexcept {
    return std::holds_alternative<T>(held_);
  }
  template <class T>
  T* get_if() noexcept {
    return std::get_if<T>(&held_);
  }
  template <class T>
  const T* get_if() const noexcept {
    return std::get_if<T>(&held_);
  }
  // Of a dict; null if this is none or has no such key.
  const value* find(std::string_view key) const noexcept;

  const any& held() const noexcept { return held_; }
  // Python's name of the type: "int", "str", "NoneType" ...
  const char* type_name() const noexcept;

  // Of one type and equal: 1 is not 1.0 here, and NaN is not NaN.
  friend bool operator==(const value& a, const value& b) { return equal(a, b); }

 private:
  static bool equal(const value& a, const value& b);
  void set_unsigned(std::uint64_t i);
  any held_;
};

struct dict::entry {
  std::string key;
  celery::value value;
};

inline std::size_t dict::size() const noexcept { return entries_.size(); }
inline dict::entry* dict::begin() noexcept { return entries_.data(); }
inline dict::entry* dict::end() noexcept { return entries_.data() + entries_.size(); }
inline const dict::entry* dict::begin() const noexcept { return entries_.data(); }
inline const dict::entry* dict::end() const noexcept { return entries_.data() + entries_.size(); }

// As Python's repr() writes it, cut after about `longest` bytes with "...". Of a task's positional
// arguments: as a tuple.
std::string repr(const value& v, std::size_t longest = static_cast<std::size_t>(-1));
std::string repr_arguments(const list& args, std::size_t longest = 1024);

}  // namespace plait::celery
