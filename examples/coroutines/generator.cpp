// Values that come one by one, from a source that has to be waited for: no list of all, no queue.
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include <plait/coroutines.hpp>

using namespace std::chrono_literals;

// As a server would answer: a few names on each page.
plait::task<std::vector<std::string>> page(std::size_t number) {
  const std::vector<std::vector<std::string>> pages{{"ash", "birch"}, {"cedar", "elm"}, {"fir"}};
  co_await plait::sleep(1ms);
  co_return number < pages.size() ? pages[number] : std::vector<std::string>();
}

plait::async_generator<std::string> names() {
  for (std::size_t number = 0;; ++number) {
    std::vector<std::string> found = co_await page(number);
    if (found.empty()) co_return;
    for (std::string& name : found) co_yield std::move(name);
  }
}

plait::task<> print_some() {
  auto all = names();
  while (std::string* name = co_await all.next()) {
    if (*name == "elm") break;  // the last page is never asked for
    std::cout << *name << '\n';
  }
}

int main() { plait::run(print_some()); }
