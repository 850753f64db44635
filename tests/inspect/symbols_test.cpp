// Promises about the texts of a report: names of functions, and JSON that any parser takes.
#include "inspect/symbols.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "inspect/json_writer.hpp"
#include "plait/coroutines.hpp"

namespace {

using plait::detail::json_writer;
using plait::detail::symbols;

void not_exported() {}

plait::task<int> answer(int n) { co_return n; }

TEST(Symbols, NameAFunctionThatIsNotExported) {
  symbols names;
  const auto& place = names.find(reinterpret_cast<const void*>(&not_exported));
  EXPECT_EQ(place.function, "(anonymous namespace)::not_exported()");
  EXPECT_NE(place.file.find("inspect_symbols_test"), std::string::npos);
}

TEST(Symbols, NameACoroutineByWhatTheUserWrote) {
  symbols names;
  const auto task = answer(1);
  EXPECT_EQ(names.find(plait::detail::code_of_frame(task.frame().address())).function,
            "(anonymous namespace)::answer(int)");
}

TEST(Symbols, NameAFunctionOfALibrary) {
  symbols names;
  const std::string name = names.find(reinterpret_cast<const void*>(&std::abort)).function;
  EXPECT_TRUE(name.ends_with("abort")) << name;  // a sanitizer puts its own in its place
}

TEST(Symbols, OfNoCodeAreEmpty) {
  symbols names;
  int local = 0;
  EXPECT_EQ(names.find(nullptr).function, "");
  EXPECT_EQ(names.find(&local).function, "");
}

TEST(Json, IsParsedBackToWhatWasWritten) {
  json_writer out;
  out.begin_object();
  out.field("text", std::string_view("a \"quoted\" line\n\t\\ \x01 \xc3\xa9\0.", 25));
  out.field("number", -7);
  out.key("list").begin_array();
  out.number(1);
  out.begin_object();
  out.end_object();
  out.begin_array();
  out.end_array();
  out.text("last");
  out.end_array();
  out.key("seconds").seconds(1'234'567'890);
  out.end_object();
  const auto parsed = nlohmann::json::parse(out.str());
  EXPECT_EQ(parsed.at("text"), std::string("a \"quoted\" line\n\t\\ \x01 \xc3\xa9\0.", 25));
  EXPECT_EQ(parsed.at("number"), -7);
  EXPECT_EQ(parsed.at("list").size(), 4U);
  EXPECT_EQ(parsed.at("seconds"), 1.234567);
}

TEST(Json, IsValidWhateverTheBytes) {
  for (const char* bytes :
       {"\xff", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3("}) {
    std::string text;
    json_writer::append_text(text, bytes);
    EXPECT_TRUE(nlohmann::json::accept(text)) << text;
  }
}

}  // namespace
