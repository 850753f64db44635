// plait/plait.hpp: every floor at once. A program that uses one model includes that model's header:
// threads.hpp, coroutines.hpp, processes.hpp, net.hpp, http.hpp, celery.hpp or advise.hpp.
#pragma once

#include "plait/advise.hpp"
#include "plait/celery.hpp"
#include "plait/coroutines.hpp"
#include "plait/http.hpp"
#include "plait/inspect.hpp"
#include "plait/net.hpp"
#include "plait/processes.hpp"
#include "plait/threads.hpp"
