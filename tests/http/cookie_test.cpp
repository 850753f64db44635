// The cookie jar by RFC 6265's rules, and the dates that HTTP and cookies write.
#include <gtest/gtest.h>

#include <string>

#include "http/encoding.hpp"
#include "http/http_date.hpp"
#include "plait/http.hpp"

namespace {

using plait::http::cookie_jar;
using plait::http::url;

std::string sent(const cookie_jar& jar, const char* to) { return jar.for_request(url(to)); }

TEST(CookieJar, BelongsToTheHostThatSetIt) {
  cookie_jar jar;
  jar.hear(url("http://www.a.test/x/y"), "k=v");
  EXPECT_EQ(sent(jar, "http://www.a.test/x/"), "k=v");
  EXPECT_EQ(sent(jar, "http://www.a.test/x/z/w"), "k=v");
  EXPECT_EQ(sent(jar, "http://www.a.test:8080/x"), "k=v") << "ports do not matter";
  EXPECT_EQ(sent(jar, "http://www.a.test/"), "") << "the folder of the page that set it";
  EXPECT_EQ(sent(jar, "http://www.a.test/xy"), "");
  EXPECT_EQ(sent(jar, "http://a.test/x/"), "");
  EXPECT_EQ(sent(jar, "http://sub.www.a.test/x/"), "");
}

TEST(CookieJar, ADomainIsForAllBelowItAndNobodyElse) {
  cookie_jar jar;
  jar.hear(url("http://www.a.test/"), "k=v; Domain=.A.test");
  EXPECT_EQ(sent(jar, "http://a.test/"), "k=v");
  EXPECT_EQ(sent(jar, "http://deep.www.a.test/"), "k=v");
  EXPECT_EQ(sent(jar, "http://ba.test/"), "");
  jar.clear();
  jar.hear(url("http://www.a.test/"), "k=v; Domain=b.test");
  jar.hear(url("http://www.a.test/"), "k=v; Domain=sub.www.a.test");
  jar.hear(url("http://www.a.test/"), "k=v; Domain=test");
  jar.hear(url("http://1.2.3.4/"), "k=v; Domain=3.4");
  EXPECT_TRUE(jar.empty());
  jar.hear(url("http://1.2.3.4/"), "k=v; Domain=1.2.3.4");
  EXPECT_EQ(sent(jar, "http://1.2.3.4/"), "k=v");
}

TEST(CookieJar, SecureOnesTravelOverHttpsOnly) {
  cookie_jar jar;
  jar.hear(url("http://a.test/"), "forged=1; Secure");
  jar.hear(url("https://a.test/"), "s=1; Secure");
  EXPECT_EQ(sent(jar, "http://a.test/"), "");
  EXPECT_EQ(sent(jar, "https://a.test/"), "s=1");
  jar.hear(url("https://a.test/"), "__Host-x=1; Secure; Path=/; Domain=a.test");
  jar.hear(url("https://a.test/"), "__Secure-x=1");
  EXPECT_EQ(jar.size(), 1u);
  jar.hear(url("https://a.test/"), "__Host-x=1; Secure; Path=/");
  EXPECT_EQ(jar.size(), 2u);
}

TEST(CookieJar, EndsWhenItSays) {
  cookie_jar jar;
  const url from("http://a.test/");
  jar.hear(from, "a=1; Max-Age=1000");
  jar.hear(from, "b=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT");
  jar.hear(from, "c=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT");
  jar.hear(from, "d=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=1000");
  jar.hear(from, "e=1; Max-Age=99999999999999999999");
  jar.hear(from, "f=1; Max-Age=rubbish");
  EXPECT_EQ(sent(jar, "http://a.test/"), "a=1; b=1; d=1; e=1; f=1");
  jar.hear(from, "a=; Max-Age=0");
  jar.hear(from, "b=; Max-Age=-5");
  jar.hear(from, "d=; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(sent(jar, "http://a.test/"), "e=1; f=1");
  EXPECT_EQ(jar.all().size(), 2u);
}

TEST(CookieJar, TheSameNameDomainAndPathIsOneCookie) {
  cookie_jar jar;
  jar.hear(url("http://a.test/x/"), "k=1");
  jar.hear(url("http://a.test/x/"), "k=2");
  jar.hear(url("http://a.test/x/"), "k=3; Path=/");
  EXPECT_EQ(sent(jar, "http://a.test/x/"), "k=2; k=3") << "the longer path first";
  EXPECT_EQ(jar.value(url("http://a.test/x/"), "k"), "2");
  EXPECT_EQ(jar.value(url("http://a.test/"), "k"), "3");
}

TEST(CookieJar, RubbishIsNotKept) {
  cookie_jar jar;
  const url from("http://a.test/");
  for (const std::string& text :
       {std::string(), std::string("novalue"), std::string("=v"), std::string("; Path=/"),
        std::string("k=\x01"), "k=" + std::string(5000, 'x')})
    jar.hear(from, text);
  EXPECT_TRUE(jar.empty());
  jar.hear(from, "  k =  v  ; ; =; Unknown; Path=nowhere");
  EXPECT_EQ(sent(jar, "http://a.test/"), "k=v");
  EXPECT_THROW(jar.set({.name = "a b", .value = "1", .domain = "a.test"}),
               plait::http::invalid_header);
  EXPECT_THROW(jar.set({.name = "a", .value = "1; b=2", .domain = "a.test"}),
               plait::http::invalid_header);
}

TEST(CookieJar, HasNoMoreThanItsLimits) {
  cookie_jar jar;
  const url from("http://a.test/");
  for (int i = 0; i < 200; ++i) jar.hear(from, "k" + std::to_string(i) + "=v");
  EXPECT_EQ(jar.size(), 150u);
  EXPECT_EQ(jar.value(from, "k0"), "") << "the oldest went first";
  EXPECT_EQ(jar.value(from, "k199"), "v");
  for (int i = 0; i < 4000; ++i) jar.hear(url("http://h" + std::to_string(i) + ".test/"), "k=v");
  EXPECT_EQ(jar.size(), 3000u);
}

TEST(HttpDate, IsReadInItsThreeForms) {
  using plait::http::parse_http_date;
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"})
    EXPECT_EQ(parse_http_date(text), 784111777) << text;
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  for (const char* text : {"", "tomorrow", "31 Feb 2020 00:00:00", "1 Jan 2020 24:00:00",
                           "1 Jan 1600 00:00:00", "99 Jan 2020 00:00:00", "Jan 2020 00:00:00"})
    EXPECT_FALSE(parse_http_date(text)) << text;
  EXPECT_EQ(plait::http::http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(Base64, IsRfc4648s) {
  using plait::http::base64;
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
