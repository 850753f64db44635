// plait/plait.hpp: every floor at once. A program that uses one model includes that model's header:
// threads.hpp, coroutines.hpp, processes.hpp, net.hpp or http.hpp.
#pragma once

#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/net.hpp"
#include "plait/processes.hpp"
#include "plait/threads.hpp"
