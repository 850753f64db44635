// plait/net/run_command.hpp: run a program to its end, and have what it wrote.
//
//   auto done = co_await run_command(command("git", "rev-parse", "HEAD"));
//   if (done.status.success()) std::cout << done.out;
//
// Streams that the command does not redirect: the input is `input`, output and errors are collected.
//
// Stops:    kills the program (with its group, if it has one of its own) and waits for its end; so
//           timeout(5s, run_command(...)) leaves nothing behind.
// Throws:   spawn_error, descriptors_exhausted, output_limit_exceeded. That the program failed is not
//           an exception: see completed::status, or use output_of().
// Example:  examples/coroutines/commands.cpp
#pragma once

#include <string>

#include "plait/net/subprocess.hpp"

namespace plait::net {

task<completed> run_command(command what, std::string input = {}, communicate_options options = {});

// The program ended with a code other than 0, or by a signal.
class command_failed : public error {
 public:
  command_failed(const std::string& text, exit_status status) : error(text), status_(status) {}
  const exit_status& status() const noexcept { return status_; }

 private:
  exit_status status_;
};

// run_command, where anything but success is a command_failed; its text has the last line of what
// the program wrote to standard error. Returns what it wrote to standard output.
task<std::string> output_of(command what, std::string input = {}, communicate_options options = {});

}  // namespace plait::net
