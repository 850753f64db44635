#include "plait/advise/auto_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>

namespace plait {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.2g" : "%.0f", value);
  return text;
}
std::string span(duration d) {
  const double us = double(d.count()) * 1e-3;
  if (us < 1000) return number(us) + " us";
  return us < 1e6 ? number(us * 1e-3) + " ms" : number(us * 1e-6) + " s";
}

const char* limit_of(auto_form_report::bound by) {
  switch (by) {
    case auto_form_report::bound::cores:
      return "the cores have no more to give";
    case auto_form_report::bound::outside:
      return "what they wait for takes no more at once";
    case auto_form_report::bound::limit:
      return "more are not allowed";
    case auto_form_report::bound::locks:
      return "they wait for one another at a lock";
    case auto_form_report::bound::unknown:
      break;
  }
  return "it had not tried more yet";
}

void write(std::ostream& out, const auto_form_report& r, const char* form, const char* places) {
  out << r.calls << ' ' << form;
  if (r.cpu == duration::zero() && r.waited == duration::zero()) {
    out << ": not measured, since none had to wait for another; " << r.width << ' ' << places;
    return;
  }
  out << ": ";
  const char* kind = r.computing >= 0.75 ? "CPU" : r.computing < 0.25 ? "I/O" : "both";
  out << "the bottleneck is " << (r.bounded_by == auto_form_report::bound::locks ? "a lock" : kind)
      << ". A call computes " << span(r.cpu) << " and waits " << span(r.waited);
  if (r.waited_for_locks > r.cpu + r.waited)
    out << ", and " << span(r.waited_for_locks) << " for locks";
  if (!r.is_known) {
    out << ". None had to wait for another, so " << r.width << ' ' << places << " are enough";
    return;
  }
  out << ". Chosen: " << r.width << ' ' << places << " at once, from " << r.first_width
      << "; known after " << r.classified_after
      << (r.classified_after == 1 ? " call; " : " calls; ") << limit_of(r.bounded_by);
  if (r.phases > 1) out << "; " << r.phases << " kinds of work in turn";
  if (r.throughput <= 0) return;
  out << ". Gained: " << number(r.throughput) << " calls a second, ";
  if (r.gain < 1.15) {
    out << "no more than one after another";
  } else {
    out << number(r.gain) << " times as many as one after another";
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const auto_report& r) {
  if (r.blocking.calls != 0 || r.awaiting.calls == 0)
    write(out, r.blocking, "blocking calls", "threads");
  if (r.awaiting.calls != 0) {
    if (r.blocking.calls != 0) out << '\n';
    write(out, r.awaiting, "coroutines", "under way");
  }
  if (r.isolated_workers != 0 || r.isolated_crashes != 0)
    out << "\nisolated: " << r.isolated_workers << " worker processes, " << r.isolated_crashes
        << " crashed";
  return out;
}

}  // namespace plait
