// How this program becomes a zygote or a worker: after its static initialisation, before its main.
//
// The C library's start function is replaced by one that hands it another main. Definitions in the
// program, or in a library before the C library, win; the original is the next one. The definition
// is weak, so that with a static C library, which brings its own, the two do not clash: there the
// program calls run_worker_if_requested() itself.
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "plait/processes/process_pool_executor.hpp"
#include "processes/launch.hpp"
#include "processes/zygote.hpp"

namespace plait {

void run_worker_if_requested() {
  const char* request = std::getenv(detail::zygote_variable);
  if (request == nullptr) return;
  char role = 0;
  int fd = -1, parent = 0;
  std::uint64_t nonce = 0;
  if (std::sscanf(request, "%c:%d:%d:%" SCNx64, &role, &fd, &parent, &nonce) != 4) return;
  // Anybody can set a variable; only who started us is at the other end of that socket.
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != parent ||
      parent != getppid())
    return;
  unsetenv(detail::zygote_variable);  // programs that a call starts are not workers
  using detail::launch_environment;
  if (role == static_cast<char>(launch_environment::role::worker))
    detail::run_started_worker(fd, parent);
  detail::run_zygote(fd, parent, nonce, detail::zygote_origin::exec);
}

namespace {

using main_function = int (*)(int, char**, char**);
using start_function = int (*)(main_function, int, char**, void (*)(), void (*)(), void (*)(),
                               void*);
main_function users_main = nullptr;

int worker_or_main(int argc, char** argv, char** environment) {
  run_worker_if_requested();
  return users_main(argc, argv, environment);
}

}  // namespace
}  // namespace plait

extern "C" [[gnu::weak]] int __libc_start_main(plait::main_function main, int argc, char** argv,
                                               void (*init)(), void (*fini)(), void (*rtld_fini)(),
                                               void* stack_end) {
  plait::users_main = main;
  const auto original =
      reinterpret_cast<plait::start_function>(dlsym(RTLD_NEXT, "__libc_start_main"));
  if (original == nullptr) std::abort();
  return original(plait::worker_or_main, argc, argv, init, fini, rtld_fini, stack_end);
}
