// Functions of a library that the program opens after the pool was made, replaces, and closes.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

#include "plait/processes.hpp"

namespace {

namespace fs = std::filesystem;
using plait::function_not_found;
using plait::process_pool_executor;
using answer = int (*)(int);

int twice(int n) { return 2 * n; }

class library {
 public:
  explicit library(const fs::path& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(dlerror());
  }
  library(const library&) = delete;
  ~library() { dlclose(handle_); }
  template <class F>
  F function(const char* name) const {
    return reinterpret_cast<F>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

class LateLibrary : public testing::Test {
 protected:
  LateLibrary() {
    char name[] = "/tmp/plait-late-XXXXXX";
    folder = mkdtemp(name);
  }
  ~LateLibrary() override { fs::remove_all(folder); }
  // A new file under an old name, as installers and linkers do it.
  fs::path put(const char* build, const char* name = "library.so") const {
    const fs::path path = folder / name, next = folder / "next";
    fs::copy_file(build, next);
    fs::rename(next, path);
    return path;
  }
  fs::path folder;
};

std::string refusal(const plait::future<int>& call) {
  try {
    return "it returned " + std::to_string(call.get());
  } catch (const function_not_found& e) {
    return e.what();
  }
}

TEST_F(LateLibrary, ItsFunctionsRunInWorkersThatWereThereBefore) {
  process_pool_executor pool{1};
  const int worker = pool.submit(getpid).get();
  const library late(put(LATE_ONE));
  EXPECT_EQ(pool.submit(late.function<answer>("late_answer"), 7).get(), 7);
  EXPECT_EQ(pool.submit(getpid).get(), worker);
}

TEST_F(LateLibrary, ItsFunctionsTravelAsArguments) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  const library late(put(LATE_ONE));
  const auto call = [](answer f, int n) { return f(n); };
  EXPECT_EQ(pool.submit(call, late.function<answer>("late_answer"), 7).get(), 7);
}

TEST_F(LateLibrary, EveryNewWorkerOpensItToo) {
  process_pool_executor pool{{.max_workers = 1, .max_tasks_per_child = 1}};
  const library late(put(LATE_TWO));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(pool.submit(late.function<answer>("late_answer"), i).get(), 2 * i);
}

TEST_F(LateLibrary, ACrashInItIsTheCallsAndIsNamed) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  const library late(put(LATE_ONE));
  try {
    pool.submit(late.function<int (*)()>("late_crash")).get();
    ADD_FAILURE();
  } catch ([[maybe_unused]] const plait::worker_crashed& e) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have their own report
    EXPECT_EQ(e.signal(), SIGSEGV);
    bool named = false;
    for (const auto& frame : e.frames()) named |= frame.function == "late_crash";
    EXPECT_TRUE(named) << e.what();
#endif
  }
  EXPECT_THROW(pool.submit(late.function<int (*)()>("late_throw")).get(), plait::remote_error);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST_F(LateLibrary, OneThatIsGoneFromDiskFailsItsCallWithAReason) {
  process_pool_executor pool{1};
  const int worker = pool.submit(getpid).get();
  const fs::path path = put(LATE_ONE);
  const library late(path);
  fs::remove(path);
  const auto said = refusal(pool.submit(late.function<answer>("late_answer"), 7));
  EXPECT_NE(said.find("is not on disk"), std::string::npos) << said;
  EXPECT_NE(said.find(path.string()), std::string::npos) << said;
  EXPECT_EQ(pool.submit(getpid).get(), worker);  // nobody died of it
}

TEST_F(LateLibrary, OneThatWasReplacedOnDiskFailsItsCallWithAReason) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  const library late(put(LATE_ONE));
  put(LATE_TWO);
  const auto said = refusal(pool.submit(late.function<answer>("late_answer"), 7));
  EXPECT_NE(said.find("another build"), std::string::npos) << said;
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

// Hot reload: the same worker runs the new build, and an old pointer never means the new code.
TEST_F(LateLibrary, OneThatIsClosedAndOpenedAnewIsItsNewBuild) {
  process_pool_executor pool{1};
  const int worker = pool.submit(getpid).get();
  for (int round = 0; round < 6; ++round) {
    const library late(put(round % 2 == 0 ? LATE_ONE : LATE_TWO));
    const auto f = late.function<answer>("late_answer");
    EXPECT_EQ(pool.submit(f, 10).get(), round % 2 == 0 ? 10 : 20);
    EXPECT_EQ(pool.submit(f, 11).get(), round % 2 == 0 ? 11 : 22);
  }
  EXPECT_EQ(pool.submit(getpid).get(), worker);
}

TEST_F(LateLibrary, AFunctionOfAClosedOneIsRefusedAtOnce) {
  process_pool_executor pool{1};
  std::optional<library> late(std::in_place, put(LATE_ONE));
  const auto f = late->function<answer>("late_answer");
  EXPECT_EQ(pool.submit(f, 1).get(), 1);
  late.reset();
  EXPECT_THROW(pool.submit(f, 1), function_not_found);
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST_F(LateLibrary, WithoutABuildIdItIsKnownByItsFile) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  {
    const library late(put(LATE_NAMELESS));
    EXPECT_EQ(pool.submit(late.function<answer>("late_answer"), 3).get(), 9);
  }
  const library late(put(LATE_NAMELESS));  // the same bytes, another file
  EXPECT_EQ(pool.submit(late.function<answer>("late_answer"), 3).get(), 9);
  put(LATE_NAMELESS);
  process_pool_executor other{{.max_workers = 1, .start = plait::start_method::spawn}};
  const auto said = refusal(other.submit(late.function<answer>("late_answer"), 3));
  EXPECT_NE(said.find("another build"), std::string::npos) << said;
}

TEST_F(LateLibrary, APoolThatIsMadeLaterIsNotRefusedForIt) {
  const library late(put(LATE_ONE));
  put(LATE_TWO);
  process_pool_executor pool{1};
  EXPECT_EQ(pool.submit(twice, 2).get(), 4);
}

TEST_F(LateLibrary, AForkHasItWhateverIsOnDisk) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "TSan refuses the fork";
#endif
  const fs::path path = put(LATE_ONE);
  const library late(path);
  fs::remove(path);
  process_pool_executor pool{{.max_workers = 1, .start = plait::start_method::fork}};
  EXPECT_EQ(pool.submit(late.function<answer>("late_answer"), 7).get(), 7);
}

TEST_F(LateLibrary, ANestedPoolOpensItToo) {
  process_pool_executor pool{1};
  pool.submit(twice, 1).get();
  const library late(put(LATE_TWO));
  const auto within = [](answer f, int n) {
    process_pool_executor own{1};
    return own.submit(f, n).get();
  };
  EXPECT_EQ(pool.submit(within, late.function<answer>("late_answer"), 4).get(), 8);
}

}  // namespace
