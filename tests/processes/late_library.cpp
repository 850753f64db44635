// A library that a program opens while its pools are at work. Built twice: LATE_BUILD is what its
// functions answer.
#include <csignal>

extern "C" {
int late_answer(int n) { return LATE_BUILD * n; }
int late_crash() { return raise(SIGSEGV); }
int late_throw() { throw LATE_BUILD; }
}
