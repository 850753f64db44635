// tests/celery/child_process.hpp: a program that a test starts and ends, by its own id; the kernel ends
// it if the test dies first. What it prints goes into a file, for when something went wrong.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// Stops a process as a machine does that hangs, and returns when it has: a signal alone is seen by one
// thread, when that has its turn, and the others go on until then.
inline void freeze_process(pid_t process) {
  kill(process, SIGSTOP);
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (bool all_stand = false; !all_stand; usleep(1000)) {
    all_stand = true;
    for (const auto& each : std::filesystem::directory_iterator(tasks)) {
      std::ifstream file(each.path() / "stat");
      const std::string line{std::istreambuf_iterator<char>(file), {}};
      const std::size_t after_name = line.rfind(')') + 2;  // past the end: the thread is gone
      if (after_name < line.size() && std::string_view("TtXZ").find(line[after_name]) == line.npos)
        all_stand = false;
    }
  }
}

class child_process {
 public:
  explicit child_process(std::vector<std::string> words, std::string log) : log_(std::move(log)) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    process_ = fork();
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int out = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(out, 1);
    dup2(out, 2);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  ~child_process() {
    if (process_ > 0) end(SIGKILL);
  }

  // Its exit status, or 128 and the signal.
  int wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int end(int signal) {
    kill(process_, signal);
    return wait();
  }
  void send(int signal) const { kill(process_, signal); }
  void freeze() const { freeze_process(process_); }
  bool is_running() {
    if (process_ <= 0) return false;
    if (waitpid(process_, nullptr, WNOHANG) == 0) return true;
    process_ = 0;
    return false;
  }
  std::string output() const {
    std::ifstream text(log_);
    return {std::istreambuf_iterator<char>(text), {}};
  }

 private:
  std::string log_;
  pid_t process_ = 0;
};
