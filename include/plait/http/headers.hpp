// plait/http/headers.hpp: the fields of a message: names without case, order kept, repeats allowed.
//
//   headers h{{"Accept", "text/html"}};
//   h.set("User-Agent", "me");
//   if (h.get("content-type") == "text/html") ...
//   for (auto [name, value] : h) ...
//
// Kept as they travel, "Name: value\r\n" after one another, in one piece: to send them is to
// append text(). Looking one up reads them all, which for a message's dozen costs less than a
// table. Throws:   add and set: invalid_header for a name that is not a token, or a value with a
//           line break or a NUL in it.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

namespace plait::http {

class headers {
 public:
  struct field {
    std::string_view name, value;
  };

  headers() = default;
  // headers{{"A", "1"}, {"B", "2"}}, up to eight. (Not a std::initializer_list: GCC 12 cannot compile
  // one inside a co_await expression.)
  headers(field a, field b = {}, field c = {}, field d = {}, field e = {}, field f = {},
          field g = {}, field h = {});

  // One more field, also if the name is there already.
  void add(std::string_view name, std::string_view value);
  // The only field of that name.
  void set(std::string_view name, std::string_view value);
  void erase(std::string_view name);
  // The first value, or "" if there is none.
  std::string_view get(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept;
  // How many fields.
  std::size_t size() const noexcept;
  bool empty() const noexcept { return text_.empty(); }
  void clear() noexcept { text_.clear(); }

  class iterator {
   public:
    using value_type = field;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    field operator*() const noexcept;
    iterator& operator++() noexcept {
      rest_.remove_prefix(line_length());
      return *this;
    }
    iterator operator++(int) noexcept {
      const iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const iterator& other) const noexcept {
      return rest_.size() == other.rest_.size();
    }

   private:
    friend headers;
    explicit iterator(std::string_view rest) noexcept : rest_(rest) {}
    std::size_t line_length() const noexcept;
    std::string_view rest_;
  };
  iterator begin() const noexcept { return iterator(text()); }
  iterator end() const noexcept { return iterator(); }

  // As they travel.
  std::string_view text() const noexcept { return text_; }
  // For parsers: a field whose name and value have been checked already.
  void add_checked(std::string_view name, std::string_view value);
  void reserve(std::size_t bytes) { text_.reserve(bytes); }

 private:
  std::string text_;
};

// Equal but for the case of ASCII letters.
bool same_token(std::string_view a, std::string_view b) noexcept;

}  // namespace plait::http
