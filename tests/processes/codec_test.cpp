#include <plait/processes/codec.hpp>
#include <plait/processes/errors.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

template <class T>
T round_trip(const T& value) {
  plait::encoder to;
  plait::codec<T>::encode(to, value);
  plait::decoder from(to.data(), to.size());
  T back = plait::codec<T>::decode(from);
  EXPECT_EQ(from.remaining(), 0u);
  return back;
}

enum class colour : std::uint8_t { red, green };
struct point {
  double x, y;
  bool operator==(const point&) const = default;
};
struct record {
  int id;
  std::string name;
  std::vector<point> track;
  std::optional<colour> tint;
  int grid[2][3];
  bool operator==(const record&) const = default;
};
struct padded {
  char c;
  double d;
  bool operator==(const padded&) const = default;
};
struct sixteen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n;
  std::string o, p;
  bool operator==(const sixteen&) const = default;
};
struct by_hand {
  explicit by_hand(int v) : value(v) {}
  int value;
};
struct holds_pointer {
  int* where;
};
class closed {
 public:
  explicit closed(int v) : value_(v) {}

 private:
  int value_;
};

}  // namespace

template <>
struct plait::codec<by_hand> {
  static void encode(encoder& to, const by_hand& v) { to.write_plain(v.value); }
  static by_hand decode(decoder& from) { return by_hand(from.read_plain<int>()); }
};

namespace {

TEST(Codec, NumbersAndEnumerationsKeepTheirBits) {
  EXPECT_EQ(round_trip(-7), -7);
  EXPECT_EQ(round_trip(0.1), 0.1);
  EXPECT_EQ(round_trip(true), true);
  EXPECT_EQ(round_trip(colour::green), colour::green);
  EXPECT_EQ(round_trip(std::chrono::milliseconds(3)), std::chrono::milliseconds(3));
}

TEST(Codec, ContainersOfEveryShape) {
  using namespace std::string_literals;
  EXPECT_EQ(round_trip("a\0b"s), "a\0b"s);
  EXPECT_EQ(round_trip(std::vector<int>{}), std::vector<int>{});
  EXPECT_EQ(round_trip(std::vector<std::string>{"x", ""}), (std::vector<std::string>{"x", ""}));
  EXPECT_EQ(round_trip(std::vector<bool>{true, false, true}),
            (std::vector<bool>{true, false, true}));
  EXPECT_EQ(round_trip(std::deque<short>{1, 2}), (std::deque<short>{1, 2}));
  EXPECT_EQ(round_trip(std::list<double>{1.5}), (std::list<double>{1.5}));
  EXPECT_EQ(round_trip(std::set<int>{3, 1}), (std::set<int>{1, 3}));
  EXPECT_EQ(round_trip(std::map<std::string, std::vector<int>>{{"k", {1, 2}}}),
            (std::map<std::string, std::vector<int>>{{"k", {1, 2}}}));
  EXPECT_EQ(round_trip(std::unordered_map<int, std::string>{{1, "one"}}),
            (std::unordered_map<int, std::string>{{1, "one"}}));
}

TEST(Codec, Compounds) {
  EXPECT_EQ(round_trip(std::pair(1, std::string("p"))), std::pair(1, std::string("p")));
  EXPECT_EQ(round_trip(std::tuple(1, 2.5, std::string("t"))), std::tuple(1, 2.5, std::string("t")));
  EXPECT_EQ(round_trip(std::optional<int>{}), std::nullopt);
  EXPECT_EQ(round_trip(std::array<std::string, 2>{"a", "b"}),
            (std::array<std::string, 2>{"a", "b"}));
  using either = std::variant<int, std::string>;
  EXPECT_EQ(round_trip(either("s")), either("s"));
  EXPECT_EQ(round_trip(either(4)), either(4));
}

TEST(Codec, PlainStructsNeedNoCode) {
  EXPECT_EQ(round_trip(point{1, 2}), (point{1, 2}));
  EXPECT_EQ(round_trip(padded{'x', 2}), (padded{'x', 2}));
  const record r{7, "seven", {{1, 2}, {3, 4}}, colour::green, {{1, 2, 3}, {4, 5, 6}}};
  EXPECT_EQ(round_trip(r), r);
  const sixteen s{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, "o", "p"};
  EXPECT_EQ(round_trip(s), s);
}

TEST(Codec, TypesWithACodecOfTheirOwn) { EXPECT_EQ(round_trip(by_hand(5)).value, 5); }

TEST(Codec, AddressesDoNotTravel) {
  static_assert(!plait::travels<int*>);
  static_assert(!plait::travels<const char*>);
  static_assert(!plait::travels<std::string_view>);
  static_assert(!plait::travels<holds_pointer>);
  static_assert(!plait::travels<std::vector<int*>>);
  static_assert(!plait::travels<std::vector<int>::iterator>);
  static_assert(!plait::travels<closed>);
  int captured = 0;
  const auto closure = [captured] { return captured; };
  static_assert(!plait::travels<decltype(closure)>);
}

// Every prefix of a valid message is refused with the one documented error, and never read past.
TEST(Codec, TruncatedBytesAreRefused) {
  const record r{7, "seven", {{1, 2}, {3, 4}}, colour::green, {}};
  plait::encoder to;
  plait::codec<record>::encode(to, r);
  for (std::size_t n = 0; n < to.size(); ++n) {
    const std::vector<std::byte> exact(to.data(), to.data() + n);  // so that ASan sees an overrun
    plait::decoder from(exact.data(), n);
    EXPECT_THROW(plait::codec<record>::decode(from), plait::serialization_error) << n;
  }
}

TEST(Codec, AnnouncedSizesAreCheckedBeforeMemoryIsTaken) {
  for (const std::uint64_t size : {std::uint64_t{1} << 62, ~std::uint64_t{0}, std::uint64_t{3}}) {
    plait::encoder to;
    to.write_plain(size);
    plait::decoder text(to.data(), to.size()), words(to.data(), to.size()),
        both(to.data(), to.size());
    EXPECT_THROW(plait::codec<std::string>::decode(text), plait::serialization_error);
    EXPECT_THROW(plait::codec<std::vector<std::string>>::decode(words), plait::serialization_error);
    EXPECT_THROW((plait::codec<std::map<int, int>>::decode(both)), plait::serialization_error);
  }
}

TEST(Encoder, GrowsFromItselfToTheHeapToAMemfd) {
  plait::encoder to;
  std::vector<std::byte> all;
  for (int i = 0; i < 300'000; ++i) {
    to.write_plain(static_cast<std::uint8_t>(i * 7));
    all.push_back(static_cast<std::byte>(i * 7));
  }
  EXPECT_GE(to.fd(), 0);
  ASSERT_EQ(to.size(), all.size());
  EXPECT_TRUE(std::equal(all.begin(), all.end(), to.data()));
  to.clear();
  EXPECT_EQ(to.size(), 0u);
  EXPECT_EQ(to.fd(), -1);
}

}  // namespace
