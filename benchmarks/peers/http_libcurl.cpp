// libcurl: its multi interface on epoll on one thread, and its easy interface on threads.
#include <curl/curl.h>
#include <sys/epoll.h>

#include <cstdint>

#include "../http_workloads.hpp"

namespace {

constexpr const char* name = "libcurl";

std::size_t discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

CURL* easy_for(const std::string& url) {
  CURL* easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  return easy;
}

bool is_ok(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return status == 200;
}

class multi_loop {
 public:
  explicit multi_loop(long connections) {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, set_timeout);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, connections + 10);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, 0L);
  }

  // n requests, `connections` at a time. Returns how many responses were good.
  long run(const std::string& url, long n, long connections) {
    for (long i = 0; i < connections; ++i) curl_multi_add_handle(multi_, easy_for(url));
    started_ = connections;
    act(CURL_SOCKET_TIMEOUT, 0);
    epoll_event events[512];
    while (done_ < n) {
      const int wait = timeout_ms_ < 0 || timeout_ms_ > 3000 ? 3000 : static_cast<int>(timeout_ms_);
      const int ready = epoll_wait(epoll_, events, 512, wait);
      if (ready == 0) act(CURL_SOCKET_TIMEOUT, 0);
      for (int i = 0; i < ready; ++i) act(events[i].data.fd, meaning(events[i].events));
      collect(n);
    }
    return good_;
  }

 private:
  static int watch_socket(CURL*, curl_socket_t socket, int what, void* self, void* watched) {
    const auto* loop = static_cast<multi_loop*>(self);
    epoll_event event{};
    event.data.fd = socket;
    if (what == CURL_POLL_REMOVE) return epoll_ctl(loop->epoll_, EPOLL_CTL_DEL, socket, &event), 0;
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    epoll_ctl(loop->epoll_, watched != nullptr ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
    curl_multi_assign(loop->multi_, socket, self);
    return 0;
  }

  static int set_timeout(CURLM*, long milliseconds, void* self) {
    static_cast<multi_loop*>(self)->timeout_ms_ = milliseconds;
    return 0;
  }

  static int meaning(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
           ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
           ((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
  }

  void act(curl_socket_t socket, int what) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, what, &running);
  }

  void collect(long n) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      good_ += message->data.result == CURLE_OK && is_ok(easy);
      ++done_;
      curl_multi_remove_handle(multi_, easy);
      if (started_ < n) {
        ++started_;
        curl_multi_add_handle(multi_, easy);
      } else {
        curl_easy_cleanup(easy);
      }
    }
  }

  CURLM* multi_ = curl_multi_init();
  int epoll_ = epoll_create1(0);
  long timeout_ms_ = -1;
  long started_ = 0;
  long done_ = 0;
  long good_ = 0;
};

void run(const measurement::arguments& given, const char* path, long n, long connections) {
  const workloads::http_run run{given, name};
  multi_loop loop{connections};
  run.report(n, loop.run("http://" + given.target + path, n, connections));
}

void delay(const measurement::arguments& given) {
  const long n = given.n_or(1000);
  run(given, workloads::delayed_path, n, n);
}

void keep_alive(const measurement::arguments& given) {
  run(given, workloads::small_path, given.n_or(100'000), given.workers);
}

void threads(const measurement::arguments& given) {
  workloads::on_threads(given, name, [&](const char* path) {
    CURL* easy = easy_for("http://" + given.target + path);
    const bool good = curl_easy_perform(easy) == CURLE_OK && is_ok(easy);
    curl_easy_cleanup(easy);
    return good ? 1 : 0;
  });
}

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return measurement::run_mode(
      argc, argv, {{"delay", delay}, {"keep_alive", keep_alive}, {"threads", threads}});
}
