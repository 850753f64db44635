#include <gtest/gtest.h>

#include "plait/net.hpp"

namespace {

using plait::net::endpoint;

TEST(Endpoint, ReadsBothFamiliesAndWritesThemBack) {
  const auto v4 = endpoint::parse("127.0.0.1", 80);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->to_string(), "127.0.0.1:80");
  EXPECT_EQ(v4->port(), 80);
  const auto v6 = endpoint::parse("::1", 65535);
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->to_string(), "[::1]:65535");
  EXPECT_EQ(v6->address(), "::1");
}

TEST(Endpoint, NamesAndNonsenseAreNotAddresses) {
  for (const char* text :
       {"", "localhost", "127.0.0.1 ", "127.0.0.256", "1.2.3", "::g", ":", "[::1]", "0x7f000001"})
    EXPECT_FALSE(endpoint::parse(text, 1)) << text;
  EXPECT_FALSE(endpoint::parse(std::string(1000, '1'), 1));
  EXPECT_FALSE(endpoint::parse(std::string_view("127.0.0.1\0", 10), 1)) << "a NUL is not the end";
}

TEST(Endpoint, EqualWhenAddressAndPortAre) {
  EXPECT_EQ(endpoint::parse("127.0.0.1", 80), endpoint::parse("127.0.0.1", 80));
  EXPECT_NE(endpoint::parse("127.0.0.1", 80), endpoint::parse("127.0.0.1", 81));
  EXPECT_NE(endpoint::parse("127.0.0.1", 80), endpoint::parse("::1", 80));
  EXPECT_TRUE(endpoint().empty());
}

}  // namespace
