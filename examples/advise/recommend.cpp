// The decision framework as a function: what a piece of work is made of, and how to run it.
#include <chrono>
#include <iostream>

#include <plait/advise.hpp>

using namespace std::chrono_literals;
using plait::work_profile;

void ask(const char* what, work_profile work) {
  work.cores = 4;
  const auto in_cpp = plait::recommend(work);
  work.written_in = work_profile::language::python;
  const auto in_python = plait::recommend(work);
  std::cout << what << "\n  C++:    " << in_cpp << "\n  Python: " << in_python << '\n';
}

int main() {
  ask("50 requests of 200 ms",  //
      {.cpu = 1ms, .waits = {.network = 200ms}, .calls = 50});
  ask("5,000 connections that wait a second",
      {.cpu = 60us, .waits = {.network = 1s}, .calls = 5000});
  ask("1,000 images to shrink",  //
      {.cpu = 30ms, .calls = 1000});
  ask("100,000 pages, 500 at a time",
      {.cpu = 500us, .waits = {.network = 300ms}, .calls = 100'000, .at_once = 500});
  ask("a report to be sent later",
      {.cpu = 2s,
       .waits = {.network = 1s},
       .calls = 1,
       .result_is_wanted = work_profile::lifetime::beyond_the_request});
  ask("fetch a page, then parse it",  //
      {.cpu = 20ms, .waits = {.network = 30ms}, .calls = 1000});
}
