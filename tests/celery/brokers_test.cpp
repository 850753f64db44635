// The brokers that need no server keep what every broker promises.
#include <atomic>
#include <barrier>
#include <string>
#include <thread>
#include <vector>

#include "broker_conformance.hpp"
#include "celery/sqlite/database.hpp"
#include "plait/testing/temporary_folder.hpp"

namespace broker_conformance {
namespace {

struct memory_store {
  bool available() const { return true; }
  std::string url() const { return "memory:" + std::to_string(number); }
  inline static int count = 0;
  const int number = ++count;
};

struct sqlite_store {
  bool available() const { return true; }
  std::string url() const { return "sqlite:" + folder / "jobs.db" + "?synchronous=normal"; }
  plait::testing::temporary_folder folder;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, BrokerConformance, memory_store);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, BrokerConformance, sqlite_store);

// A worker and its first client that begin together: one of them was told "database is locked".
TEST(SqliteFile, SeveralMayMakeItAtOnce) {
  constexpr int openers = 4, files = 25;
  const plait::testing::temporary_folder folder;
  std::barrier together(openers);
  std::atomic<int> opened = 0;
  const auto open_all = [&] {
    for (int file = 0; file < files; ++file) {
      together.arrive_and_wait();
      try {
        const plait::celery::sqlite::connection c(folder / ("jobs" + std::to_string(file)),
                                                  "normal");
        ++opened;
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < openers; ++i) threads.emplace_back(open_all);
  threads.clear();
  EXPECT_EQ(opened, openers * files);
}

}  // namespace
}  // namespace broker_conformance
