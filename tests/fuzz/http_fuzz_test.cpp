// What HTTP's peers, or anybody who can write a file that we read, may hand us.
#include <gtest/gtest.h>

#include "cli/fetch/robots.hpp"
#include "fuzz/fuzzing.hpp"
#include "http/content_coding.hpp"
#include "http/encoding.hpp"
#include "http/http_date.hpp"
#include "http/message_parser.hpp"
#include "http/percent.hpp"
#include "plait/http/cookie_jar.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/url.hpp"

namespace plait {
namespace {

using plait::testing::fuzz;

const std::vector<std::string> urls = {
    "http://example.com/",
    "https://user:pw@Example.COM:8443/a/../b%20c?q=1&r=%zz#frag",
    "http://[::1]:80/x",
    "http://127.0.0.1:65535",
    "HTTP://a.b/\xc3\xa4 <>\"",
    "//host/path",
    "?only=query",
    "../../up/./and/down",
};
const std::vector<std::string> url_words = {
    "http://", "https://", "//",     "/../", "/./", "[", "]", "[::ffff:1.2.3.4]",
    ":0",      ":65536",   "%2e%2e", "%00",  "@",   "#", "?"};

TEST(Fuzz, AUrlThatIsTakenApartIsTheSameWhenItIsPutTogether) {
  fuzz({.seeds = urls, .words = url_words}, [](std::string_view text) {
    try {
      const http::url parsed(text);
      EXPECT_TRUE(parsed.scheme() == "http" || parsed.scheme() == "https");
      EXPECT_FALSE(parsed.host().empty());
      EXPECT_EQ(parsed.target().front(), '/');
      EXPECT_EQ(parsed.target().find_first_of(std::string_view(" \r\n\t\0#", 6)),
                std::string::npos);
      EXPECT_EQ(parsed.host().find_first_of(std::string_view("/ \r\n\t\0@", 7)), std::string::npos);
      const http::url again(parsed.to_string());
      EXPECT_EQ(again.to_string(), parsed.to_string());
      EXPECT_TRUE(again.same_origin(parsed));
    } catch (const http::invalid_url&) {
    }
  });
}

TEST(Fuzz, ALocationLeadsToAUrlOrToAnError) {
  const http::url here("http://example.com/a/b/c?d=e");
  fuzz({.seeds = urls, .words = url_words}, [&](std::string_view reference) {
    try {
      const http::url there = here.resolve(reference);
      EXPECT_EQ(http::url(there.to_string()).to_string(), there.to_string());
    } catch (const http::invalid_url&) {
    }
  });
}

TEST(Fuzz, CookiesStayWithinTheirDomain) {
  const http::url here("https://shop.example.com/cart/items"), elsewhere("https://example.org/");
  http::cookie_jar jar;
  fuzz({.seeds = {"id=1; Path=/; HttpOnly", "a=b; Domain=.example.com; Max-Age=3600; Secure",
                  "x=\"y\"; Expires=Sun, 06 Nov 2094 08:49:37 GMT; SameSite=Lax", "=; Domain=com",
                  "n", "a=1; Max-Age=-1"},
        .words = {"; Domain=", "example.com", ".com", "; Path=/cart", "; Max-Age=",
                  "99999999999999999999", "; Expires=", "Mon, 01 Jan 1601 00:00:00 GMT", "; Secure",
                  "=", ";", "\"", "__Host-", "__Secure-"}},
       [&](std::string_view field) {
         jar.hear(here, field);
         EXPECT_EQ(jar.for_request(elsewhere), "");
         const std::string sent = jar.for_request(here);
         EXPECT_EQ(sent.find_first_of(std::string_view("\r\n\0", 3)), std::string::npos);
         if (jar.size() > 20) jar.clear();
         for (const http::cookie& each : jar.all())
           EXPECT_LE(each.name.size() + each.value.size(), 4096u);
       });
}

TEST(Fuzz, DatesAreMomentsOrNothing) {
  fuzz({.seeds = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                  "Sun Nov  6 08:49:37 1994", "Tue, 29 Feb 2000 23:59:60 GMT", "1 Jan 1601 0:0:0"},
        .words = {"Jan", "Dec", "29 Feb", "9999", "1601", "23:59:59", "24:00:00", "99"}},
       [](std::string_view text) {
         const auto moment = http::parse_http_date(text);
         if (!moment || *moment < 0) return;
         EXPECT_EQ(http::parse_http_date(http::http_date(*moment)), moment)
             << http::http_date(*moment);
       });
}

// All that `coded` decodes to, at most `limit` bytes of it.
std::string decoded(std::string_view coding, std::string_view coded, std::size_t limit) {
  const auto decoder = http::decoder_for(coding);
  std::string text;
  while (decoder->decode(coded, text, limit - text.size()) && text.size() < limit) {
  }
  if (text.size() < limit) decoder->finish();
  return text;
}

// "hello hello hello world", and "hello world" for Brotli.
const std::string gzip_seed(
    "\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8@\x22\xcb\xf3\x8brR\0&\xe6Z\x81\x17\0\0\0",
    33);
const std::string deflate_seed("x\xda\xcbH\xcd\xc9\xc9W\xc8@\x22\xcb\xf3\x8brR\0h}\x08\xc5", 21);
const std::string brotli_seed("\x0b\x05\x80hello world\x03", 15);
const std::string zstd_seed("(\xb5/\xfd\x04X\x8d\0\0Xhello world\x01\0\xe1J\x11)W\x97j", 30);

void fuzz_coding(const std::string& coding, const std::string& seed) {
  EXPECT_TRUE(decoded(coding, seed, 100).ends_with("hello world"));
  fuzz({.seeds = {seed, "", seed + seed}, .longest = 300}, [&](std::string_view coded) {
    constexpr std::size_t limit = 1 << 16;
    try {
      EXPECT_LE(decoded(coding, coded, limit).size(), limit);
    } catch (const http::protocol_error&) {
    }
  });
}
TEST(Fuzz, Gzip) { fuzz_coding("gzip", gzip_seed); }
TEST(Fuzz, Deflate) { fuzz_coding("deflate", deflate_seed); }
TEST(Fuzz, Brotli) { fuzz_coding("br", brotli_seed); }
TEST(Fuzz, Zstd) { fuzz_coding("zstd", zstd_seed); }
TEST(Fuzz, SeveralCodingsInARow) {
  fuzz({.seeds = {"gzip", "gzip, br", "x-gzip,deflate , zstd", "identity",
                  "gzip, gzip, gzip, gzip, gzip"},
        .words = {"gzip", "br", "zstd", "deflate", "identity", ","}},
       [](std::string_view codings) {
         if (const auto decoder = http::decoder_for(codings)) {
           std::string_view bytes = gzip_seed;
           std::string text;
           try {
             decoder->decode(bytes, text, 1000);
           } catch (const http::protocol_error&) {
           }
         }
       });
}

template <class Parser, class Message>
void parse_in_pieces(std::string_view bytes) {
  constexpr http::message_limits limits{.header_bytes = 400, .body_bytes = 500};
  // As a whole and byte by byte: the same outcome, and nothing above the limits.
  Message whole, dripped;
  Parser at_once(whole, limits), slowly(dripped, limits);
  std::string pending;
  http::feed(at_once, pending, bytes);
  const auto end = [](Parser& parser) {
    if (parser.failure() == http::parse_failure::none && !parser.is_done() && parser.got_some())
      parser.put_end();
  };
  end(at_once);
  pending.clear();
  for (const char& c : bytes) {
    if (slowly.failure() != http::parse_failure::none || slowly.is_done()) break;
    http::feed(slowly, pending, {&c, 1});
  }
  end(slowly);
  EXPECT_LE(whole.headers.text().size(), 2 * limits.header_bytes);
  EXPECT_LE(whole.content.size(), limits.body_bytes);
  if (at_once.is_done() && slowly.is_done() && at_once.failure() == http::parse_failure::none &&
      slowly.failure() == http::parse_failure::none) {
    EXPECT_EQ(whole.headers.text(), dripped.headers.text());
    EXPECT_EQ(whole.content, dripped.content);
  }
}

const std::vector<std::string> message_words = {"\r\n",
                                                "\r\n\r\n",
                                                "Content-Length: 5\r\n",
                                                "Transfer-Encoding: chunked\r\n",
                                                "0\r\n\r\n",
                                                "5\r\nhello\r\n",
                                                "ffffffffffffffff\r\n",
                                                ": ",
                                                " HTTP/1.1\r\n",
                                                "Connection: close\r\n",
                                                "\n",
                                                "\r"};

TEST(Fuzz, Responses) {
  fuzz({.seeds = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                  "HTTP/1.1 404 \r\nA: b\r\n c\r\n\r\n",
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
                  "HTTP/1.0 200 OK\r\n\r\nuntil the end"},
        .words = message_words},
       parse_in_pieces<http::response_parser, http::response>);
}

