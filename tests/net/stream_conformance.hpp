// tests/net/stream_conformance.hpp: what every byte_stream promises, on each kind of stream.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "stream_kinds.hpp"

template <class Kind>
class StreamConformance : public ::testing::Test {
 public:
  using stream = typename Kind::stream;
  static_assert(plait::net::byte_stream<stream>);
  // False where the end must be said: TLS, which tells an end from a cut.
  static constexpr bool close_is_an_end = !requires { typename Kind::says_its_end; };
};

struct kind_names {
  template <class Kind>
  static std::string GetName(int) {
    const std::string name = plait::detail::demangled(typeid(Kind).name());
    return name.substr(0, name.rfind("_kind"));
  }
};

TYPED_TEST_SUITE_P(StreamConformance);

TYPED_TEST_P(StreamConformance, BothWaysAtOncePastEveryBuffer) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    const std::string there = pattern(1'500'000), back = pattern(1'111'111);
    auto first = plait::spawn(write_and_end(a, there));
    auto second = plait::spawn(write_and_end(b, back));
    auto heard = plait::spawn(read_to_end(a));
    const std::string got = co_await read_to_end(b);
    EXPECT_TRUE(got == there) << got.size() << " bytes came";
    const std::string answer = co_await std::move(heard);
    EXPECT_TRUE(answer == back) << answer.size() << " bytes came back";
    co_await std::move(first);
    co_await std::move(second);
  });
}

TYPED_TEST_P(StreamConformance, WriteSomeSaysWhatItTook) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    const std::string sent = pattern(300'000);
    auto heard = plait::spawn(read_to_end(b));
    for (std::string_view rest = sent; !rest.empty();) {
      const std::size_t took = co_await a.write_some(rest);
      EXPECT_GT(took, 0u);
      EXPECT_LE(took, rest.size());
      rest.remove_prefix(took);
    }
    co_await a.shutdown_write();
    const std::string got = co_await std::move(heard);
    EXPECT_TRUE(got == sent) << got.size() << " bytes came";
  });
}

TYPED_TEST_P(StreamConformance, AtTheEndEveryReadGivesZero) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    co_await write_and_end(a, "last");
    std::array<char, 100> buffer{};
    std::string all;
    while (const std::size_t got = co_await b.read_some(buffer)) all.append(buffer.data(), got);
    EXPECT_EQ(all, "last");
    for (int i = 0; i < 3; ++i) {
      const std::size_t after = co_await b.read_some(buffer);
      EXPECT_EQ(after, 0u);
    }
  });
}

TYPED_TEST_P(StreamConformance, AHalfClosedStreamReadsOn) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    co_await write_and_end(a, "question");
    const std::string question = co_await read_to_end(b);
    EXPECT_EQ(question, "question");
    co_await write_and_end(b, "answer");
    const std::string answer = co_await read_to_end(a);
    EXPECT_EQ(answer, "answer");
    EXPECT_TRUE(co_await throws<plait::net::error>(a.write_all("more")));
  });
}

TYPED_TEST_P(StreamConformance, ClosingEndsTheOthersReading) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    co_await a.write_all("bye");
    a.close();
    EXPECT_FALSE(a.is_open());
    std::string all, buffer(10, '\0');
    bool cut = false;
    try {
      while (const std::size_t got = co_await b.read_some(buffer)) all.append(buffer, 0, got);
    } catch (const plait::net::truncated_stream&) {
      cut = true;
    } catch (const plait::net::connection_closed&) {  // the kernel may reset what nobody read
      cut = true;
    }
    if (TestFixture::close_is_an_end) {
      EXPECT_EQ(all, "bye");
    }
    EXPECT_EQ(cut, !TestFixture::close_is_an_end);
  });
}

TYPED_TEST_P(StreamConformance, WritingToOneWhoHasGoneThrows) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    b.close();
    const std::string much(100'000, 'x');
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; ++i)
      gone = co_await throws<plait::net::connection_closed>(a.write_all(much));
    EXPECT_TRUE(gone);
  });
}

TYPED_TEST_P(StreamConformance, AClosedStreamThrows) {
  run_program([]() -> plait::task<> {
    typename TypeParam::stream closed;
    EXPECT_FALSE(closed.is_open());
    std::array<char, 8> buffer{};
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(
        plait::spawn([](auto& s, auto& into) -> plait::task<std::size_t> {
          co_return co_await s.read_some(into);
        }(closed, buffer))));
    EXPECT_TRUE(co_await throws<plait::net::connection_closed>(
        plait::spawn([](auto& s) -> plait::task<> { co_await s.write_all("x"); }(closed))));
    closed.close();
  });
}

// --- Stops ---

TYPED_TEST_P(StreamConformance, AReadThatIsStoppedBeforeItBeginsLosesNothing) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    std::array<char, 8> buffer{};
    co_await a.write_all("x");
    auto reading = plait::spawn(b.read_some(buffer));
    reading.cancel();
    const auto stopped = co_await unless_cancelled(reading);
    EXPECT_FALSE(stopped.has_value());
    const std::size_t got = co_await b.read_some(buffer);
    EXPECT_EQ(got, 1u);
  });
}

TYPED_TEST_P(StreamConformance, APendingReadThatIsStoppedLosesNothing) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    std::array<char, 8> buffer{};
    for (int round = 0; round < 20; ++round) {
      auto reading = plait::spawn(b.read_some(buffer));
      co_await let_others_run();
      EXPECT_FALSE(reading.done());
      reading.cancel();
      const auto stopped = co_await unless_cancelled(reading);
      EXPECT_FALSE(stopped.has_value());
      co_await a.write_all("later");
      std::string got;
      while (got.size() < 5) got.append(buffer.data(), co_await b.read_some(buffer));
      EXPECT_EQ(got, "later");
    }
  });
}

