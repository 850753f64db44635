#include "plait/celery/codec.hpp"

#include <charconv>
#include <cmath>

#include "celery/wire/iso8601.hpp"

namespace plait::celery::detail {
namespace {

[[noreturn]] void out_of_range(const char* digits_of) {
  throw type_error({}, std::string("is too large for its C++ type: ") + digits_of);
}

}  // namespace

void wrong_type(const char* wanted, const value& got) {
  throw type_error({}, std::string("must be ") + wanted + ", not " + got.type_name());
}

std::int64_t integer_from(const value& from, std::int64_t least, std::int64_t most) {
  if (const bool* b = from.get_if<bool>()) return *b ? 1 : 0;  // a bool is an int in Python
  if (const auto* i = from.get_if<std::int64_t>()) {
    if (*i < least || *i > most) out_of_range(std::to_string(*i).c_str());
    return *i;
  }
  if (const auto* big = from.get_if<big_integer>()) out_of_range(big->digits.c_str());
  wrong_type("int", from);
}

std::uint64_t unsigned_from(const value& from, std::uint64_t most) {
  std::uint64_t made = 0;
  if (const auto* big = from.get_if<big_integer>()) {
    const char* const end = big->digits.data() + big->digits.size();
    const auto [read, failed] = std::from_chars(big->digits.data(), end, made);
    if (failed != std::errc() || read != end || made > most) out_of_range(big->digits.c_str());
    return made;
  }
  const std::int64_t i = integer_from(from, std::numeric_limits<std::int64_t>::min(),
                                      std::numeric_limits<std::int64_t>::max());
  if (i < 0 || static_cast<std::uint64_t>(i) > most) out_of_range(std::to_string(i).c_str());
  return static_cast<std::uint64_t>(i);
}

double float_from(const value& from) {
  if (const auto* d = from.get_if<double>()) return *d;
  if (const auto* i = from.get_if<std::int64_t>()) return static_cast<double>(*i);
  if (const bool* b = from.get_if<bool>()) return *b ? 1 : 0;
  if (const auto* big = from.get_if<big_integer>()) {
    double made = 0;
    const char* const end = big->digits.data() + big->digits.size();
    if (std::from_chars(big->digits.data(), end, made).ec != std::errc())
      out_of_range(big->digits.c_str());
    return made;
  }
  wrong_type("float", from);
}

std::int64_t moment_from(const value& from) {
  std::optional<datetime> moment;
  if (const auto* held = from.get_if<datetime>()) moment = *held;
  if (const auto* text = from.get_if<std::string>()) moment = datetime_from(*text);
  if (!moment) wrong_type("datetime", from);
  const std::int64_t us = moment->at.time_since_epoch().count();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1000;
  if (us > most || us < -most) out_of_range(to_iso(*moment).c_str());
  return us * 1000;
}

value moment_to_value(std::int64_t nanoseconds) {
  // Down to the microsecond, before 1970 as well.
  const std::int64_t us = nanoseconds / 1000 - (nanoseconds % 1000 < 0);
  return datetime{.at = datetime::instant(std::chrono::microseconds(us))};
}

bytes bytes_from(const value& from) {
  if (const auto* held = from.get_if<bytes>()) return *held;
  if (const auto* text = from.get_if<std::string>()) {
    const auto* const first = reinterpret_cast<const std::byte*>(text->data());
    return {first, first + text->size()};
  }
  wrong_type("bytes", from);
}

const list& list_of(const value& from, std::size_t length) {
  const list& items = held<list>(from, "list");
  if (items.size() != length)
    throw type_error(
        {}, "must have " + std::to_string(length) + " items, not " + std::to_string(items.size()));
  return items;
}

}  // namespace plait::celery::detail
