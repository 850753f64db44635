// The server that every HTTP client meets, and the limit for servers: HTTP/1.1 on one epoll thread.
// usage: http_server [PORT]; listens on 127.0.0.1 and prints where.
//   /delay/SECONDS  small JSON after that time     /bytes/N  N bytes     anything else  small JSON
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "../measurement.hpp"
#include "loopback.hpp"
#include "small_json.hpp"

namespace {

constexpr std::size_t request_limit = 2048;

struct connection {
  int descriptor = -1;
  unsigned generation = 0;  // a delayed answer for an earlier owner of this record is void
  std::size_t received = 0;
  bool delayed = false;
  bool close_after = false;
  bool wants_write = false;
  std::string unsent;
  char input[request_limit];
};

struct delayed_answer {
  double due;
  connection* to;
  unsigned generation;
  bool operator>(const delayed_answer& other) const { return due > other.due; }
};

class server {
 public:
  explicit server(int listener) : listener_(listener) {
    loopback::watch(epoll_, listener_, EPOLLIN, {.ptr = nullptr}, EPOLL_CTL_ADD);
  }

  [[noreturn]] void run() {
    epoll_event events[512];
    for (;;) {
      const int ready = epoll_wait(epoll_, events, 512, milliseconds_to_next_answer());
      for (int i = 0; i < ready; ++i) {
        if (events[i].data.ptr == nullptr)
          accept_all();
        else
          serve(*static_cast<connection*>(events[i].data.ptr), events[i].events);
      }
      send_due_answers();
    }
  }

 private:
  void accept_all() {
    int accepted = -1;
    while ((accepted = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) {
      loopback::no_delay(accepted);
      connection* fresh = take_record();
      fresh->descriptor = accepted;
      loopback::watch(epoll_, accepted, EPOLLIN, {.ptr = fresh}, EPOLL_CTL_ADD);
    }
  }

  connection* take_record() {
    if (unused_.empty()) {
      records_.push_back(std::make_unique<connection>());
      return records_.back().get();
    }
    connection* taken = unused_.back();
    unused_.pop_back();
    taken->received = 0;
    taken->delayed = taken->close_after = taken->wants_write = false;
    taken->unsent.clear();
    return taken;
  }

  void drop(connection& dropped) {
    close(dropped.descriptor);
    ++dropped.generation;
    unused_.push_back(&dropped);  // never freed: a delayed answer may still point to it
  }

  void serve(connection& ready, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0 && !send_rest(ready)) return drop(ready);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    const ssize_t got =
        read(ready.descriptor, ready.input + ready.received, request_limit - 1 - ready.received);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(ready);
    ready.received += static_cast<std::size_t>(got);
    if (!answer_requests(ready)) drop(ready);
  }

  // Every complete request in the buffer, until one is to be delayed. False: close the connection.
  bool answer_requests(connection& from) {
    while (!from.delayed && from.received != 0) {
      from.input[from.received] = 0;
      char* end = std::strstr(from.input, "\r\n\r\n");
      if (end == nullptr) return from.received < request_limit - 1;
      *end = 0;
      if (strcasestr(from.input, "\nconnection: close") != nullptr) from.close_after = true;
      const char* space = std::strchr(from.input, ' ');
      if (space == nullptr) return false;
      const std::string_view path{space + 1};
      double delay = 0;
      std::string_view body = small_json;
      if (path.starts_with("/delay/")) delay = std::atof(path.data() + 7);
      if (path.starts_with("/bytes/")) body = bytes(std::atol(path.data() + 7));
      const auto used = static_cast<std::size_t>(end + 4 - from.input);
      from.received -= used;
      std::memmove(from.input, from.input + used, from.received);
      if (delay > 0) {
        from.delayed = true;
        answers_.push({measurement::wall_now() + delay, &from, from.generation});
      } else if (!respond(from, body)) {
        return false;
      }
    }
    return true;
  }

  std::string_view bytes(long count) {
    const auto wanted = static_cast<std::size_t>(std::max(count, 0L));
    if (filler_.size() < wanted) filler_.assign(wanted, 'b');
    return std::string_view{filler_}.substr(0, wanted);
  }

  bool respond(connection& to, std::string_view body) {
    char head[256];
    const int length = std::snprintf(head, sizeof head,
                                     "HTTP/1.1 200 OK\r\nServer: t\r\nContent-Type: "
                                     "application/json\r\nContent-Length: %zu\r\n%s\r\n",
                                     body.size(), to.close_after ? "Connection: close\r\n" : "");
    to.unsent.append(head, static_cast<std::size_t>(length)).append(body);
    return send_rest(to);
  }

  bool send_rest(connection& to) {
    while (!to.unsent.empty()) {
      const ssize_t sent = write(to.descriptor, to.unsent.data(), to.unsent.size());
      if (sent < 0 && errno == EAGAIN) return watch_for_write(to, true);
      if (sent < 0) return false;
      to.unsent.erase(0, static_cast<std::size_t>(sent));
    }
    if (to.wants_write) watch_for_write(to, false);
    return !to.close_after;
  }

  bool watch_for_write(connection& of, bool wanted) {
    of.wants_write = wanted;
    const std::uint32_t events = EPOLLIN | (wanted ? EPOLLOUT : 0U);
    loopback::watch(epoll_, of.descriptor, events, {.ptr = &of}, EPOLL_CTL_MOD);
    return true;
  }

  int milliseconds_to_next_answer() const {
    if (answers_.empty()) return -1;
    const double left = answers_.top().due - measurement::wall_now();
    return left <= 0 ? 0 : static_cast<int>(left * 1000) + 1;
  }

  void send_due_answers() {
    if (answers_.empty()) return;
    const double now = measurement::wall_now();
    while (!answers_.empty() && answers_.top().due <= now) {
      const delayed_answer due = answers_.top();
      answers_.pop();
      if (due.generation != due.to->generation) continue;
      due.to->delayed = false;
      if (!respond(*due.to, small_json) || !answer_requests(*due.to)) drop(*due.to);
    }
  }

  int listener_;
  int epoll_ = epoll_create1(0);
  std::string filler_;
  std::vector<std::unique_ptr<connection>> records_;
  std::vector<connection*> unused_;
  std::priority_queue<delayed_answer, std::vector<delayed_answer>, std::greater<>> answers_;
};

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  std::signal(SIGPIPE, SIG_IGN);
  server{loopback::listen_on(argc > 1 ? std::atoi(argv[1]) : 0, SOCK_NONBLOCK)}.run();
}
