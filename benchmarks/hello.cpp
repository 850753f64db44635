// The least program that uses an engine: what it weighs and what memory it begins with. Built once for each engine,
// each linked with that engine's floor and nothing else; HELLO is one of the
// numbers below.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define HELLO_nothing 0
#define HELLO_threads 1
#define HELLO_coroutines 2
#define HELLO_processes 3
#define HELLO_http 4
#define HELLO_celery 5

#if HELLO == HELLO_threads
#include <plait/threads.hpp>
static void say() {
  static plait::thread_pool_executor pool{1};
  pool.submit(std::puts, "hello").get();
}
#elif HELLO == HELLO_coroutines
#include <plait/coroutines.hpp>
static plait::task<> greet() {
  co_await plait::sleep(plait::duration(1));
  std::puts("hello");
}
static void say() { plait::run(greet()); }
#elif HELLO == HELLO_processes
#include <plait/processes.hpp>
static int length(int n) { return n; }
static void say() {
  static plait::process_pool_executor pool{1};
  pool.submit(length, 5).get();
}
#elif HELLO == HELLO_http
#include <plait/coroutines.hpp>
#include <plait/http.hpp>
static plait::task<> greet() {
  plait::http::server server({}, [](plait::http::request) -> plait::task<plait::http::response> {
    co_return plait::http::response();
  });
  auto serving = plait::spawn(server.serve());
  plait::http::client_session session;
  (void)co_await session.get(server.url());
  serving.cancel();
  (void)co_await plait::settle(std::move(serving));
}
static void say() { plait::run(greet()); }
#elif HELLO == HELLO_celery
#include <plait/celery.hpp>
static int length(int n) { return n; }
static void say() {
  plait::celery::app app{{.broker = "sqlite:/tmp/plait-hello-" + std::to_string(std::rand())}};
  app.task("hello", length);
}
#else
static void say() { std::puts("hello"); }
#endif

int main() {
  say();
  char line[128];
  std::FILE* status = std::fopen("/proc/self/status", "r");
  while (std::fgets(line, sizeof line, status) != nullptr) {
    long kilobytes = 0;
    if (std::sscanf(line, "VmRSS: %ld", &kilobytes) == 1)
      std::printf("R resident=%.3f\n", static_cast<double>(kilobytes) / 1024);
  }
  std::fclose(status);
}
