// src/advise/observe/open_files.hpp: what a descriptor of another process is, and what may come from it.
//
// Sockets are looked at through a duplicate (pidfd_getfd) that is closed at once: addresses, whether
// somebody listens at them, and TCP_INFO, which tells whether an answer is due.
//
// Threads:  one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "plait/advise/observation.hpp"

namespace plait::detail {

// Everything that only the machine knows: ports at which somebody listens, processes of the tree.
struct surroundings {
  std::set<std::uint16_t> listening_ports;
  std::function<bool(int pid)> is_in_tree;
  std::function<bool(std::uint64_t pipe_inode, int pid)> has_pipe_in_tree;
};
// Asks the kernel for the ports at which TCP sockets listen.
std::set<std::uint16_t> find_listening_ports();

struct open_file {
  enum class kind {
    gone,
    regular,
    device,
    terminal,
    pipe,
    socket,
    epoll,
    timer,
    event,
    process,
    ring,
    other
  };
  kind is = kind::gone;
  std::uint64_t inode = 0;
  std::string name;                  // what a person calls it
  activity waits = activity::other;  // what a thread that waits for it waits for
  bool outbound_tcp = false, inbound = false, listens = false;
};

class open_files {
 public:
  open_files(int pid, const surroundings& around);
  open_files(const open_files&) = delete;
  open_files& operator=(const open_files&) = delete;
  ~open_files();

  // Remembered for half a second.
  const open_file& look_at(int fd, double now);

  // What somebody waits for who waits for any of these.
  struct many {
    activity waits = activity::other;
    std::string name;
    std::size_t in_flight = 0, outbound = 0, inbound = 0, listening = 0;
  };
  many look_at_all(const std::vector<int>& fds, bool has_timeout, double now);
  // As above, of an epoll descriptor; remembered for as long as asking was dear.
  const many& look_at_epoll(int fd, bool has_timeout, double now);
  // Of all that the process has open: for waits of which the descriptors are not known.
  many look_at_everything(double now);

  // By a TCP connection in all its life.
  double bytes_received(int fd) const;

  // Whether sockets could not be looked at.
  bool was_refused() const noexcept { return refused_; }

 private:
  struct remembered {
    open_file file;
    double until = 0;
  };
  struct remembered_many {
    many files;
    double until = 0;
  };
  open_file examine(int fd);
  void examine_socket(int fd, open_file& file);
  // Whether a request is under way: sent, and nothing came since. Also how long it is quiet.
  bool awaits_answer(int fd, double& quiet_seconds) const;
  int duplicate(int fd) const;

  int pid_;
  int handle_;
  const surroundings& around_;
  std::map<int, remembered> files_;
  std::map<std::pair<int, bool>, remembered_many> epolls_;
  bool refused_ = false;
};

}  // namespace plait::detail
