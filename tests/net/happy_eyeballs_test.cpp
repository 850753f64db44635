// Connecting to a host that has several addresses: attempts that are made up, in virtual time, and
// a real host that listens on one family only.
#include "net/happy_eyeballs.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "stream_kinds.hpp"

namespace {

using namespace std::chrono_literals;
using plait::net::endpoint;

endpoint at(const char* address) { return *endpoint::parse(address, 80); }

std::vector<std::string> names(const std::vector<endpoint>& endpoints) {
  std::vector<std::string> all;
  for (const auto& e : endpoints) all.push_back(e.address());
  return all;
}

TEST(HappyEyeballs, FamiliesAlternateAndKeepTheirOrder) {
  using list = std::vector<std::string>;
  const auto mixed = [](std::initializer_list<const char*> addresses) {
    std::vector<endpoint> endpoints;
    for (const char* a : addresses) endpoints.push_back(at(a));
    return names(plait::net::interleaved(endpoints));
  };
  EXPECT_EQ(mixed({}), list{});
  EXPECT_EQ(mixed({"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"}),
            (list{"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"}));
  EXPECT_EQ(mixed({"10.0.0.1", "10.0.0.2", "::1"}), (list{"10.0.0.1", "::1", "10.0.0.2"}));
  EXPECT_EQ(mixed({"10.0.0.1", "10.0.0.2"}), (list{"10.0.0.1", "10.0.0.2"}));
}

// How an attempt to reach an address goes.
struct behaviour {
  enum { answers, refuses, no_descriptors } how;
  plait::duration after;
};

// A network of which every address behaves as it is told to, and that keeps a diary.
class made_up_network {
 public:
  using map = std::vector<std::pair<endpoint, behaviour>>;
  explicit made_up_network(map hosts) : hosts_(std::move(hosts)) {}

  std::vector<endpoint> addresses() const {
    std::vector<endpoint> all;
    for (const auto& [address, how] : hosts_) all.push_back(address);
    return all;
  }
  plait::task<std::string> attempt(endpoint to) {
    struct open_attempt {
      explicit open_attempt(int& n) : open(n) { ++open; }
      ~open_attempt() { --open; }
      int& open;
    };
    const open_attempt counted(open);
    begun.push_back({to.address(), plait::event_loop::current().now() - start_});
    for (const auto& [address, behaves] : hosts_) {
      if (!(address == to)) continue;
      co_await plait::sleep(behaves.after);
      if (behaves.how == behaviour::no_descriptors)
        throw plait::net::descriptors_exhausted(
            "none left", std::make_error_code(std::errc::too_many_files_open));
      if (behaves.how == behaviour::refuses)
        throw plait::net::connect_error("refused by " + to.to_string(),
                                        std::make_error_code(std::errc::connection_refused));
      co_return to.address();
    }
    co_return "nowhere";
  }
  // Who answered first.
  plait::task<std::string> connect(plait::duration delay = 250ms) {
    start_ = plait::event_loop::current().now();
    const auto attempt_it = [this](endpoint to) { return attempt(to); };
    plait::net::eyeballs<std::string, decltype(attempt_it)> race("example.org:80", delay,
                                                                 attempt_it);
    std::string winner;
    std::exception_ptr error;
    try {
      winner = co_await race.connect(addresses());
    } catch (...) {
      error = std::current_exception();
    }
    took = plait::event_loop::current().now() - start_;
    EXPECT_EQ(open, 0) << "the losers have let go";
    if (error != nullptr) std::rethrow_exception(error);
    co_return winner;
  }

  struct entry {
    std::string address;
    plait::duration when;
    friend bool operator==(const entry&, const entry&) = default;
  };
  std::vector<entry> begun;
  plait::duration took{};
  int open = 0;

