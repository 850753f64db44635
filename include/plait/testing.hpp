// plait/testing.hpp: what a test of concurrent code needs: virtual time, seeded orders, gates, and the
// promises of an executor as a suite. Needs GoogleTest.
#pragma once

#include "plait/testing/executor_conformance.hpp"
#include "plait/testing/explore.hpp"
#include "plait/testing/gate.hpp"
#include "plait/testing/memory_stream.hpp"
#include "plait/testing/seed.hpp"
#include "plait/testing/shuffled_schedule.hpp"
#include "plait/testing/tally.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "plait/testing/virtual_clock.hpp"
