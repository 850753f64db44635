// The HTTP client's rows: blocking calls on threads, and one session on one loop.
#include <plait/coroutines.hpp>
#include <plait/http.hpp>
#include <plait/threads.hpp>

#include "http_workloads.hpp"
#include "peers/small_json.hpp"

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
  plait::http::http_version version = plait::http::http_version::automatic;
  long started = 0;
  long good = 0;
};

// As many requests as are left, up to `each`, one after another.
plait::task<> fetch(plait::http::client_session& session, shared_work& work, long each) {
  for (long i = 0; i < each && work.started < work.requests; ++i) {
    ++work.started;
    auto response = co_await session.get(work.url);
    const std::string body = co_await response.text();
    using enum plait::http::http_version;
    const bool as_asked = work.version == automatic || response.version == work.version;
    work.good += response.status_code == ok && !body.empty() && as_asked;
  }
}

plait::task<> fetch_all(const measurement::arguments& given, shared_work work, long tasks,
                        long each) {
  const workloads::http_run run{given, name};
  plait::http::client_session session({.version = work.version});
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

void over_tls(const measurement::arguments& given, plait::http::http_version version) {
  const long n = given.n_or(20'000);
  plait::run(fetch_all(given, {"https://" + given.target + workloads::small_path, n, version},
                       given.workers, n));
}
void tls(const measurement::arguments& given) { over_tls(given, plait::http::http_version::http1); }
void h2(const measurement::arguments& given) { over_tls(given, plait::http::http_version::http2); }

// What the peers' servers do: a small JSON text for every GET, until the program is ended.
void serve(const measurement::arguments&) {
  plait::http::router routes;
  routes.get("/get", [](plait::http::request) -> plait::task<plait::http::response> {
    plait::http::response answer;
    answer.headers.add("Content-Type", "application/json");
    answer.content = small_json;
    co_return answer;
  });
  plait::http::server server({.port = 0}, std::move(routes));
  std::printf("listening on %s\n", server.url().c_str());
  std::fflush(stdout);
  plait::run(server.serve());
}

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  return measurement::run_mode(argc, argv,
                               {{"delay", delay},
                                {"keep_alive", keep_alive},
                                {"threads", threads},
                                {"tls", tls},
                                {"h2", h2},
                                {"serve", serve}});
}
