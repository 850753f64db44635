// plait/net/exit_status.hpp: how a process ended: with a code of its own, or by a signal.
#pragma once

#include <optional>
#include <string>

namespace plait::net {

class exit_status {
 public:
  exit_status() = default;  // code 0
  static exit_status exited(int code) noexcept { return exit_status(code, 0); }
  static exit_status killed_by(int signal) noexcept { return exit_status(0, signal); }

  bool success() const noexcept { return code_ == 0 && signal_ == 0; }
  // One of the two has a value.
  std::optional<int> code() const noexcept {
    return signal_ == 0 ? std::optional(code_) : std::nullopt;
  }
  std::optional<int> signal() const noexcept {
    return signal_ != 0 ? std::optional(signal_) : std::nullopt;
  }
  // As a shell's $? has it: the code, or 128 and the signal.
  int shell_code() const noexcept { return signal_ != 0 ? 128 + signal_ : code_; }
  // "exit code 2", "killed by SIGKILL".
  std::string to_string() const;

  friend bool operator==(const exit_status&, const exit_status&) = default;

 private:
  exit_status(int code, int signal) noexcept : code_(code), signal_(signal) {}
  int code_ = 0;
  int signal_ = 0;
};

}  // namespace plait::net
