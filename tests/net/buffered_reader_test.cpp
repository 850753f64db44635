// What a buffered_reader promises, on streams that split everything and stop in the middle.
#include "plait/net/buffered_reader.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "stream_kinds.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::buffered_reader;
using plait::testing::memory_stream_pair;

TEST(BufferedReader, ADelimiterThatIsSplitIsFound) {
  for (std::size_t piece = 1; piece < 6; ++piece)
    virtual_run([piece]() -> plait::task<> {
      auto [a, b] = memory_stream_pair({.largest_piece = piece});
      auto writing = plait::spawn(write_and_end(a, "x--y-----END-----tail"));
      buffered_reader reader(b, 1);
      const auto got1 = co_await reader.read_until("-----END-----");
      EXPECT_EQ(got1, "x--y-----END-----");
      const auto got2 = co_await reader.read_all(100);
      EXPECT_EQ(got2, "tail");
      co_await std::move(writing);
    });
}

TEST(BufferedReader, AnIncompleteReadHoldsWhatCame) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair();
    co_await write_and_end(a, "abc");
    buffered_reader reader(b);
    try {
      co_await reader.read_exactly(4);
      ADD_FAILURE() << "there were three";
    } catch (const plait::net::incomplete_read& error) {
      EXPECT_EQ(error.partial(), "abc");
      EXPECT_STREQ(error.what(), "the stream ended after 3 of the 4 bytes that were to be read");
    }
    auto [c, d] = memory_stream_pair();
    co_await write_and_end(c, "abc");
    buffered_reader other(d);
    try {
      co_await other.read_until("\r\n");
      ADD_FAILURE() << "there was none";
    } catch (const plait::net::incomplete_read& error) {
      EXPECT_EQ(error.partial(), "abc");
      EXPECT_NE(std::string(error.what()).find("\"\\r\\n\""), std::string::npos) << error.what();
    }
  });
}

TEST(BufferedReader, TheLimitBoundsWhatIsKeptAndLosesNothing) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair({.largest_piece = 3});
    auto writing = plait::spawn(write_and_end(a, "0123456789\nrest"));
    buffered_reader reader(b, 4);
    EXPECT_TRUE(co_await throws<plait::net::limit_exceeded>(reader.read_line(10)));
    const auto got3 = co_await reader.read_line(11);
    EXPECT_EQ(got3, "0123456789");
    EXPECT_TRUE(co_await throws<plait::net::limit_exceeded>(reader.read_all(3)));
    const auto got4 = co_await reader.read_all(4);
    EXPECT_EQ(got4, "rest");
    co_await std::move(writing);
  });
}

// Every read is stopped some times before it may end.
TEST(BufferedReader, AStoppedReadLosesNothing) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair({.largest_piece = 2, .longest_delay = 10ms});
    std::string sent;
    for (int i = 0; i < 50; ++i) sent += "line " + std::to_string(i) + "\n";
    auto writing = plait::spawn(write_and_end(a, sent));
    buffered_reader reader(b, 5);
    std::string got;
    int stopped = 0;
    for (bool ended = false; !ended;) {
      try {
        const auto line = co_await plait::timeout(100us, reader.read_line());
        ended = !line;
        if (line) got += *line + "\n";
      } catch (const plait::timeout_error&) {
        ++stopped;
      }
    }
    EXPECT_EQ(got, sent);
    EXPECT_GT(stopped, 0);
    co_await std::move(writing);
  });
}

TEST(BufferedReader, WhatIsBufferedCanBeReadAsBytes) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair();
    co_await write_and_end(a, "head\nbody");
    buffered_reader reader(b);
    const auto got5 = co_await reader.read_line();
    EXPECT_EQ(got5, "head");
    EXPECT_EQ(reader.buffered(), "body");
    std::string rest = co_await plait::net::read_all(reader, 100);
    EXPECT_EQ(rest, "body");
  });
}

TEST(MemoryStream, ACutAfterSoManyBytesBreaksBothEnds) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair({.cut_after = 5});
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(a.write_all("123456")));
    std::string buffer(10, '\0');
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(b.read_some(buffer)));
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(b.write_all("x")));
  });
}

TEST(MemoryStream, ACutMayLookLikeAnEnd) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair(
        {.cut_after = 5, .cut_how = plait::testing::memory_stream_options::cut::ends});
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(a.write_all("123456")));
    const auto got6 = co_await read_to_end(b);
    EXPECT_EQ(got6, "12345");
  });
}

TEST(MemoryStream, DelaysArePassedInVirtualTimeAndKeepTheOrder) {
  virtual_run([]() -> plait::task<> {
    auto [a, b] = memory_stream_pair({.largest_piece = 4, .longest_delay = std::chrono::hours(1)});
    const auto before = plait::event_loop::current().now();
    const std::string sent = pattern(1000);
    auto writing = plait::spawn(write_and_end(a, sent));
    const std::string all = co_await read_to_end(b);
    EXPECT_TRUE(all == sent);
    EXPECT_GT(plait::event_loop::current().now() - before, std::chrono::minutes(1));
    co_await std::move(writing);
  });
}

TEST(MemoryStream, TheSameSeedGivesTheSamePieces) {
  const auto pieces = [](std::uint64_t seed) {
    return virtual_run([seed]() -> plait::task<std::string> {
      auto [a, b] = memory_stream_pair({.largest_piece = 9, .seed = seed});
      co_await write_and_end(a, std::string(500, 'x'));
      std::string sizes, buffer(100, '\0');
      while (const std::size_t got = co_await b.read_some(buffer)) sizes += std::to_string(got);
      co_return sizes;
    });
  };
  EXPECT_EQ(pieces(1), pieces(1));
  EXPECT_NE(pieces(1), pieces(2));
}

}  // namespace