TEST(Fuzz, Requests) {
  fuzz({.seeds = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                  "POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                  "PUT /y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
                  "PUT /z HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
        .words = message_words},
       parse_in_pieces<http::request_parser, http::request>);
}

TEST(Fuzz, PercentSignsAreUndoneOnce) {
  fuzz({.seeds = {"a%20b+c", "%", "%4", "%zz%41"}, .words = {"%", "%25", "+"}},
       [](std::string_view text) {
         const std::string plain = http::percent_decoded(text, http::plus_sign::is_space);
         EXPECT_LE(plain.size(), text.size());
         std::string coded;
         http::append_form_encoded(coded, text);
         EXPECT_EQ(http::percent_decoded(coded, http::plus_sign::is_space), text);
       });
}

TEST(Fuzz, RobotsFiles) {
  fuzz({.seeds = {"User-agent: *\nDisallow: /private\nAllow: /private/open\n",
                  "user-agent:plait\r\nDisallow: /*.gif$\r\n# x\r\n",
                  "\xef\xbb\xbfUser-agent: a\nUser-agent: plait\nDisallow:\n"},
        .words = {"User-agent: ", "Disallow: ", "Allow: ", "*", "$", "\n", "/", "#",
                  "***********************"}},
       [](std::string_view text) {
         const cli::fetch::robots_rules rules(text, "plait");
         rules.allows("/private/open/a.gif?b=ccccccccccccccccccccccccccccccccccccccccccccc");
         EXPECT_TRUE(rules.allows("/robots.txt"));
       });
}

}  // namespace
}  // namespace plait
