// What a call returns has to travel back.
#include <plait/processes.hpp>

#include <string>

const char* borrowed() { return "text"; }
std::string owned() { return "text"; }

void ask(plait::process_pool_executor& pool) {
#ifdef FAULT
  pool.submit(borrowed);
#else
  pool.submit(owned).get();
#endif
}
