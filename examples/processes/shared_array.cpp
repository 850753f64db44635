// Two workers fill the halves of one array, a third call adds it up, and nothing is copied.
#include <plait/processes.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>

namespace {

void fill(plait::shared_array<double> part, double value) {
  std::fill(part.begin(), part.end(), value);
}
double sum(const plait::shared_array<double>& all) {
  return std::accumulate(all.begin(), all.end(), 0.0);
}

}  // namespace

int main() {
  plait::process_pool_executor processes;
  const plait::shared_array<double> samples(1'000'000);  // zeros
  auto low = processes.submit(fill, samples.slice(0, 500'000), 1.0);
  auto high = processes.submit(fill, samples.slice(500'000, 500'000), 3.0);
  low.get();
  high.get();
  std::cout << processes.submit(sum, samples).get() << '\n';
}
