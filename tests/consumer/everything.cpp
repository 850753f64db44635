// Every floor through the one header and the one target.
#include <plait/plait.hpp>

plait::task<int> answer() { co_return 42; }

int main() { return plait::run(answer()) == 42 ? 0 : 1; }
