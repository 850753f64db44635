// tests/celery/redis_server.hpp: a redis-server of the test's own, on a free port of the loopback
// interface, without files; ended with the object, and by the kernel if the test dies first.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "plait/testing/temporary_folder.hpp"

class redis_server {
 public:
  explicit redis_server(std::vector<std::string> options = {})
      : options_(std::move(options)), port_(free_port()) {
    start();
  }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;
  ~redis_server() { stop(SIGKILL); }

  // One for the whole program; every test empties it first.
  static redis_server& shared() {
    static redis_server server;
    return server;
  }

  std::uint16_t port() const { return port_; }
  std::string socket() const { return folder_ / "redis.sock"; }
  std::string url(int database = 0) const {
    return "redis://127.0.0.1:" + std::to_string(port_) + "/" + std::to_string(database);
  }

  void start() {
    std::vector<std::string> words = {"redis-server", "--port",       std::to_string(port_),
                                      "--bind",       "127.0.0.1",    "--unixsocket",
                                      socket(),       "--save",       "",
                                      "--appendonly", "no",           "--dir",
                                      folder_.path(), "--loglevel",   "warning",
                                      "--logfile",    folder_ / "log"};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    process_ = fork();
    if (process_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    await_listening();
  }
  void stop(int signal = SIGKILL) {
    if (process_ <= 0) return;
    kill(process_, signal);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  // Like a machine that hangs: connections stay, nothing is answered.
  void freeze() { freeze_process(process_); }
  void thaw() { kill(process_, SIGCONT); }

  static std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where = address(0);
    socklen_t size = sizeof where;
    bind(fd, reinterpret_cast<sockaddr*>(&where), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size);
    close(fd);
    return ntohs(where.sin_port);
  }

 private:
  static sockaddr_in address(std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
  }
  void await_listening() const {
    const sockaddr_in to = address(port_);
    for (int attempt = 0; attempt < 2000; ++attempt) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const bool there = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
      close(fd);
      if (there) return;
      if (waitpid(process_, nullptr, WNOHANG) == process_)
        throw std::runtime_error("redis-server ended at once: is it installed?");
      usleep(5000);
    }
    throw std::runtime_error("redis-server does not listen");
  }

  plait::testing::temporary_folder folder_;
  std::vector<std::string> options_;
  std::uint16_t port_;
  pid_t process_ = 0;
};
