#include "plait/processes.hpp"

extern "C" void before_all();
extern "C" void before_all() { plait::run_worker_if_requested(); }
