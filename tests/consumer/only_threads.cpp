// The smallest user: one floor.
#include <plait/threads.hpp>

int main() {
  plait::thread_pool_executor pool{2};
  return pool.submit([](int a, int b) { return a + b; }, 20, 22).get() == 42 ? 0 : 1;
}
