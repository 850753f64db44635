// robots.txt as RFC 9309 reads it.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "cli/fetch/robots.hpp"

namespace {

using plait::cli::fetch::robots_rules;

bool allows(const char* text, const char* target, const char* product = "plait") {
  return robots_rules(text, product).allows(target);
}

TEST(RobotsRules, TheGroupOfTheNameCountsElseThatOfEverybody) {
  const char* text =
      "User-agent: *\nDisallow: /all\n\nUser-Agent: PLAIT # us\nDisallow: /ours\n"
      "User-agent: a\nUser-agent: b\nDisallow: /ab\n";
  EXPECT_FALSE(allows(text, "/ours/x"));
  EXPECT_TRUE(allows(text, "/all"));
  EXPECT_FALSE(allows(text, "/all", "somebody"));
  EXPECT_FALSE(allows(text, "/ab", "a"));
  EXPECT_FALSE(allows(text, "/ab", "b"));
  EXPECT_TRUE(allows("Disallow: /\n", "/x")) << "of no group";
  EXPECT_TRUE(allows("", "/x"));
}

TEST(RobotsRules, GroupsOfOneNameAreOne) {
  const char* text =
      "User-agent: plait\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: plait\nDisallow: "
      "/b\n";
  EXPECT_FALSE(allows(text, "/a"));
  EXPECT_FALSE(allows(text, "/b"));
  EXPECT_TRUE(allows(text, "/c"));
}

TEST(RobotsRules, TheLongestRuleDecidesAndOfTwoTheOneThatAllows) {
  const char* text =
      "User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /a/b/c\nAllow: /x\nDisallow: /x\n";
  EXPECT_FALSE(allows(text, "/a"));
  EXPECT_TRUE(allows(text, "/a/b"));
  EXPECT_FALSE(allows(text, "/a/b/cd"));
  EXPECT_TRUE(allows(text, "/x"));
  EXPECT_TRUE(allows("User-agent: *\nDisallow: /\n", "/robots.txt"));
  EXPECT_TRUE(allows("User-agent: *\nDisallow:\n", "/x"));
}

TEST(RobotsRules, StarsAndDollarsStandForWhatTheyDo) {
  const char* text = "User-agent: *\nDisallow: /*.php$\nDisallow: /p*q*r\n";
  EXPECT_FALSE(allows(text, "/a/b.php"));
  EXPECT_TRUE(allows(text, "/a/b.php?x"));
  EXPECT_TRUE(allows(text, "/b.phpx"));
  EXPECT_FALSE(allows(text, "/b.php.php"));
  EXPECT_FALSE(allows(text, "/p/q/r/s"));
  EXPECT_TRUE(allows(text, "/p/q"));
  EXPECT_FALSE(allows("User-agent: *\nDisallow: /a*$\n", "/abc"));
  EXPECT_FALSE(allows("User-agent: *\r\nDisallow: /a\r\n", "/a"));
}

TEST(RobotsRules, ManyStarsTakeNoTime) {
  std::string pattern = "User-agent: *\nDisallow: /";
  for (int i = 0; i < 1000; ++i) pattern += "a*";
  pattern += "b$\n";
  EXPECT_TRUE(robots_rules(pattern, "plait").allows("/" + std::string(20'000, 'a')));
}

TEST(RobotsRules, AnyBytesAreRead) {
  std::mt19937 random(7);
  const std::string pieces[] = {"User-agent:", "Disallow:", "Allow:", "*", "$", "/",   "a",
                                "\n",          "\r",        "#",      " ", ":", "\xff"};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (unsigned n = random() % 40; n > 0; --n) text += pieces[random() % std::size(pieces)];
    robots_rules(text, "a").allows("/a/a");
  }
}

}  // namespace
