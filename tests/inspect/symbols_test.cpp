// Promises about the texts of a report: names of functions, and JSON that any parser takes.
#include "inspect/symbols.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inspect/elf_file.hpp"
#include "inspect/json_writer.hpp"
#include "plait/coroutines.hpp"

namespace {

using plait::detail::elf_file;
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

TEST(Symbols, OfCAreNotTakenForTypes) {
  EXPECT_EQ(plait::detail::readable_name("f"), "f");  // which demangles to "float"
  EXPECT_EQ(plait::detail::readable_name("_Z1fv"), "f()");
}

TEST(Symbols, OfTemplatesAreToldWithoutWhatTheyReturn) {
  using plait::detail::readable_name;
  EXPECT_EQ(readable_name("_Z1fIiEvT_"), "f<int>(int)");  // "void f<int>(int)"
  EXPECT_EQ(readable_name("_ZN12_GLOBAL__N_11fIiEEmT_"), "(anonymous namespace)::f<int>(int)");
  EXPECT_EQ(readable_name("_ZNK1a1fEv"), "a::f() const");
  EXPECT_EQ(readable_name("_ZNK1aclEv"), "a::operator()() const");
  EXPECT_EQ(readable_name("_ZNK1acvT_IiEEv"), "a::operator int<int>() const");
}

TEST(ElfFile, NamesTheFunctionAroundEachAddress) {
  const elf_file program("/proc/self/exe");
  const auto all = program.functions();
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(),
                             [](const auto& a, const auto& b) { return a.begin < b.begin; }));
  const auto& last = all.back();
  const auto names = program.names_of({last.begin, last.end - 1, 0});
  EXPECT_EQ(names, (std::vector<std::string>{last.name, last.name, ""}));
}

TEST(ElfFile, ThatIsNoneHasNoFunctions) {
  EXPECT_TRUE(elf_file("/proc/self/cmdline").functions().empty());
  EXPECT_TRUE(elf_file("/no such file").functions().empty());
  EXPECT_EQ(elf_file("/dev/null").names_of({1}), std::vector<std::string>{""});
}

// Every byte of a small file may lie.
TEST(ElfFile, ThatLiesIsNotBelieved) {
  std::ifstream in("/proc/self/exe", std::ios::binary);
  std::string head(4096, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  const auto path = testing::TempDir() + "plait_elf_that_lies";
  for (std::size_t i = 0; i < 64; ++i) {
    for (const char lie : {'\0', '\x01', '\x7f', '\xff'}) {
      auto bytes = head;
      bytes[i] = lie;
      std::ofstream(path, std::ios::binary) << bytes;
      const elf_file file(path.c_str());
      EXPECT_TRUE(file.functions().empty());
      EXPECT_EQ(file.names_of({0x1000}), std::vector<std::string>{""});
    }
  }
  std::remove(path.c_str());
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
