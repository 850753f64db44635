// Loops over numbers in parallel: a few lines over submit and map, to copy and to change.
#include <algorithm>
#include <cstddef>
#include <iostream>
#include <stdexcept>
#include <vector>

#include <plait/threads.hpp>

// f(i) for every i from first up to last, a block of them a call. When all have ended, throws the
// first failure, if there was one.
template <class F>
void parallel_for(plait::thread_pool_executor& pool, std::size_t first, std::size_t last, F f,
                  std::size_t block = 4096) {
  std::vector<plait::future<>> blocks;
  try {
    for (; first < last; first += std::min(block, last - first))
      blocks.push_back(pool.submit([&f, first, end = first + std::min(block, last - first)] {
        for (std::size_t i = first; i != end; ++i) f(i);
      }));
  } catch (...) {  // no more calls were accepted: those that were still use f
    plait::wait(blocks);
    throw;
  }
  plait::wait(blocks);
  for (const auto& each : blocks) each.get();
}

// The sum of f(i), added up block by block in order: the same on any number of threads.
template <class F>
double parallel_sum(plait::thread_pool_executor& pool, std::size_t first, std::size_t last, F f,
                    std::size_t block = 4096) {
  std::vector<std::size_t> starts;
  for (; first < last; first += std::min(block, last - first)) starts.push_back(first);
  const auto sum_of_block = [f, last, block](std::size_t start) {
    double sum = 0;
    for (std::size_t i = start; i != start + std::min(block, last - start); ++i) sum += f(i);
    return sum;
  };
  double total = 0;
  for (const double part : pool.map(sum_of_block, starts)) total += part;
  return total;
}

int main() {
  plait::thread_pool_executor pool;
  std::vector<double> squares(100'000);
  parallel_for(pool, 0, squares.size(), [&](std::size_t i) {
    squares[i] = static_cast<double>(i) * static_cast<double>(i);
  });
  std::cout << squares[300] << '\n';
  std::cout << parallel_sum(pool, 0, squares.size(), [&](std::size_t i) { return squares[i]; })
            << '\n';
  try {
    parallel_for(pool, 0, squares.size(), [&](std::size_t i) { squares.at(i + 1) = 0; });
  } catch (const std::out_of_range&) {
    std::cout << "the last one was out of range\n";
  }
}
