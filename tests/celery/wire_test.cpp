// Values, C++ types and calls as data.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "celery/wire/iso8601.hpp"
#include "plait/celery/codec.hpp"
#include "plait/celery/json.hpp"
#include "plait/celery/parameters.hpp"

namespace plait::celery {

struct point {
  double x = 0, y = 0;
  std::optional<std::string> name = {};
  bool operator==(const point&) const = default;
};
template <>
struct members<point> {
  static constexpr auto all =
      std::tuple{member("x", &point::x), member("y", &point::y), member("name", &point::name)};
};

namespace {

using namespace std::chrono_literals;

std::string again(std::string_view text) { return to_json(parse_json(text)); }
std::string why(std::string_view text) {
  try {
    parse_json(text);
  } catch (const decode_error& e) {
    return e.what();
  }
  return "it is JSON";
}
template <class Call>
std::string complaint(Call call) {
  try {
    call();
  } catch (const type_error& e) {
    return e.what();
  }
  return "no complaint";
}

TEST(Json, ComesBackAsItWas) {
  for (const char* text :
       {"null", "true", "[]", "{}", "[1,-2,0]", R"({"b":1,"a":[{"c":null}]})", "1.5", "-0.0",
        "1e+16", "1e-05", "123456.789", R"("a\"b\\c\n")", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "-123456789012345678901234567890", "NaN",
        "[Infinity,-Infinity]", R"("\u00e4\u20ac\ud83d\ude00")"})
    EXPECT_EQ(again(text), text);
  EXPECT_EQ(again(" [ 1 , \"\xc3\xa4/\\/\" ] \n"), R"([1,"\u00e4//"])");
  EXPECT_EQ(again("[1E400,-1e400,1e-400,0e999999999999999999999]"), "[Infinity,-Infinity,0.0,0.0]");
}

TEST(Json, HalvesOfPairsSurvive) {
  EXPECT_EQ(again(R"("\ud800")"), R"("\ud800")");
  EXPECT_EQ(again(R"("\udc00\ud800x\ud800\u0041")"), R"("\udc00\ud800x\ud800A")");
  EXPECT_EQ(*parse_json(R"("\ud800")").get_if<std::string>(), "\xed\xa0\x80");
}

TEST(Json, TheLastOfEqualKeysCounts) {
  EXPECT_EQ(again(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
  std::string many = "{";
  for (int i = 0; i < 200; ++i)
    many += "\"k" + std::to_string(i % 50) + "\":" + std::to_string(i) + ',';
  many.back() = '}';
  const value v = parse_json(many);
  EXPECT_EQ(v.get_if<dict>()->size(), 50u);
  EXPECT_EQ(*v.find("k7"), 157);
  EXPECT_EQ(v.get_if<dict>()->begin()->key, "k0");
}

TEST(Json, ErrorsSayWhere) {
  EXPECT_EQ(why(""), "JSON: the text ends where a value is due at byte 0");
  EXPECT_EQ(why("[1,]"), "JSON: no value at byte 3");
  EXPECT_EQ(why("[1 2]"), "JSON: expected ',' or ']' at byte 3");
  EXPECT_EQ(why("{\"a\" 1}"), "JSON: expected ':' at byte 5");
  EXPECT_EQ(why("{a:1}"), "JSON: expected a key in quotes at byte 1");
  EXPECT_EQ(why("01"), "JSON: something follows the end at byte 1");
  EXPECT_EQ(why("1."), "JSON: expected a digit at byte 2");
  EXPECT_EQ(why("\"a"), "JSON: the text ends within a string at byte 2");
  EXPECT_EQ(why("\"\xff\""), "JSON: no UTF-8 at byte 1");
  EXPECT_EQ(why("\"\xed\xa0\x80\""), "JSON: no UTF-8 at byte 1");
  EXPECT_EQ(why("\"\n\""), "JSON: a control character in a string at byte 1");
  EXPECT_EQ(why(R"("\x")"), "JSON: an unknown escape at byte 2");
  EXPECT_EQ(why(R"("\u-123")"), "JSON: \\u needs four digits at byte 3");
  EXPECT_EQ(why(std::string(3000, '[')), "JSON: nested too deeply at byte 500");
  EXPECT_THROW(parse_json("[1]", {.bytes = 2}), decode_error);
}

TEST(Json, KombusTypesInBothDialects) {
  const std::string typed =
      R"([{"__type__":"datetime","__value__":"2024-01-02T03:04:05.678900"},)"
      R"({"__type__":"decimal","__value__":"1.50"},)"
      R"({"__type__":"uuid","__value__":{"hex":"00000000000000000000000000000005"}},)"
      R"({"__type__":"date","__value__":"2024-01-02"},)"
      R"({"__type__":"time","__value__":"03:04:05"},)"
      R"({"__type__":"bytes","__value__":"abc"},{"__type__":"base64","__value__":"/wA="}])";
  value v = parse_json(typed);
  EXPECT_EQ(to_json(v), typed);
  list& items = *v.get_if<list>();
  EXPECT_FALSE(items[0].get_if<datetime>()->offset);
  EXPECT_EQ(*items[1].get_if<decimal>(), decimal{"1.50"});
  EXPECT_EQ(*items[6].get_if<bytes>(), (bytes{std::byte{0xff}, std::byte{0}}));
  EXPECT_THROW(to_json(v, dialect::bare), encode_error);
  items.resize(5);
  EXPECT_EQ(to_json(v, dialect::bare),
            R"(["2024-01-02T03:04:05.678900","1.50","00000000-0000-0000-0000-000000000005",)"
            R"("2024-01-02","03:04:05"])");
  EXPECT_EQ(to_json(datetime{}, dialect::bare), R"("1970-01-01T00:00:00Z")");
}

TEST(Json, WhatOnlyLooksLikeATypedObjectIsRefused) {
  EXPECT_THROW(parse_json(R"({"__type__":"complex","__value__":"1j"})"), decode_error);
  EXPECT_THROW(parse_json(R"({"__type__":"date","__value__":"today"})"), decode_error);
  EXPECT_THROW(parse_json(R"({"__type__":1,"__value__":2})"), decode_error);
  EXPECT_THROW(to_json(dict{{"__type__", 1}, {"__value__", 2}}), encode_error);
  EXPECT_NO_THROW(again(R"({"__type__":1,"__value__":2,"x":3})"));
  EXPECT_THROW(to_json("\xff"), encode_error);
}

TEST(Value, DictsAreEqualInAnyOrder) {
  EXPECT_EQ(parse_json(R"({"a":1,"b":2})"), parse_json(R"({"b":2,"a":1})"));
  EXPECT_NE(parse_json(R"({"a":1})"), parse_json(R"({"a":1.0})"));
}

TEST(Value, IsShownAsPythonShowsIt) {
  EXPECT_EQ(repr(parse_json(R"([null,true,1.0,"it's",{"a":"\n\u0001\u00e4"},NaN,1e22])")),
            "[None, True, 1.0, \"it's\", {'a': '\\n\\x01\xc3\xa4'}, nan, 1e+22]");
  EXPECT_EQ(repr_arguments({1}), "(1,)");
  EXPECT_EQ(repr_arguments({2, 3}), "(2, 3)");
  EXPECT_EQ(repr_arguments({}), "()");
  EXPECT_EQ(repr(parse_json(R"({"__type__":"datetime","__value__":"2024-01-02T03:04:05+00:00"})")),
            "datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)");
  EXPECT_EQ(repr(std::string(5000, 'x'), 20).size(), 20u);
}

TEST(IsoDates, AreReadInAllOfPythonsForms) {
  const auto utc = [](const char* text) {
    return detail::datetime_from(text).value().at.time_since_epoch().count();
  };
  EXPECT_EQ(utc("1970-01-01T00:00:00"), 0);
  EXPECT_EQ(utc("1970-01-01 00:00:00.000001"), 1);
  EXPECT_EQ(utc("1970-01-02"), 86'400'000'000);
  EXPECT_EQ(utc("1970-01-01T02:00:00+02:00"), 0);
  EXPECT_EQ(utc("1969-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(utc("2026-11-22T12:28:05.462655+00:00"), 1'795'350'485'462'655);
  for (const char* text : {"", "today", "2024-13-01", "2023-02-29", "2024-01-01T24:00",
                           "2024-01-01T1", "2024-01-01T00:00:00.", "2024-01-01T00:00:00+25:00",
                           "0000-01-01", "2024-01-01T00:00:00 ", "2024-01-01T00:00:60"})
    EXPECT_FALSE(detail::datetime_from(text)) << text;
  for (const char* text : {"0001-01-01T00:00:00", "9999-12-31T23:59:59.999999+00:00",
                           "1969-12-31T23:59:59.999999-03:30", "2000-02-29T12:00:00+05:45"})
    EXPECT_EQ(detail::to_iso(detail::datetime_from(text).value()), text);
}

template <class T>
void travels(const T& from, const char* json) {
  EXPECT_EQ(to_json(to_value(from)), json);
  EXPECT_EQ(from_value<T>(parse_json(json)), from);
}

TEST(Codec, TypesTravelAndComeBack) {
  enum class color : unsigned char { red, green };
  travels(true, "true");
  travels<short>(-5, "-5");
  travels(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
  travels(0.5f, "0.5");
  travels<std::string>("x", "\"x\"");
  travels(std::vector{1, 2}, "[1,2]");
  travels(std::vector{true, false}, "[true,false]");
  travels(std::array{1.0, 2.0}, "[1.0,2.0]");
  travels(std::pair{1, std::string("a")}, "[1,\"a\"]");
  travels(std::tuple{1, true, std::optional<int>()}, "[1,true,null]");
  travels(std::map<std::string, int>{{"a", 1}}, R"({"a":1})");
  travels(std::unordered_map<std::string, std::vector<int>>{{"a", {1}}}, R"({"a":[1]})");
  travels(std::variant<int, std::string>("x"), "\"x\"");
  travels(color::green, "1");
  travels(1500ms, "1.5");
  travels(2s, "2");
  travels(point{.x = 1, .y = 2}, R"({"x":1.0,"y":2.0,"name":null})");
  travels(std::chrono::system_clock::time_point(1500ms),
          R"({"__type__":"datetime","__value__":"1970-01-01T00:00:01.500000+00:00"})");
  EXPECT_EQ(from_value<point>(parse_json(R"({"x":1,"y":2})")), (point{.x = 1, .y = 2}));
  EXPECT_EQ(from_value<std::chrono::system_clock::time_point>("1970-01-01T00:00:01"),
            std::chrono::system_clock::time_point(1s));
  EXPECT_EQ(to_json(to_value("literal")), "\"literal\"");
}

TEST(Codec, WhatDoesNotFitSaysWhere) {
  EXPECT_EQ(complaint([] { from_value<int>("x"); }), "must be int, not str");
  EXPECT_EQ(complaint([] { from_value<int>(1.5); }), "must be int, not float");
  EXPECT_EQ(complaint([] { from_value<bool>(1); }), "must be bool, not int");
  EXPECT_EQ(complaint([] { from_value<signed char>(128); }), "is too large for its C++ type: 128");
  EXPECT_EQ(complaint([] { from_value<unsigned>(-1); }), "is too large for its C++ type: -1");
  EXPECT_EQ(complaint([] { from_value<long>(parse_json("9223372036854775808")); }),
            "is too large for its C++ type: 9223372036854775808");
  using nested = std::map<std::string, std::vector<int>>;
  EXPECT_EQ(complaint([] { from_value<nested>(parse_json(R"({"a":[1,null]})")); }),
            "['a'][1] must be int, not NoneType");
  EXPECT_EQ(complaint([] { from_value<point>(parse_json(R"({"x":1})")); }), "misses the key 'y'");
  EXPECT_EQ(complaint([] { from_value<std::pair<int, int>>(list{1}); }),
            "must have 2 items, not 1");
}

// The words are those of Python 3.11.
TEST(Parameters, ErrorsAreWordedAsPythons) {
  const parameters ab{"a", "b"}, preset{"a", {"b", 3}}, none;
  const auto call = [](const parameters& p, std::size_t arity, list args, dict kwargs) {
    return complaint([&] { p.bind("reports.add", arity, args, kwargs); });
  };
  EXPECT_EQ(call(ab, 2, {1}, {}), "add() missing 1 required positional argument: 'b'");
  EXPECT_EQ(call(ab, 2, {}, {}), "add() missing 2 required positional arguments: 'a' and 'b'");
  EXPECT_EQ(call({"a", "b", "c"}, 3, {}, {}),
            "add() missing 3 required positional arguments: 'a', 'b', and 'c'");
  EXPECT_EQ(call(ab, 2, {1, 2, 3}, {}), "add() takes 2 positional arguments but 3 were given");
  EXPECT_EQ(call({"a"}, 1, {1, 2}, {}), "add() takes 1 positional argument but 2 were given");
  EXPECT_EQ(call(none, 0, {1}, {}), "add() takes 0 positional arguments but 1 was given");
  EXPECT_EQ(call(preset, 2, {1, 2, 3}, {}),
            "add() takes from 1 to 2 positional arguments but 3 were given");
  EXPECT_EQ(call(ab, 2, {1, 2}, {{"c", 1}}), "add() got an unexpected keyword argument 'c'");
  EXPECT_EQ(call(ab, 2, {1, 2}, {{"a", 1}}), "add() got multiple values for argument 'a'");
  EXPECT_EQ(call(none, 1, {}, {}), "add() missing 1 required positional argument: #1");
  EXPECT_EQ(call(preset, 2, {1}, {}), "no complaint");
}

TEST(Parameters, AreBoundByNameAndByDefault) {
  const parameters names{"a", {"b", 3}};
  EXPECT_EQ((arguments_of<int, int>("add", names, {2}, {})), std::tuple(2, 3));
  EXPECT_EQ((arguments_of<int, int>("add", names, {}, {{"b", 5}, {"a", 2}})), std::tuple(2, 5));
  EXPECT_EQ((arguments_of<int, int>("add", {}, {2, 4}, {})), std::tuple(2, 4));
  EXPECT_EQ((arguments_of<>("f", {}, {}, {})), std::tuple<>());
  EXPECT_EQ(complaint([&] {
              arguments_of<int, int>("m.add", names, {2, "x"}, {});
            }),
            "add() argument 'b' must be int, not str");
  EXPECT_EQ(complaint([&] {
              arguments_of<std::vector<int>>("m.f", {}, {list{1, "x"}}, {});
            }),
            "f() argument 1[1] must be int, not str");
  EXPECT_THROW((parameters{"a", "a"}), std::invalid_argument);
  EXPECT_THROW((parameters{{"a", 1}, "b"}), std::invalid_argument);
}

}  // namespace
}  // namespace plait::celery
