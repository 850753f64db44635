// plait/advise.hpp: is my bottleneck I/O or CPU? Answered by measurement.
//
// recommend() turns a profile of work into a model, a width and the speed-up to expect; observe() and
// diagnose() look at a program from outside, as `plait advise` does. See docs/choosing.md, docs/advise.md.
#pragma once

#include "plait/advise/auto_executor.hpp"
#include "plait/advise/diagnosis.hpp"
#include "plait/advise/observation.hpp"
#include "plait/advise/profile.hpp"
#include "plait/advise/recommend.hpp"
