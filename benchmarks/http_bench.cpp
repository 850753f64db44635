// The HTTP client's rows: blocking calls on threads, and one session on one loop.
#include <plait/coroutines.hpp>
#include <plait/http.hpp>
#include <plait/threads.hpp>

#include "http_workloads.hpp"

namespace {

constexpr const char* name = "plait";
constexpr int ok = 200;

void threads(const measurement::arguments& given) {
  const long n = given.n_or(10);
  const std::string url = "http://" + given.target + workloads::delayed_path;
  const workloads::http_run run{given, name};
  plait::thread_pool_executor pool{given.workers};
  std::vector<plait::future<plait::http::response>> responses;
  for (long i = 0; i < n; ++i) responses.push_back(pool.submit(plait::http::get, url));
  long good = 0;
  for (auto& pending : responses) good += pending.get().status_code == ok;
  run.report(n, good);
}

struct shared_work {
  std::string url;
  long requests;
  long started = 0;
  long good = 0;
};

// As many requests as are left, up to `each`, one after another.
plait::task<> fetch(plait::http::client_session& session, shared_work& work, long each) {
  for (long i = 0; i < each && work.started < work.requests; ++i) {
    ++work.started;
    auto response = co_await session.get(work.url);
    const std::string body = co_await response.text();
    work.good += response.status_code == ok && !body.empty();
  }
}

plait::task<> fetch_all(const measurement::arguments& given, shared_work work, long tasks,
                        long each) {
  const workloads::http_run run{given, name};
  plait::http::client_session session;
  std::vector<plait::task<>> fetches;
  for (long i = 0; i < tasks; ++i) fetches.push_back(fetch(session, work, each));
  co_await plait::gather(std::move(fetches));
  run.report(work.requests, work.good);
}

void delay(const measurement::arguments& given) {
  const long n = given.n_or(1000);
  plait::run(fetch_all(given, {"http://" + given.target + workloads::delayed_path, n}, n, 1));
}

void keep_alive(const measurement::arguments& given) {
  const long n = given.n_or(100'000);
  plait::run(
      fetch_all(given, {"http://" + given.target + workloads::small_path, n}, given.workers, n));
}

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  return measurement::run_mode(
      argc, argv, {{"delay", delay}, {"keep_alive", keep_alive}, {"threads", threads}});
}
