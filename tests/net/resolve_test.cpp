#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "plait/coroutines.hpp"
#include "plait/net.hpp"

namespace {

using namespace std::chrono_literals;

TEST(Resolve, NumericAddressesAreReadInPlace) {
  const auto found = plait::run(plait::net::resolve("127.0.0.1", 80));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].to_string(), "127.0.0.1:80");
}

TEST(Resolve, NamesAreAskedOfTheSystem) {
  const auto found = plait::run(plait::net::resolve("localhost", 8080));
  ASSERT_FALSE(found.empty());
  EXPECT_TRUE(std::all_of(found.begin(), found.end(), [](const auto& e) {
    return e.port() == 8080 && (e.address() == "127.0.0.1" || e.address() == "::1");
  }));
}

// RFC 2606 keeps .invalid for this.
TEST(Resolve, AnUnknownNameIsADnsErrorThatNamesIt) {
  try {
    plait::run(plait::net::resolve("no-such-host.invalid", 80));
    FAIL() << "it has no address";
  } catch (const plait::net::dns_error& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-host.invalid"), std::string::npos);
  }
}

plait::task<> resolve_stopped() {
  auto question = plait::spawn(plait::net::resolve("no-such-host.invalid", 80));
  co_await plait::sleep(0ms);  // it is under way
  question.cancel();
  bool cancelled = false;
  try {
    co_await question;
  } catch (const plait::cancelled_error&) {
    cancelled = true;
  } catch (const plait::net::dns_error&) {  // the answer was faster
    cancelled = true;
  }
  EXPECT_TRUE(cancelled);
}
TEST(Resolve, AStoppedQuestionIsLetGo) { plait::run(resolve_stopped()); }

}  // namespace
