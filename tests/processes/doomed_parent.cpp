// A program whose workers hang, one asleep and one at full speed. It prints the pids of all its
// processes and waits to be killed.
#include <plait/processes.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

int own_pid_then_hang(int report, std::string path) {
  FILE* file = std::fopen(path.c_str(), "a");
  std::fprintf(file, "%d %d\n", getpid(), getppid());
  std::fclose(file);
  for (;;) {
    if (report == 0) pause();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  plait::process_pool_executor pool{2};
  auto asleep = pool.submit(own_pid_then_hang, 0, std::string(argv[1]));
  auto awake = pool.submit(own_pid_then_hang, 1, std::string(argv[1]));
  asleep.wait();  // for ever
}
