// A stranger's program: every engine once, from an installed plait. Prints what each answered.
#include <iostream>
#include <string>

#include <plait/advise.hpp>
#include <plait/coroutines.hpp>
#include <plait/http.hpp>
#include <plait/processes.hpp>
#include <plait/threads.hpp>

int twice(int n) { return 2 * n; }

plait::task<int> on_the_loop(plait::thread_pool_executor& threads,
                             plait::process_pool_executor& processes) {
  const int from_a_thread = co_await threads.submit(twice, 10);
  co_return co_await processes.submit(twice, from_a_thread) + 2;
}

// Nobody listens on port 1 of the loopback interface: the client must say so, not hang.
bool refused() {
  try {
    plait::http::get("http://127.0.0.1:1/");
  } catch (const plait::http::error& error) {
    std::cout << "http: " << error.what() << '\n';
    return true;
  }
  return false;
}

int main() {
  plait::thread_pool_executor threads{2};
  plait::process_pool_executor processes;
  const int answer = plait::run(on_the_loop(threads, processes));
  std::cout << "threads, processes and coroutines: " << answer << '\n';
  std::cout << "advice: " << plait::recommend({.cpu = plait::duration(1000), .calls = 100}) << '\n';
  return answer == 42 && refused() ? 0 : 1;
}
