// A library that a program opens while its pools are at work. Built twice: LATE_BUILD is what its
// functions answer.
#include <csignal>

extern "C" {
int late_answer(int n) { return LATE_BUILD * n; }
int late_crash() {
  volatile int result = raise(SIGSEGV);  // no tail call: this function has a frame
  return result;
}
int late_throw() { throw LATE_BUILD; }
}
