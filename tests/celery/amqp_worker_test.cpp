// Applications and workers over a real RabbitMQ: kills, restarts, silence, and Debian's Celery.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "celery/transport.hpp"
#include "plait/celery.hpp"
#include "plait/coroutines.hpp"
#include "rabbitmq_server.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery;

int add(int a, int b) { return a + b; }
int fail(std::string kind, std::string text) {
  if (kind == "value") throw std::invalid_argument(text);
  throw std::runtime_error(text);
}
unsigned flaky(context& self, unsigned times) {
  if (self.retries() < times) self.retry({.countdown = 0s});
  return self.retries();
}

// Says that it has begun, and waits until it may end; once more, it ends at once.
std::atomic<bool> begun = false, gate = false;
int held(int value) {
  begun = true;
  begun.notify_all();
  gate.wait(false);
  return value;
}

// One line in the ledger for each time that a call ran.
void note(std::string ledger, int n) {
  const int fd = ::open(ledger.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  const std::string line = std::to_string(n) + '\n';
  if (fd < 0 || ::write(fd, line.data(), line.size()) < 0) std::abort();
  ::close(fd);
}
std::map<int, int> read_ledger(const std::string& path) {
  std::map<int, int> runs;
  std::ifstream lines(path);
  for (int n; lines >> n;) ++runs[n];
  return runs;
}

template <class T>
T soon(plait::future<T> f) {
  if (!f.wait_for(30s)) throw std::runtime_error("no result within 30 s");
  return f.get();
}

struct threads_worker {
  app tasks;
  worker works;
  std::thread running;
  explicit threads_worker(std::string url, std::string queue)
      : tasks({.broker = std::move(url), .backend = "rpc://", .queue = std::move(queue)}),
        works(tasks.worker({.concurrency = 2, .pool = pool_kind::threads})) {
    tasks.task("add", add, {.parameters = {"a", {"b", 100}}});
    tasks.task("fail", fail);
    tasks.task("flaky", flaky);
    tasks.task("note", note, {.ignore_result = true});
    tasks.task("held", held);
    running = std::thread([this] { EXPECT_EQ(works.run(), 0); });
  }
  ~threads_worker() {
    works.shutdown();
    running.join();
  }
};

// Not a test: the program of the workers that the next one kills.
TEST(AmqpLedger, DISABLED_Worker) {
  app tasks{{.broker = std::getenv("PLAIT_LEDGER_BROKER"), .queue = "ledger"}};
  tasks.task("note", note, {.ignore_result = true});
  tasks.worker({.concurrency = 2, .pool = pool_kind::threads, .max_deliveries = 100}).run();
}

TEST(AmqpLedger, KillsLoseNothing) {
  constexpr int calls = 2000, kills = 6, running_at_once = 4;
  plait::testing::temporary_folder folder;
  const std::string ledger = folder / "ledger", broker = rabbitmq_server::shared().url();
  {
    app sender{{.broker = broker, .queue = "ledger"}};
    const auto noted = sender.task("note", note);
    std::vector<plait::future<>> sent;
    for (int i = 0; i < calls; ++i)
      sent.push_back(noted.apply_async({ledger, i}, {.ignore_result = true}));
    for (const auto& s : sent) EXPECT_THROW(s.get(), no_result);
  }
  const auto lines = [&] {
    std::size_t total = 0;
    for (const auto& [n, times] : read_ledger(ledger)) total += static_cast<std::size_t>(times);
    return total;
  };
  std::size_t seen = 0;
  for (int kill = 0; kill <= kills; ++kill) {
    child_process worker(
        {"env", "PLAIT_LEDGER_BROKER=" + broker, std::filesystem::read_symlink("/proc/self/exe"),
         "--gtest_also_run_disabled_tests", "--gtest_filter=AmqpLedger.DISABLED_Worker"},
        folder / "worker.log");
    const auto enough = [&] {
      return kill < kills ? lines() >= seen + 40 : read_ledger(ledger).size() == calls;
    };
    for (int looks = 0; looks < 10'000 && !enough(); ++looks) std::this_thread::sleep_for(2ms);
    ASSERT_TRUE(enough()) << "the workers came to a halt\n" << worker.output();
    worker.end(kill < kills ? SIGKILL : SIGTERM);
    seen = lines();
  }
  const auto runs = read_ledger(ledger);
  EXPECT_EQ(runs.size(), static_cast<std::size_t>(calls)) << "calls were lost";
  int doubles = 0;
  for (const auto& [n, times] : runs) doubles += times - 1;
  EXPECT_LE(doubles, kills * running_at_once);
  RecordProperty("doubles", doubles);
}

std::vector<std::string> python(const std::string& queue, std::vector<std::string> words) {
  std::vector<std::string> all{"env",
                               "INTEROP_URL=" + rabbitmq_server::shared().url(),
                               "INTEROP_BACKEND=rpc://",
                               "INTEROP_QUEUE=" + queue,
                               "PYTHONPATH=" CELERY_TEST_FOLDER,
                               "PYTHONDONTWRITEBYTECODE=1",
                               "C_FORCE_ROOT=1",
                               "/usr/bin/python3"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

TEST(AmqpInterop, APythonProgramCallsOurWorker) {
  plait::testing::temporary_folder folder;
  threads_worker ours(rabbitmq_server::shared().url(), "from_python");
  child_process client(python("from_python", {CELERY_TEST_FOLDER "/amqp_client.py"}),
                       folder / "client.log");
  EXPECT_EQ(client.wait(), 0) << client.output();
}

TEST(AmqpInterop, WeCallAPythonWorker) {
  plait::testing::temporary_folder folder;
  child_process worker(python("to_python", {"-m", "celery", "-A", "interop_tasks", "worker", "-c",
                                            "2", "-l", "WARNING", "--without-gossip",
                                            "--without-mingle", "--without-heartbeat"}),
                       folder / "worker.log");
  app caller(
      {.broker = rabbitmq_server::shared().url(), .backend = "rpc://", .queue = "to_python"});
  const auto remote = caller.task("add", add);
  EXPECT_EQ(soon(remote.delay(2, 3)), 5) << worker.output();
  EXPECT_EQ(soon(remote.apply_async({2, 3}, {.countdown = 200ms})), 5);
  std::vector<plait::future<int>> many;
  for (int i = 0; i < 50; ++i) many.push_back(remote.delay(i, i));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(soon(many[static_cast<std::size_t>(i)]), 2 * i);
  EXPECT_THROW(soon(caller.send_task("no.such.task", 1)), plait::remote_error);
  worker.end(SIGTERM);
}

TEST(AmqpTls, ATaskIsDoneOverIt) {
  const auto& server = rabbitmq_server::shared();
  const std::string url = server.tls_url() + "?ssl_ca_certs=" + server.authority_file();
  threads_worker ours(url, "secret");
  app caller({.broker = url, .backend = "rpc://", .queue = "secret"});
  const auto remote = caller.task("add", add);
  EXPECT_EQ(soon(remote.delay(2, 3)), 5);
  const std::string large(300'000, 'x');  // many TLS records and more than one AMQP frame
  const auto failing = caller.task("fail", fail);
  EXPECT_THROW(soon(failing.delay("value", large)), plait::remote_error);
}

// What a client and a worker are told: the same. "within" in it would mean that they tried again and
// again, for 10 s.
std::string refusal_of(const std::string& url) {
  app caller({.broker = url, .backend = "rpc://", .queue = "refused"});
  const auto remote = caller.task("add", add);
  std::string to_client = "nothing", to_worker = "nothing";
  try {
    soon(remote.delay(1, 1));
  } catch (const transport_error& e) {
    to_client = e.what();
  }
  try {
    caller.worker({.concurrency = 1, .pool = pool_kind::threads}).run();
  } catch (const transport_error& e) {
    to_worker = e.what();
  }
  EXPECT_EQ(to_client, to_worker);
  return to_client;
}

TEST(AmqpTls, AnAuthorityThatNobodyNamedIsNotTrusted) {
  const std::string said = refusal_of(rabbitmq_server::shared().tls_url());
  EXPECT_NE(said.find("plait test CA"), std::string::npos) << said;
  EXPECT_NE(said.find("ssl_ca_certs"), std::string::npos) << said;
  EXPECT_EQ(said.find(" within "), std::string::npos) << "it tried again: " << said;
  EXPECT_EQ(said.find("guest:guest"), std::string::npos) << said;
}

TEST(AmqpTls, AHostThatTheCertificateDoesNotNameIsNotTrusted) {
  const auto& server = rabbitmq_server::shared();
  const std::string url = server.tls_url("127.0.0.1") + "?ssl_ca_certs=" + server.authority_file();
  const std::string said = refusal_of(url);
  EXPECT_NE(said.find("host name does not match"), std::string::npos) << said;
  EXPECT_NE(said.find("localhost"), std::string::npos) << said;
  EXPECT_EQ(said.find(" within "), std::string::npos) << "it tried again: " << said;
  const std::string careless = server.tls_url("127.0.0.1") + "?ssl_cert_reqs=none";
  threads_worker ours(careless, "careless");
  app caller({.broker = careless, .backend = "rpc://", .queue = "careless"});
  EXPECT_EQ(soon(caller.task("add", add).delay(2, 3)), 5);
}

TEST(AmqpTls, APortThatDoesNotSpeakItIsToldOfAtOnce) {
  const auto& server = rabbitmq_server::shared();
  const std::string said = refusal_of("amqps://localhost:" + std::to_string(server.port()) + "//");
  EXPECT_NE(said.find("does it speak TLS on this port?"), std::string::npos) << said;
  EXPECT_EQ(said.find(" within "), std::string::npos) << "it tried again: " << said;
}

TEST(AmqpTls, AnAuthoritysFileThatIsNotThereIsNamed) {
  app caller({.broker = "amqps://localhost//?ssl_ca_certs=/no/such/ca.pem", .backend = "rpc://"});
  try {
    soon(caller.task("add", add).delay(1, 1));
    FAIL() << "a URL that names a missing file was taken";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("/no/such/ca.pem"), std::string::npos) << e.what();
  }
}

// The last ones: the server of all is frozen and killed.
TEST(AmqpServer, ASilentOneIsLeftAndComesBack) {
  auto& server = rabbitmq_server::shared();
  threads_worker ours(server.url() + "?heartbeat=2", "frozen");
  app caller({.broker = server.url() + "?heartbeat=2", .backend = "rpc://", .queue = "frozen"});
  const auto remote = caller.task("add", add);
  EXPECT_EQ(soon(remote.delay(1, 1)), 2);
  const auto running = caller.task("held", held).delay(7);
  begun.wait(false);
  ASSERT_TRUE(caller.flush());  // a worker has a message before its sender has the confirmation
  server.freeze();
  gate = true;  // its result is on its way when the connection is given up
  gate.notify_all();
  auto waits = remote.delay(2, 2);
  EXPECT_THROW(soon(waits), transport_error);  // two heartbeats later: it may have been sent
  server.thaw();
  EXPECT_EQ(soon(running), 7);
  EXPECT_EQ(soon(remote.delay(3, 3)), 6);
}

TEST(AmqpServer, AWorkerOutlivesItsRestart) {
  auto& server = rabbitmq_server::shared();
  plait::testing::temporary_folder folder;
  const std::string ledger = folder / "ledger";
  {
    app sender{{.broker = server.url(), .queue = "restart"}};
    const auto noted = sender.task("note", note);
    std::vector<plait::future<>> sent;
    for (int i = 0; i < 200; ++i)
      sent.push_back(noted.apply_async({ledger, i}, {.ignore_result = true}));
    for (const auto& s : sent) EXPECT_THROW(s.get(), no_result);
  }
  threads_worker ours(server.url(), "restart");
  for (int looks = 0; looks < 15'000 && read_ledger(ledger).empty(); ++looks)
    std::this_thread::sleep_for(2ms);
  server.stop();
  server.start();
  for (int looks = 0; looks < 15'000 && read_ledger(ledger).size() < 200; ++looks)
    std::this_thread::sleep_for(2ms);
  EXPECT_EQ(read_ledger(ledger).size(), 200u) << "confirmed messages were lost";
}

}  // namespace
