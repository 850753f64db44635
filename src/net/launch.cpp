#include "net/launch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <optional>
#include <system_error>

#include "net/failures.hpp"
#include "plait/net/subprocess.hpp"

namespace plait::net::detail {
namespace {

[[noreturn]] void fail(int code, const std::string& program, const std::string& why) {
  throw spawn_error("cannot start " + program + ": " + why, {code, std::generic_category()});
}

std::string text_of(int code) { return std::error_code(code, std::generic_category()).message(); }

bool is_folder(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The value of `name` in an environment; nothing if it is not set.
std::optional<std::string> value_in(const std::vector<std::string>& environment,
                                    const std::string& name) {
  for (const std::string& entry : environment)
    if (entry.size() > name.size() && entry[name.size()] == '=' &&
        entry.compare(0, name.size(), name) == 0)
      return entry.substr(name.size() + 1);
  return std::nullopt;
}

// The first file of that name in PATH that may be run. Throws spawn_error.
std::string look_up(const std::string& program, const std::string& path) {
  int code = ENOENT;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string folder = path.substr(start, end - start);
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + program;
    if (!is_folder(candidate)) {
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
      if (errno == EACCES) code = EACCES;
    }
    start = end + 1;
  }
  if (code == EACCES)
    fail(code, program, "the file of that name in PATH may not be run (chmod +x)");
  fail(code, program, "no such program in PATH (" + path + "): is it installed?");
}

// posix_spawn gives one number for everything that the child tried.
[[noreturn]] void explain(int code, const std::string& program, const std::string& found,
                          const std::string& folder) {
  if (!folder.empty() && !is_folder(folder))
    fail(code, program, "its folder " + folder + " does not exist");
  if (!folder.empty() && access(folder.c_str(), X_OK) != 0)
    fail(code, program, "its folder " + folder + " may not be entered");
  const bool exists =
      access((found[0] == '/' || folder.empty() ? found : folder + "/" + found).c_str(), F_OK) == 0;
  switch (code) {
    case ENOENT:
      fail(code, program, exists ? "the interpreter that it names does not exist" : "no such file");
    case EACCES:
      fail(code, program, "it may not be run: is it a program, and executable (chmod +x)?");
    case ENOEXEC:
      fail(code, program, "it is not a program: does its first line name an interpreter (#!)?");
    case E2BIG:
      fail(code, program, "its arguments and environment are too long");
    case EAGAIN:
      fail(code, program, "no more processes are allowed: see ulimit -u");
    default:
      fail(code, program, text_of(code));
  }
}

class file_actions {
 public:
  file_actions() {
    if (posix_spawn_file_actions_init(&actions_) != 0) throw std::bad_alloc();
  }
  ~file_actions() { posix_spawn_file_actions_destroy(&actions_); }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;
  void place(int fd, int as) { check(posix_spawn_file_actions_adddup2(&actions_, fd, as)); }
  void close_from(int first) { check(posix_spawn_file_actions_addclosefrom_np(&actions_, first)); }
  void enter(const std::string& folder) {
    check(posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str()));
  }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  static void check(int code) {
    if (code != 0) throw std::bad_alloc();
  }
  posix_spawn_file_actions_t actions_;
};

class attributes {
 public:
  explicit attributes(short placement) {
    if (posix_spawnattr_init(&attributes_) != 0) throw std::bad_alloc();
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK |
                                                              POSIX_SPAWN_SETSIGDEF | placement));
  }
  ~attributes() { posix_spawnattr_destroy(&attributes_); }
  attributes(const attributes&) = delete;
  attributes& operator=(const attributes&) = delete;
  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// Numbered from 3, so that placing one stream never overwrites the source of another.
owned_descriptor numbered_from_3(int fd) {
  owned_descriptor owned(fd);
  return fd < 0 || fd > 2 ? std::move(owned) : duplicate(fd);
}

}  // namespace

struct launch::plan {
  const command& what;
  const std::string& program;
  launch& result;
  owned_descriptor streams[3];  // the child's; empty: as ours

  explicit plan(const command& c, launch& l) : what(c), program(c.argv_.front()), result(l) {}

  [[noreturn]] void fail_stream(int code, const std::string& why) const {
    if (out_of_descriptors(code)) throw_out_of_descriptors(code);
    fail(code, program, why + ": " + text_of(code));
  }