// The bytes arrive and the stop arrives, in one turn or some turns apart.
TYPED_TEST_P(StreamConformance, AReadThatIsStoppedAsBytesArriveLosesNothing) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    std::array<char, 1> buffer{};
    std::string sent, got;
    for (int round = 0; round < 200; ++round) {
      auto reading = plait::spawn(b.read_some(buffer));
      co_await let_others_run();
      sent.push_back(static_cast<char>(round));
      co_await a.write_all(std::string_view(sent).substr(sent.size() - 1));
      for (int turn = 0; turn < round % 5; ++turn) co_await plait::sleep(plait::duration::zero());
      reading.cancel();
      if (const auto n = co_await unless_cancelled(reading)) got.append(buffer.data(), *n);
    }
    while (got.size() < sent.size()) got.append(buffer.data(), co_await b.read_some(buffer));
    EXPECT_TRUE(got == sent);
  });
}

// A writer who is not read waits, and what a stopped write says of itself is true.
TYPED_TEST_P(StreamConformance, AWriterWaitsAndAStoppedWriteTookNothing) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    const std::string sent = pattern(16 << 20);
    std::size_t taken = 0;
    for (int stops = 0; stops < 3;) {
      auto writing = plait::spawn(a.write_some(std::string_view(sent).substr(taken)));
      co_await let_others_run();
      const bool waits = !writing.done();
      if (waits) writing.cancel();
      const auto took = co_await unless_cancelled(writing);
      taken += took.value_or(0);
      stops += waits;
      if (taken >= sent.size()) break;
    }
    EXPECT_LT(taken, sent.size()) << "nothing ever held the writer back";
    auto heard = plait::spawn(read_to_end(b));
    co_await a.write_all(std::string_view(sent).substr(taken, 100'000));
    co_await a.shutdown_write();
    const std::string got = co_await std::move(heard);
    EXPECT_EQ(got.size(), taken + 100'000);
    EXPECT_TRUE(got == sent.substr(0, taken + 100'000));
  });
}

TYPED_TEST_P(StreamConformance, ClosingCancelsWhoWaits) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    std::array<char, 8> buffer{};
    auto reading = plait::spawn(a.read_some(buffer));
    co_await let_others_run();
    a.close();
    EXPECT_TRUE(co_await throws<plait::cancelled_error>(std::move(reading)));
  });
}

TYPED_TEST_P(StreamConformance, ASecondReaderIsRefused) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    std::array<char, 8> buffer{};
    auto reading = plait::spawn(a.read_some(buffer));
    co_await let_others_run();
    EXPECT_TRUE(co_await throws<plait::invalid_state>(a.read_some(buffer)));
    co_await b.write_all("x");
    const std::size_t got = co_await std::move(reading);
    EXPECT_EQ(got, 1u);
  });
}

// --- What stands on it ---

TYPED_TEST_P(StreamConformance, LinesAndLengthsComeOutWhole) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    auto writing = plait::spawn(write_and_end(a, "first\r\nsecond\n\n12345678|end|last"));
    plait::net::buffered_reader reader(b);
    const auto got1 = co_await reader.read_line();
    EXPECT_EQ(got1, "first");
    const auto got2 = co_await reader.read_line();
    EXPECT_EQ(got2, "second");
    const auto got3 = co_await reader.read_line();
    EXPECT_EQ(got3, "");
    const auto got4 = co_await reader.read_exactly(8);
    EXPECT_EQ(got4, "12345678");
    const auto got5 = co_await reader.read_until("|end|");
    EXPECT_EQ(got5, "|end|");
    const auto got6 = co_await reader.read_line();
    EXPECT_EQ(got6, "last");
    const auto got7 = co_await reader.read_line();
    EXPECT_EQ(got7, std::nullopt);
    co_await std::move(writing);
  });
}

TYPED_TEST_P(StreamConformance, CopyHandsOnEverything) {
  run_program([]() -> plait::task<> {
    auto [a, b] = co_await TypeParam::connect();
    auto [c, d] = co_await TypeParam::connect();
    const std::string sent = pattern(200'000);
    auto writing = plait::spawn(write_and_end(a, sent));
    auto heard = plait::spawn(plait::net::read_all(d, sent.size()));
    const std::size_t copied = co_await plait::net::copy(b, c);
    EXPECT_EQ(copied, sent.size());
    co_await c.shutdown_write();
    const std::string got = co_await std::move(heard);
    EXPECT_TRUE(got == sent);
    co_await std::move(writing);
  });
}

REGISTER_TYPED_TEST_SUITE_P(
    StreamConformance, BothWaysAtOncePastEveryBuffer, WriteSomeSaysWhatItTook,
    AtTheEndEveryReadGivesZero, AHalfClosedStreamReadsOn, ClosingEndsTheOthersReading,
    WritingToOneWhoHasGoneThrows, AClosedStreamThrows, AReadThatIsStoppedBeforeItBeginsLosesNothing,
    APendingReadThatIsStoppedLosesNothing, AReadThatIsStoppedAsBytesArriveLosesNothing,
    AWriterWaitsAndAStoppedWriteTookNothing, ClosingCancelsWhoWaits, ASecondReaderIsRefused,
    LinesAndLengthsComeOutWhole, CopyHandsOnEverything);
