#include "plait/celery/value.hpp"

#include <algorithm>
#include <limits>

namespace plait::celery {

std::string uuid::to_string() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits[octets[i] >> 4];
    text += digits[octets[i] & 15];
  }
  return text;
}

std::optional<uuid> uuid::from(std::string_view text) {
  uuid made;
  std::size_t count = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0 || count == 32) return {};
    made.octets[count / 2] = static_cast<std::uint8_t>(made.octets[count / 2] << 4 | digit);
    ++count;
  }
  if (count != 32) return {};
  return made;
}

dict::dict() noexcept = default;
dict::dict(std::initializer_list<entry> entries) {
  reserve(entries.size());
  for (const entry& each : entries) set(each.key, each.value);
}
dict::dict(const dict&) = default;
dict::dict(dict&&) noexcept = default;
dict& dict::operator=(const dict&) = default;
dict& dict::operator=(dict&&) noexcept = default;
dict::~dict() = default;

void dict::reserve(std::size_t entries) { entries_.reserve(entries); }

const value* dict::find(std::string_view key) const noexcept {
  for (const entry& each : entries_)
    if (each.key == key) return &each.value;
  return nullptr;
}

value* dict::find(std::string_view key) noexcept {
  return const_cast<value*>(std::as_const(*this).find(key));
}

value& dict::set(std::string key, value v) {
  if (value* there = find(key)) return *there = std::move(v);
  return append(std::move(key), std::move(v));
}

value& dict::append(std::string key, value v) {
  return entries_.emplace_back(entry{std::move(key), std::move(v)}).value;
}

std::optional<value> dict::take(std::string_view key) {
  const auto at = std::find_if(entries_.begin(), entries_.end(),
                               [&](const entry& each) { return each.key == key; });
  if (at == entries_.end()) return {};
  std::optional<value> taken(std::move(at->value));
  entries_.erase(at);
  return taken;
}

bool dict::erase(std::string_view key) { return take(key).has_value(); }

bool dict::equal(const dict& a, const dict& b) {
  if (a.size() != b.size()) return false;
  // Mostly they are in the same order; if not, both are sorted.
  const auto same = [](const entry& x, const entry& y) {
    return x.key == y.key && x.value == y.value;
  };
  if (std::equal(a.begin(), a.end(), b.begin(),
                 [](const entry& x, const entry& y) { return x.key == y.key; }))
    return std::equal(a.begin(), a.end(), b.begin(), same);
  const auto sorted = [](const dict& d) {
    std::vector<const entry*> entries;
    for (const entry& each : d) entries.push_back(&each);
    std::sort(entries.begin(), entries.end(),
              [](const entry* x, const entry* y) { return x->key < y->key; });
    return entries;
  };
  const auto left = sorted(a), right = sorted(b);
  return std::equal(left.begin(), left.end(), right.begin(),
                    [&](const entry* x, const entry* y) { return same(*x, *y); });
}

void value::set_unsigned(std::uint64_t i) {
  if (i <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    held_ = static_cast<std::int64_t>(i);
  else
    held_ = big_integer{std::to_string(i)};
}

const value* value::find(std::string_view key) const noexcept {
  const dict* entries = get_if<celery::dict>();
  return entries != nullptr ? entries->find(key) : nullptr;
}

const char* value::type_name() const noexcept {
  constexpr const char* names[] = {"NoneType", "bool", "int",   "float",   "str",
                                   "list",     "dict", "bytes", "int",     "Decimal",
                                   "UUID",     "date", "time",  "datetime"};
  static_assert(std::size(names) == std::variant_size_v<any>);
  return names[held_.index()];
}

bool value::equal(const value& a, const value& b) { return a.held_ == b.held_; }

}  // namespace plait::celery
