#include "plait/core/errors.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

template <class Error>
constexpr bool is_error = std::is_base_of_v<plait::error, Error>;
static_assert(is_error<plait::cancelled_error> && is_error<plait::timeout_error> &&
              is_error<plait::would_deadlock> && is_error<plait::invalid_state> &&
              is_error<plait::broken_promise> && is_error<plait::executor_shutdown> &&
              is_error<plait::broken_executor> && is_error<plait::task_error> &&
              is_error<plait::remote_error>);
static_assert(std::is_base_of_v<std::runtime_error, plait::error>);

TEST(Errors, RemoteErrorKeepsTypeMessageAndTraceback) {
  const plait::remote_error e("ValueError", "bad row", "frame 1\nframe 2");
  EXPECT_EQ(e.type(), "ValueError");
  EXPECT_STREQ(e.what(), "bad row");
  EXPECT_EQ(e.traceback(), "frame 1\nframe 2");
}

TEST(Errors, AddressIsDescribedByFunctionFileAndOffset) {
  const std::string text =
      plait::detail::describe_address(reinterpret_cast<const void*>(&std::abort));
  EXPECT_NE(text.find("abort"), std::string::npos) << text;
  EXPECT_NE(text.find("+0x"), std::string::npos) << text;
  EXPECT_EQ(plait::detail::describe_address(nullptr), "at an unknown place");
}

TEST(Errors, NamesThatAreNotMangledStayAsTheyAre) {
  EXPECT_EQ(plait::detail::demangled(typeid(plait::timeout_error).name()), "plait::timeout_error");
  EXPECT_EQ(plait::detail::demangled("no mangled name"), "no mangled name");
}

}  // namespace
