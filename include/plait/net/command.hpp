// plait/net/command.hpp: what to run: a program, its arguments, and the world that it finds.
//
//   command("git", "log", "-1").directory("/src").variable("LANG", "C").err(redirect::null())
//
// A value that can be started any number of times; no shell reads it, so nothing needs quoting.
// Unless told otherwise the child has this program's folder, environment and standard streams, and
// no other descriptor. No signal is blocked in it, and SIGPIPE ends it, whatever holds here.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plait::net {

namespace detail {
struct launch;
}

// Where one of the child's standard streams leads.
class redirect {
 public:
  static redirect inherit() { return redirect(target::inherit); }
  static redirect null() { return redirect(target::null); }  // /dev/null
  // To this program: subprocess::in(), out() or err() is the other end.
  static redirect pipe() { return redirect(target::pipe); }
  // Standard error only: to wherever standard output goes.
  static redirect to_output() { return redirect(target::output); }
  // Read from, or made if need be, emptied and written to.
  static redirect file(std::string path) { return redirect(target::file, std::move(path)); }
  static redirect append(std::string path) { return redirect(target::append, std::move(path)); }
  // Must be open when the command is started; stays the caller's.
  static redirect descriptor(int fd) { return redirect(target::descriptor, {}, fd); }

 private:
  friend class command;
  friend detail::launch;
  enum class target : std::uint8_t { unset, inherit, null, pipe, output, file, append, descriptor };
  explicit redirect(target to, std::string path = {}, int fd = -1)
      : to_(to), fd_(fd), path_(std::move(path)) {}
  target to_;
  int fd_;
  std::string path_;
};

class command {
 public:
  // A program with a slash in it is a path; any other is looked for in the child's PATH.
  template <std::convertible_to<std::string_view>... Arguments>
  explicit command(std::string_view program, const Arguments&... arguments) : argv_{} {
    argv_.reserve(1 + sizeof...(Arguments));
    argv_.emplace_back(program);
    (argv_.emplace_back(std::string_view(arguments)), ...);
  }
  // The program and its arguments; must not be empty.
  explicit command(std::vector<std::string> argv);

  command& argument(std::string_view one) {
    argv_.emplace_back(one);
    return *this;
  }
  // The folder in which it starts.
  command& directory(std::string path) {
    directory_ = std::move(path);
    return *this;
  }
  command& variable(std::string_view name, std::string_view value);
  command& without_variable(std::string_view name);
  // Starts from an empty environment: only the variables that are set from here on.
  command& empty_environment() {
    inherits_environment_ = false;
    variables_.clear();
    return *this;
  }
  command& in(redirect from) {
    in_ = std::move(from);
    return *this;
  }
  command& out(redirect to) {
    out_ = std::move(to);
    return *this;
  }
  command& err(redirect to) {
    err_ = std::move(to);
    return *this;
  }
  // The child leads a process group (or session: no controlling terminal) of its own, and what is
  // sent to the subprocess goes to that group, so to its own children too. Ctrl-C in the terminal
  // no longer reaches it.
  command& new_group() {
    place_ = place::group;
    return *this;
  }
  command& new_session() {
    place_ = place::session;
    return *this;
  }

  const std::vector<std::string>& argv() const noexcept { return argv_; }
  // As a person would type it, with quotes where a shell wants them.
  std::string to_string() const;

 private:
  friend detail::launch;
  enum class place : std::uint8_t { here, group, session };
  struct change {  // of the environment; without '=': removed
    std::string name, entry;
  };
  std::vector<std::string> argv_;
  std::string directory_;
  std::vector<change> variables_;
  bool inherits_environment_ = true;
  place place_ = place::here;
  redirect in_{redirect::target::unset}, out_{redirect::target::unset},
      err_{redirect::target::unset};
};

}  // namespace plait::net