 private:
  map hosts_;
  plait::time_point start_;
};

template <class F>
auto virtual_run(F program) {
  plait::testing::virtual_clock clock;
  return plait::run(program(), {.clock = &clock});
}

using diary = std::vector<made_up_network::entry>;
std::ostream& operator<<(std::ostream& out, const made_up_network::entry& e) {
  return out << e.address << " at " << e.when.count() << " ns";
}

TEST(HappyEyeballs, AFirstThatAnswersInTimeIsTheOnlyAttempt) {
  made_up_network net(
      {{at("::1"), {behaviour::answers, 200ms}}, {at("10.0.0.1"), {behaviour::answers, 0ms}}});
  EXPECT_EQ(virtual_run([&] { return net.connect(); }), "::1");
  EXPECT_EQ(net.begun, (diary{{"::1", 0ms}}));
  EXPECT_EQ(net.took, 200ms);
}

TEST(HappyEyeballs, OneThatIsSilentCostsTheDelayOnly) {
  made_up_network net({{at("::1"), {behaviour::answers, 1h}},
                       {at("::2"), {behaviour::answers, 1h}},
                       {at("10.0.0.1"), {behaviour::answers, 10ms}}});
  EXPECT_EQ(virtual_run([&] { return net.connect(); }), "10.0.0.1");
  EXPECT_EQ(net.begun, (diary{{"::1", 0ms}, {"10.0.0.1", 250ms}}));
  EXPECT_EQ(net.took, 260ms);
}

TEST(HappyEyeballs, ASlowFirstMayStillWin) {
  made_up_network net(
      {{at("::1"), {behaviour::answers, 300ms}}, {at("10.0.0.1"), {behaviour::answers, 100ms}}});
  EXPECT_EQ(virtual_run([&] { return net.connect(); }), "::1");
  EXPECT_EQ(net.took, 300ms);
}

TEST(HappyEyeballs, ARefusalStartsTheNextAtOnce) {
  made_up_network net({{at("::1"), {behaviour::refuses, 5ms}},
                       {at("10.0.0.1"), {behaviour::refuses, 5ms}},
                       {at("::2"), {behaviour::answers, 5ms}}});
  EXPECT_EQ(virtual_run([&] { return net.connect(); }), "::2");
  EXPECT_EQ(net.begun, (diary{{"::1", 0ms}, {"10.0.0.1", 5ms}, {"::2", 10ms}}));
}

TEST(HappyEyeballs, TheDelayIsAnOption) {
  made_up_network net({{at("::1"), {behaviour::answers, 1h}},
                       {at("10.0.0.1"), {behaviour::answers, 1h}},
                       {at("10.0.0.2"), {behaviour::answers, 10ms}}});
  EXPECT_EQ(virtual_run([&] { return net.connect(2s); }), "10.0.0.2");
  EXPECT_EQ(net.took, 4010ms);
}

TEST(HappyEyeballs, WhenAllFailTheErrorSaysWhyEachDid) {
  made_up_network net(
      {{at("::1"), {behaviour::refuses, 500ms}}, {at("10.0.0.1"), {behaviour::refuses, 0ms}}});
  try {
    virtual_run([&] { return net.connect(); });
    FAIL() << "nobody answers";
  } catch (const plait::net::connect_error& error) {
    EXPECT_STREQ(error.what(),
                 "cannot connect to example.org:80: refused by 10.0.0.1:80; refused by [::1]:80");
    EXPECT_EQ(error.code(), std::errc::connection_refused);
  }
  EXPECT_EQ(net.took, 500ms);
}

TEST(HappyEyeballs, ASingleAddressSaysNothingOfTheOthers) {
  made_up_network net({{at("::1"), {behaviour::refuses, 0ms}}});
  try {
    virtual_run([&] { return net.connect(); });
    FAIL() << "nobody answers";
  } catch (const plait::net::connect_error& error) {
    EXPECT_STREQ(error.what(), "refused by [::1]:80");
  }
}

TEST(HappyEyeballs, WithoutDescriptorsItDoesNotTryTheRest) {
  made_up_network net(
      {{at("::1"), {behaviour::no_descriptors, 0ms}}, {at("10.0.0.1"), {behaviour::answers, 0ms}}});
  EXPECT_THROW(virtual_run([&] { return net.connect(); }), plait::net::descriptors_exhausted);
}

TEST(HappyEyeballs, AStopAtAnyTimeEndsEveryAttempt) {
  for (int after = 0; after < 800; after += 50)
    virtual_run([&]() -> plait::task<> {
      made_up_network net({{at("::1"), {behaviour::answers, 1h}},
                           {at("10.0.0.1"), {behaviour::refuses, 100ms}},
                           {at("::2"), {behaviour::answers, 1h}}});
      const bool stopped = co_await throws<plait::timeout_error>(
          plait::timeout(std::chrono::milliseconds(after), net.connect()));
      EXPECT_TRUE(stopped);
      EXPECT_EQ(net.open, 0);
    });
}

// "localhost" is ::1 and 127.0.0.1 where the machine's list of hosts says so; either may answer.
TEST(HappyEyeballs, LocalhostIsFoundOnWhicheverFamilyListens) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    run_program([address]() -> plait::task<> {
      std::optional<plait::net::tcp_listener> listener;
      try {
        listener = plait::net::tcp_listener::bind(address, 0);
      } catch (const plait::net::listen_error&) {
        co_return;  // no IPv6 here
      }
      const auto to = listener->local_endpoint();
      // Both families, the one that nobody listens on first.
      std::vector<endpoint> both{*endpoint::parse(to.is_v6() ? "127.0.0.1" : "::1", to.port()), to};
      const auto attempt = [](endpoint e) { return plait::net::tcp_stream::connect(e); };
      plait::net::eyeballs<plait::net::tcp_stream, decltype(attempt)> race("localhost", 250ms,
                                                                           attempt);
      auto stream = co_await race.connect(both);
      EXPECT_EQ(stream.peer(), to);
      if (!to.is_v6()) {
        auto by_name = co_await plait::net::tcp_stream::connect("localhost", to.port());
        EXPECT_EQ(by_name.peer().port(), to.port());
      }
    });
  }
}

}  // namespace
