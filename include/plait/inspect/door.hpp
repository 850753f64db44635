// plait/inspect/door.hpp: a way for `plait ps` to look into this program while it runs.
//
//   PLAIT_INSPECT=1 ./server      # then, elsewhere: plait ps, plait ps PID, plait pstree PID
//
// The door is a Unix socket that only this user can reach, in a folder of mode 0700, with one thread
// behind it that sleeps until somebody asks. It is closed unless the environment says PLAIT_INSPECT=1
// when the program makes its first pool or loop, or until open_door() is called.
//
// Threads:  any. Blocks: close_door until an answer that is being written has been written.
// Throws:   open_door: std::system_error, or invalid_state when the folder is not safe to use.
// Cost:     closed: nothing. Open: a thread, a descriptor, and about 60 ns a call or resumption, so
//           that an answer can say for how long each has been running.
// See docs/inside.md.
#pragma once

#include <string>

namespace plait::inspect {

// Opens the door if it is closed; returns the socket's path. The file goes when the program exits.
std::string open_door();
void close_door() noexcept;

// What the door tells: loops with their tasks, pools with their threads, worker processes, as one
// JSON object. A loop that does not answer within a fifth of a second is reported as it is seen from
// outside. Not from a loop's own thread, which could not answer: that loop is then left out.
std::string report();

}  // namespace plait::inspect

// As open_door, for a debugger in a program that hangs already: null when that failed.
//   gdb -p PID -batch -ex 'print (char*)plait_open_door()'
extern "C" const char* plait_open_door() noexcept;
