// What a server reads of a request beside its framing: conditions, ranges, forms, paths.
#include <gtest/gtest.h>

#include <algorithm>

#include "fuzz/fuzzing.hpp"
#include "http/conditions.hpp"
#include "http/multipart_text.hpp"
#include "http/percent.hpp"
#include "http/route_tree.hpp"
#include "plait/http/errors.hpp"

namespace plait {
namespace {

using plait::testing::fuzz;

TEST(Fuzz, ARangeLiesWithinThePage) {
  fuzz({.seeds = {"bytes=0-99", "bytes=5-", "bytes=-5", "bytes=0-0,2-3", "Bytes= 7 - 9 "},
        .words = {"bytes=", "-", "18446744073709551615", "18446744073709551616", ","}},
       [](std::string_view text) {
         for (const std::uint64_t size :
              {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{UINT64_MAX}}) {
           const auto wanted = http::parse_range(text, size);
           if (wanted.kind != http::range_kind::part) continue;
           EXPECT_GT(wanted.part.size, 0u);
           EXPECT_LT(wanted.part.first, size);
           EXPECT_LE(wanted.part.size, size - wanted.part.first);
         }
       });
}

TEST(Fuzz, ConditionsAreMetOrNot) {
  const http::validators page{"\"abc\"", 784'111'777};
  fuzz({.seeds = {"\"abc\"", "W/\"abc\", \"x\"", "*", "\"a\"\"abc\"",
                  "Sun, 06 Nov 1994 08:49:37 GMT"},
        .words = {"\"", "W/", ",", "*", "\"abc\""}},
       [&](std::string_view text) {
         http::headers asked;
         for (const char* name : {"If-None-Match", "If-Match", "If-Modified-Since", "If-Range"}) {
           try {
             asked.set(name, text);
           } catch (const http::invalid_header&) {
             return;
           }
           http::judge(asked, page);
         }
         http::range_of(asked, page, 100);
         // What is listed strongly is listed weakly.
         EXPECT_TRUE(!http::lists_tag(text, page.tag, false) ||
                     http::lists_tag(text, page.tag, true));
       });
}

TEST(Fuzz, AMultipartFormHoldsNoMoreThanCame) {
  const http::form_limits limits{.parts = 5, .head_bytes = 200};
  fuzz({.seeds =
            {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--b--\r\n",
             "preamble\r\n--b\r\nContent-Disposition: form-data; name=f; filename=\"x\\\"y\"\r\n"
             "Content-Type: text/plain\r\n\r\n\r\n--b\r\n\r\n--b--",
             "--b\r\n\r\n\r\n--b--"},
        .words = {"\r\n--b", "--b--", "\r\n\r\n", "Content-Disposition: form-data; name=\"",
                  "filename=", "\"", "\\", ";", "="}},
       [&](std::string_view body) {
         std::vector<http::form_part> parts;
         const auto failure = http::parse_multipart(body, "b", limits, parts);
         EXPECT_LE(parts.size(), limits.parts);
         std::size_t bytes = 0;
         for (const auto& part : parts)
           bytes += part.name.size() + part.content.size() + part.file_name.size();
         EXPECT_LE(bytes, body.size());
         EXPECT_TRUE(failure != http::form_failure::none || !body.empty());
       });
}

TEST(Fuzz, ParametersOfAFieldAreThereOrNot) {
  fuzz({.seeds = {"multipart/form-data; boundary=abc", "text/html; charset=\"utf-8\"; q=1",
                  "form-data; name=\"a \\\"b\\\"\"; filename=x"},
        .words = {"; ", "=", "\"", "\\", "boundary", ";;"}},
       [](std::string_view field) {
         EXPECT_LE(http::parameter_of(field, "boundary").value_or("").size(), field.size());
       });
}

TEST(Fuzz, APathFindsOnePatternOrNone) {
  http::route_tree routes;
  const auto add = [&](const char* pattern) {
    routes.add("GET",
               {[](http::request) -> task<http::response> { co_return {}; }, {}, pattern, nullptr});
  };
  for (const char* pattern : {"/", "/a", "/a/{id}", "/a/{id}/b", "/{x}/{y}", "/files/{rest...}"})
    add(pattern);
  fuzz({.seeds = {"/", "/a/1/b", "/files/x/../y", "/a%2Fb/c", "//", "/a/", "a"},
        .words = {"/", "%2F", "%00", "..", "/a/", "files"}},
       [&](std::string_view text) {
         const auto path = http::path_segments(text);
         if (!path) return;
         EXPECT_TRUE(text.starts_with('/'));
         for (const auto& segment : *path) EXPECT_EQ(segment.find('\0'), std::string::npos);
         const auto found = routes.find("GET", *path);
         EXPECT_EQ(found.found == nullptr, routes.allowed(*path).empty());
         if (found.found == nullptr) return;
         const std::string& pattern = found.found->pattern;
         EXPECT_EQ(found.values.size(),
                   std::size_t(std::count(pattern.begin(), pattern.end(), '{')));
       });
}

TEST(Fuzz, APatternIsARouteOrAnError) {
  fuzz({.seeds = {"/users/{id}", "/files/{rest...}", "/a/{b}/{c}/", "/"},
        .words = {"{", "}", "...", "/", "{}", "{a}{b}"}},
       [](std::string_view pattern) {
         try {
           const auto segments = http::parse_pattern(pattern);
           EXPECT_FALSE(segments.empty());
           for (std::size_t i = 0; i + 1 < segments.size(); ++i)
             EXPECT_NE(segments[i].kind, http::segment_kind::rest);
         } catch (const http::invalid_route&) {
         }
       });
}

}  // namespace
}  // namespace plait
