#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "plait/http.hpp"

namespace {

using namespace std::string_view_literals;
using plait::http::headers;
using plait::http::url;

TEST(Headers, NamesHaveNoCaseAndOrderIsKept) {
  headers h{{"Accept", "text/html"}, {"X-Many", "1"}, {"x-many", "2"}};
  EXPECT_EQ(h.get("ACCEPT"), "text/html");
  EXPECT_EQ(h.get("X-MANY"), "1");
  EXPECT_EQ(h.get("absent"), "");
  EXPECT_FALSE(h.contains("Acce"));
  EXPECT_EQ(h.size(), 3u);
  std::string order;
  for (const auto [name, value] : h) order.append(name).append("=").append(value).append(";");
  EXPECT_EQ(order, "Accept=text/html;X-Many=1;x-many=2;");
}

TEST(Headers, SetReplacesEveryFieldOfTheName) {
  headers h{{"A", "1"}, {"B", "2"}, {"a", "3"}};
  h.set("A", " 4 ");
  EXPECT_EQ(h.text(), "B: 2\r\nA: 4\r\n");
  h.erase("b");
  h.erase("b");
  EXPECT_EQ(h.text(), "A: 4\r\n");
}

TEST(Headers, AnEmptyValueAndAColonInOneAreKept) {
  headers h{{"Empty", ""}, {"Time", "12:30: noon"}};
  EXPECT_TRUE(h.contains("empty"));
  EXPECT_EQ(h.get("empty"), "");
  EXPECT_EQ(h.get("time"), "12:30: noon");
}

TEST(Headers, NothingCanBreakTheMessageApart) {
  headers h;
  EXPECT_THROW(h.add("A", "1\r\nInjected: yes"), plait::http::invalid_header);
  EXPECT_THROW(h.add("A", "1\nx"), plait::http::invalid_header);
  EXPECT_THROW(h.set("A", "\0"sv), plait::http::invalid_header);
  EXPECT_THROW(h.add("A: b", "1"), plait::http::invalid_header);
  EXPECT_THROW(h.add("", "1"), plait::http::invalid_header);
  EXPECT_TRUE(h.empty());
}

TEST(Url, IsTakenApart) {
  const url u("HTTP://Example.org:8080/a/b?c=d&e#fragment");
  EXPECT_EQ(u.scheme(), "http");
  EXPECT_EQ(u.host(), "example.org");
  EXPECT_EQ(u.port(), 8080);
  EXPECT_EQ(u.target(), "/a/b?c=d&e");
  EXPECT_EQ(u.to_string(), "http://example.org:8080/a/b?c=d&e");
  EXPECT_EQ(url("http://h").target(), "/");
  EXPECT_EQ(url("http://h?q").target(), "/?q");
  EXPECT_EQ(url("http://h:80/").authority(), "h");
  EXPECT_EQ(url("https://h/").port(), 443);
  EXPECT_EQ(url("http://[::1]:81/").host(), "::1");
  EXPECT_EQ(url("http://[::1]:81/").authority(), "[::1]:81");
  EXPECT_EQ(url(" http://h/ \n").to_string(), "http://h/");
}

TEST(Url, WhatCannotTravelIsEncoded) {
  EXPECT_EQ(url("http://h/a b\r\nX: y").target(), "/a%20b%0D%0AX:%20y");
  EXPECT_EQ(url("http://h/\xc3\xa9?\"<>").target(), "/%C3%A9?%22%3C%3E");
  EXPECT_EQ(url("http://h/%41%zz").target(), "/%41%zz") << "what is encoded stays so";
}

TEST(Url, UnusableOnesSayWhy) {
  const std::pair<const char*, const char*> samples[] = {
      {"", "http://"},
      {"example.org", "http://"},
      {"http:/h/", "http://"},
      {"ftp://h/", "ftp"},
      {"http://", "no host"},
      {"http:///path", "no host"},
      {"http://h:0/", "port '0'"},
      {"http://h:65536/", "port '65536'"},
      {"http://h:80x/", "port '80x'"},
      {"http://user:secret@h/", "Authorization"},
      {"http://h h/", "character"},
      {"http://h%00/", "character"},
      {"http://m\xc3\xbcnchen.de/", "xn--"},
      {"http://[::1/", "IPv6"},
      {"http://[1]/", "IPv6"},
      {"http://[]/", "IPv6"},
  };
  for (const auto& [text, why] : samples) {
    try {
      const url u(text);
      ADD_FAILURE() << text << " was taken for " << u.to_string();
    } catch (const plait::http::invalid_url& error) {
      EXPECT_NE(std::string_view(error.what()).find(why), std::string_view::npos) << error.what();
    }
  }
  EXPECT_THROW(url("http://" + std::string(254, 'h')), plait::http::invalid_url);
}

// RFC 3986, 5.4.
TEST(Url, ReferencesResolveAsTheStandardSays) {
  const url base("http://a/b/c/d;p?q");
  const std::pair<const char*, const char*> samples[] = {
      {"g", "/b/c/g"},
      {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},
      {"/g", "/g"},
      {"?y", "/b/c/d;p?y"},
      {"g?y", "/b/c/g?y"},
      {"", "/b/c/d;p?q"},
      {".", "/b/c/"},
      {"..", "/b/"},
      {"../g", "/b/g"},
      {"../..", "/"},
      {"../../../g", "/g"},
      {"/./g", "/g"},
      {"/../g", "/g"},
      {"g.", "/b/c/g."},
      {"./g/.", "/b/c/g/"},
      {"g/../h", "/b/c/h"},
      {"#s", "/b/c/d;p?q"},
      {"g?y/../x", "/b/c/g?y/../x"},
  };
  for (const auto& [reference, target] : samples)
    EXPECT_EQ(base.resolve(reference).to_string(), std::string("http://a") + target) << reference;
  EXPECT_EQ(base.resolve("//g/x").to_string(), "http://g/x");
  EXPECT_EQ(base.resolve("https://g:8/x").to_string(), "https://g:8/x");
  EXPECT_THROW(base.resolve("mailto:a@b"), plait::http::invalid_url);
}

TEST(Response, RaisesForWhatTheServerRefused) {
  for (const int code : {200, 204, 301, 399, 600})
    EXPECT_NO_THROW(plait::http::response{.status_code = code}.raise_for_status());
  plait::http::response r{.status_code = 404, .url = "http://h/missing"};
  EXPECT_FALSE(r.ok());
  try {
    r.raise_for_status();
    FAIL();
  } catch (const plait::http::error& error) {
    const auto& status = dynamic_cast<const plait::http::status_error&>(error);
    EXPECT_EQ(status.status_code(), 404);
    EXPECT_EQ(status.url(), "http://h/missing");
    EXPECT_STREQ(error.what(), "404 Not Found (the request is at fault) for http://h/missing");
  }
}

TEST(Request, PathAndQueryAreDecoded) {
  plait::http::request r{.target = "/a%20b+c?x=1&y=%26+z&x=&flag&%zz=%4"};
  EXPECT_EQ(r.path(), "/a b+c");
  const auto query = r.query();
  const std::vector<std::pair<std::string, std::string>> expected{
      {"x", "1"}, {"y", "& z"}, {"x", ""}, {"flag", ""}, {"%zz", "%4"}};
  EXPECT_EQ(query, expected);
  EXPECT_TRUE(plait::http::request{.target = "/?"}.query().empty());
}

}  // namespace
