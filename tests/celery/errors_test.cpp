// What an application hears of its queue's troubles.
#include <gtest/gtest.h>

#include "celery/recent_ids.hpp"
#include "celery/transport.hpp"
#include "plait/coroutines.hpp"

namespace {

namespace detail = plait::celery::detail;

TEST(CeleryTransport, AnUnknownSchemeIsRefusedWithoutShowingThePassword) {
  try {
    plait::run(detail::open_transport("kafka://me:secret@example.com/"));
    FAIL();
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
    EXPECT_NE(text.find("kafka://***@example.com/"), std::string::npos) << text;
  }
}

// After 50,000 revocations a worker remembered no new one.
TEST(RecentIds, TheOldestGiveWayAndTheOldAreForgotten) {
  const plait::time_point begin{};
  detail::recent_ids few(3, std::chrono::hours(1));
  for (int i = 0; i < 5; ++i) few.insert("id" + std::to_string(i), begin);
  EXPECT_FALSE(few.contains("id1"));
  EXPECT_TRUE(few.contains("id2"));
  EXPECT_TRUE(few.contains("id4"));
  few.insert("id2", begin + std::chrono::minutes(50));
  EXPECT_EQ(few.all(begin + std::chrono::minutes(70)), std::vector<std::string>{"id2"});
  few.insert("late", begin + std::chrono::hours(2));
  EXPECT_EQ(few.all(begin + std::chrono::hours(2)), std::vector<std::string>{"late"});
}

}  // namespace
