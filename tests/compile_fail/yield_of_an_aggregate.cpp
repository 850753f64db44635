// GCC 12 destroys the members of a temporary aggregate in a co_yield twice.
#include <plait/coroutines/async_generator.hpp>
#include <string>

struct row {
#ifndef FAULT
  explicit row(std::string n) : name(std::move(n)) {}
#endif
  std::string name;
};

plait::async_generator<row> rows() { co_yield row{"first"}; }
