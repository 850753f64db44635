// How processes of this program come to be: started anew by exec, or forked.
//
// A process that is started anew finds its role in the environment, "role:fd:parent's pid:nonce", and
// at that descriptor a socket whose other end its parent holds. Its standard input is empty; of the
// parent's descriptors it has the standard ones and nothing else.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "plait/processes/process_pool_options.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {

// The environment of this process with our variable added, as exec wants it.
class launch_environment {
 public:
  enum class role : char { zygote = 'z', worker = 'w' };
  launch_environment(role as, std::uint64_t nonce);
  launch_environment(const launch_environment&) = delete;
  char** get() noexcept { return pointers_.data(); }

 private:
  std::string setting_;
  std::vector<char*> pointers_;
};
inline constexpr int launch_socket = 3;  // its number there

// The zygote: this program started anew. The calling thread is the one whose end kills it. Throws.
pid_t spawn_zygote(const descriptor& socket, std::uint64_t nonce);
// The zygote: a fork of this process. Throws.
pid_t fork_zygote(const descriptor& socket, std::uint64_t nonce);
// The environment may choose for pools that do not ask for spawn or fork.
inline constexpr char start_variable[] = "PLAIT_START_METHOD";
start_method chosen_start(start_method asked);
// Why fork_zygote() is not to be tried in this program, or null.
const char* objection_to_fork() noexcept;

// In a forked child: becomes this program started anew, in that role, with that environment.
[[noreturn]] void exec_worker(int socket, launch_environment& environment) noexcept;

}  // namespace plait::detail