  owned_descriptor open_file(const std::string& path, int flags) const {
    owned_descriptor file = numbered_from_3(::open(path.c_str(), flags | O_CLOEXEC, 0666));
    if (!file)
      fail_stream(errno, "cannot open " + path + " as its standard " +
                             (flags == O_RDONLY ? "input" : "output"));
    return file;
  }

  // The child's end; ours goes to `ours`.
  owned_descriptor make_pipe(owned_descriptor& ours, int child_side) const {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) == -1) fail_stream(errno, "cannot make a pipe");
    owned_descriptor ends[2] = {owned_descriptor(fds[0]), owned_descriptor(fds[1])};
    for (owned_descriptor& end : ends) {
      end = numbered_from_3(end.release());
      if (!end) fail_stream(errno, "cannot make a pipe");
    }
    ours = std::move(ends[1 - child_side]);
    return std::move(ends[child_side]);
  }

  void prepare(int stream, const redirect& to, owned_descriptor& ours) {
    const int flags = stream == 0 ? O_RDONLY : O_WRONLY | O_CREAT;
    using target = redirect::target;
    switch (to.to_) {
      case target::unset:
      case target::inherit:
      case target::output:  // placed last
        break;
      case target::null:
        streams[stream] = open_file("/dev/null", stream == 0 ? O_RDONLY : O_WRONLY);
        break;
      case target::pipe:
        streams[stream] = make_pipe(ours, stream == 0 ? 0 : 1);
        break;
      case target::file:
        streams[stream] = open_file(to.path_, stream == 0 ? flags : flags | O_TRUNC);
        break;
      case target::append:
        streams[stream] = open_file(to.path_, stream == 0 ? flags : flags | O_APPEND);
        break;
      case target::descriptor:
        streams[stream] = duplicate(to.fd_);
        if (!streams[stream])
          fail_stream(errno, "descriptor " + std::to_string(to.fd_) + " as a standard stream");
        break;
    }
  }

  std::vector<std::string> environment() const {
    std::vector<std::string> all;
    if (what.inherits_environment_)
      for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
        all.emplace_back(*entry);
    for (const command::change& change : what.variables_) {
      std::erase_if(all, [&](const std::string& entry) {
        return entry.size() > change.name.size() && entry[change.name.size()] == '=' &&
               entry.compare(0, change.name.size(), change.name) == 0;
      });
      if (!change.entry.empty()) all.push_back(change.entry);
    }
    return all;
  }

  void check_texts() const {
    for (const std::string& argument : what.argv_)
      if (argument.find('\0') != std::string::npos)
        fail(EINVAL, program, "an argument has a zero byte in it");
    if (program.empty()) fail(ENOENT, "''", "the program's name is empty");
    if (what.in_.to_ == redirect::target::output || what.out_.to_ == redirect::target::output)
      fail(EINVAL, program, "only standard error can be redirected to standard output");
  }

  void start() {
    check_texts();
    prepare(0, what.in_, result.in);
    prepare(1, what.out_, result.out);
    prepare(2, what.err_, result.err);

    file_actions actions;
    for (int i = 0; i < 3; ++i)
      if (streams[i]) actions.place(streams[i].get(), i);
    if (what.err_.to_ == redirect::target::output) actions.place(1, 2);
    actions.close_from(3);
    if (!what.directory_.empty()) actions.enter(what.directory_);

    const auto variables = environment();
    const std::string found =
        program.find('/') != std::string::npos
            ? program
            : look_up(program,
                      value_in(variables, "PATH").value_or("/usr/local/bin:/usr/bin:/bin"));
    const short placement = what.place_ == command::place::here      ? 0
                            : what.place_ == command::place::session ? POSIX_SPAWN_SETSID
                                                                     : POSIX_SPAWN_SETPGROUP;
    const attributes how(placement);
    const int code = posix_spawn(&result.pid, found.c_str(), actions.get(), how.get(),
                                 pointers(what.argv_).data(), pointers(variables).data());
    if (code != 0) explain(code, program, found, what.directory_);
    result.leads_group = placement != 0;
  }
};

launch launch::of(const command& what) {
  launch result;
  plan(what, result).start();
  return result;
}

void launch::collect_streams(command& what, bool has_input) {
  using target = redirect::target;
  if (what.in_.to_ == target::unset) what.in_ = has_input ? redirect::pipe() : redirect::null();
  if (what.out_.to_ == target::unset) what.out_ = redirect::pipe();
  if (what.err_.to_ == target::unset) what.err_ = redirect::pipe();
}

}  // namespace plait::net::detail
