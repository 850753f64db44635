// RESP2 and RESP3, whole, in pieces, and what is neither.
#include "celery/redis/resp.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "celery/redis/connection_options.hpp"

namespace {

using namespace plait::celery::redis;

std::vector<value> all(std::string_view bytes, reader_limits limits = {}) {
  reader r(limits);
  std::vector<value> found;
  while (auto v = r.next(bytes)) found.push_back(std::move(*v));
  EXPECT_TRUE(bytes.empty());
  return found;
}
value one(std::string_view bytes, reader_limits limits = {}) {
  auto found = all(bytes, limits);
  EXPECT_EQ(found.size(), 1u) << bytes;
  return found.empty() ? value() : found.front();
}
value text(std::string t) { return {.kind = kind::text, .text = std::move(t)}; }
value number(std::int64_t n) { return {.kind = kind::integer, .integer = n}; }

TEST(Resp, ReadsWhatRedisSays) {
  EXPECT_EQ(one("+OK\r\n"), text("OK"));
  EXPECT_EQ(one("-ERR no\r\n"), (value{.kind = kind::error, .text = "ERR no"}));
  EXPECT_EQ(one(":-42\r\n"), number(-42));
  EXPECT_EQ(one("$5\r\na\r\nbc\r\n"), text("a\r\nbc"));
  EXPECT_EQ(one("$0\r\n\r\n"), text(""));
  EXPECT_TRUE(one("$-1\r\n").is_null());
  EXPECT_TRUE(one("*-1\r\n").is_null());
  EXPECT_EQ(one("*0\r\n"), (value{.kind = kind::array}));
  EXPECT_EQ(one("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n"),
            (value{.kind = kind::array,
                   .items = {number(1), {.kind = kind::array, .items = {text("x")}}}}));
}

TEST(Resp, ReadsVersion3) {
  EXPECT_TRUE(one("_\r\n").is_null());
  EXPECT_EQ(one("#t\r\n"), number(1));
  EXPECT_EQ(one(",-1.5e3\r\n").real, -1500.0);
  EXPECT_EQ(one(",inf\r\n").real, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(one(",nan\r\n").real));
  EXPECT_EQ(one("(-349281740128470312847012384701\r\n").text, "-349281740128470312847012384701");
  EXPECT_EQ(one("=7\r\ntxt:abc\r\n"), text("abc"));
  EXPECT_EQ(one("!6\r\nERR no\r\n"), (value{.kind = kind::error, .text = "ERR no"}));
  const value map = one("%2\r\n+a\r\n:1\r\n+b\r\n_\r\n");
  EXPECT_EQ(map.kind, kind::map);
  ASSERT_NE(map.find("a"), nullptr);
  EXPECT_EQ(map.find("a")->as_integer(), 1);
  EXPECT_EQ(map.find("c"), nullptr);
  EXPECT_EQ(one("~1\r\n:1\r\n").kind, kind::array);
  EXPECT_EQ(one(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n").kind, kind::push);
  // Attributes stand before a value, at the top and inside, and are nobody's business here.
  EXPECT_EQ(one("|1\r\n+ttl\r\n:3\r\n*2\r\n|1\r\n+x\r\n:1\r\n:7\r\n|0\r\n:8\r\n"),
            (value{.kind = kind::array, .items = {number(7), number(8)}}));
}

TEST(Resp, ComesInPieces) {
  const std::string whole =
      "*3\r\n$3\r\na\rb\r\n|1\r\n+k\r\n:1\r\n(12345\r\n%1\r\n$1\r\nk\r\n,1.5\r\n+next\r\n";
  const auto expected = all(whole);
  ASSERT_EQ(expected.size(), 2u);
  for (std::size_t piece = 1; piece < whole.size(); ++piece) {
    reader r;
    std::vector<value> found;
    for (std::size_t at = 0; at < whole.size(); at += piece) {
      std::string_view bytes = std::string_view(whole).substr(at, piece);
      while (auto v = r.next(bytes)) found.push_back(std::move(*v));
      EXPECT_TRUE(bytes.empty());
    }
    EXPECT_EQ(found, expected) << piece;
    EXPECT_FALSE(r.is_within());
  }
}

TEST(Resp, RefusesWhatIsNoReply) {
  for (const char* bytes : {"HTTP/1.1 200 OK\r\n",
                            "\r\n",
                            ":1x\r\n",
                            ":\r\n",
                            ":9223372036854775808\r\n",
                            "$-2\r\n",
                            "$1\r\nabc\r\n",
                            "*-2\r\n",
                            "#x\r\n",
                            ",1.5.5\r\n",
                            "(12a\r\n",
                            "(\r\n",
                            "=2\r\nab\r\n",
                            "=-1\r\n",
                            "%-1\r\n",
                            "_x\r\n",
                            "+no return\n",
                            "$?\r\n",
                            "*?\r\n",
                            "$99999999999999999999\r\n",
                            "*9223372036854775807\r\n",
                            "%9223372036854775807\r\n",
                            "*1\r\n>1\r\n:1\r\n",
                            "$4611686018427387904\r\n"})
    EXPECT_THROW(all(bytes), protocol_error) << bytes;
}

TEST(Resp, KeepsItsLimits) {
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "*1\r\n";
  EXPECT_THROW(all(deep), protocol_error);
  EXPECT_THROW(all("$101\r\n", {.reply_bytes = 100}), protocol_error);
  EXPECT_THROW(all("+" + std::string(70'000, 'x')), protocol_error);
  std::string many = "*1000\r\n";
  for (int i = 0; i < 1000; ++i) many += ":1\r\n";
  EXPECT_THROW(all(many, {.reply_bytes = 50'000}), protocol_error);
  // The limit is a reply's, not a connection's.
  std::string small;
  for (int i = 0; i < 1000; ++i) small += ":1\r\n";
  EXPECT_EQ(all(small, {.reply_bytes = 1000}).size(), 1000u);
}

TEST(Resp, WritesCommands) {
  std::string bytes;
  append(bytes, command("SET", "k\r\n", 12));
  EXPECT_EQ(bytes, "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n12\r\n");
  EXPECT_EQ(command("LPUSH", "q").name(), "LPUSH");
  reader r;
  std::string_view left = bytes;
  EXPECT_EQ(r.next(left)->items.size(), 3u);
}

TEST(RedisUrl, SaysWhereAndWho) {
  const auto plain = parse_url("redis://");
  EXPECT_EQ(plain.host, "127.0.0.1");
  EXPECT_EQ(plain.port, 6379);
  const auto full = parse_url("redis://me:p%40ss/word@cache.example:6380/3");
  EXPECT_EQ(full.user, "me");
  EXPECT_EQ(full.password, "p@ss/word");
  EXPECT_EQ(full.host, "cache.example");
  EXPECT_EQ(full.port, 6380);
  EXPECT_EQ(full.database, 3);
  EXPECT_EQ(to_text(full), "redis://cache.example:6380/3");
  EXPECT_EQ(parse_url("redis://:secret@h").password, "secret");
  EXPECT_EQ(parse_url("redis://[::1]:7000/0").host, "::1");
  EXPECT_EQ(to_text(parse_url("redis://[::1]:7000")), "redis://[::1]:7000/0");
  const auto local = parse_url("redis+socket:///run/redis.sock?virtual_host=2");
  EXPECT_EQ(local.socket, "/run/redis.sock");
  EXPECT_EQ(local.database, 2);
  EXPECT_TRUE(parse_url("rediss://h?ssl_cert_reqs=none").tls.has_value());
  for (const char* bad : {"", "localhost", "http://h", "redis://h:port", "redis://h:70000",
                          "redis://h/x", "redis://[::1", "redis://[]:1", "redis+socket://",
                          "redis://h/-1", "rediss://h?ssl_ca_certs=/no/such/file.pem"})
    EXPECT_THROW(parse_url(bad), invalid_url) << bad;
}

}  // namespace
