#include "plait/inspect/trace.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "inspect/json_writer.hpp"
#include "inspect/symbols.hpp"
#include "inspect/trace_record.hpp"
#include "plait/core/errors.hpp"

namespace plait {
namespace detail {

trace_ring::trace_ring(int t, const char* n) noexcept : tid(t) {
  std::strncpy(name, n, sizeof name - 1);
  name[sizeof name - 1] = '\0';
}

namespace {

// The rings of all threads. Never destroyed: threads may end after everything else.
struct ring_list {
  static ring_list& instance() noexcept {
    static ring_list& only = *new ring_list;
    return only;
  }
  std::mutex mutex;
  std::condition_variable wanted;  // a ring is half full, or the trace ends
  std::vector<std::unique_ptr<trace_ring>> rings;
  bool hurry = false, ending = false;
  std::atomic<std::uint64_t> lost{0};
};

// This thread's ring, made at its first record.
class own_ring {
 public:
  ~own_ring() {
    if (ring_ != nullptr) ring_->ended.store(true, std::memory_order_release);
  }
  trace_ring* get() {
    if (ring_ != nullptr) return ring_;
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    auto made = std::make_unique<trace_ring>(static_cast<int>(syscall(SYS_gettid)), name);
    auto& all = ring_list::instance();
    const std::lock_guard hold(all.mutex);
    all.rings.push_back(std::move(made));
    return ring_ = all.rings.back().get();
  }

 private:
  trace_ring* ring_ = nullptr;
};

}  // namespace

void add_to_trace(const trace_record& record) noexcept {
  thread_local own_ring mine;
  auto& all = ring_list::instance();
  try {
    const std::size_t used = mine.get()->push(record);
    if (used == 0) {
      all.lost.fetch_add(1, std::memory_order_relaxed);
    } else if (used == trace_ring::capacity / 2) {
      const std::lock_guard hold(all.mutex);
      all.hurry = true;
      all.wanted.notify_one();
    }
  } catch (...) {  // no memory for a ring
    all.lost.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace detail

namespace trace {
namespace {

using detail::trace_record;

constexpr auto pause = std::chrono::milliseconds(50);

// The file, and the thread that writes it.
class writer {
 public:
  writer(const std::string& path, file_mode mode) : mode_(mode), pid_(getpid()) {
    open_file(path);
    auto& all = detail::ring_list::instance();
    {
      const std::lock_guard hold(all.mutex);
      for (auto& ring : all.rings) ring->clear();
      all.ending = all.hurry = false;
      all.lost = 0;
    }
    if (mode_ == file_mode::begin) text_ = "[\n";
    name_process(pid_, program_invocation_short_name);
    sigset_t every, before;  // no handler of the program's signals runs on our thread
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    try {
      thread_ = std::thread([this] { write_on(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      close(fd_);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  // Writes what there is.
  ~writer() {
    auto& all = detail::ring_list::instance();
    {
      const std::lock_guard hold(all.mutex);
      all.ending = true;
      all.wanted.notify_one();
    }
    thread_.join();
    close(fd_);
  }
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;
  bool is_ours() const noexcept { return pid_ == getpid(); }

 private:
  void open_file(const std::string& pattern) {
    path_ = pattern;
    if (const auto at = path_.find("%p"); at != std::string::npos)
      path_.replace(at, 2, std::to_string(pid_));
    const int flags = O_WRONLY | O_CLOEXEC | O_CREAT | O_APPEND;
    fd_ = open(path_.c_str(), flags, 0666);
    if (fd_ >= 0 && mode_ == file_mode::begin && flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      // Another process writes it, perhaps the one that started this one: both asked by one variable.
      close(fd_);
      path_ += '.' + std::to_string(pid_);
      fd_ = open(path_.c_str(), flags, 0666);
    }
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "trace to " + path_);
    // A pipe or a terminal has no size to be cut to.
    if (mode_ == file_mode::begin && ftruncate(fd_, 0) != 0 && errno != EINVAL) {
      const int why = errno;
      close(fd_);
      throw std::system_error(why, std::generic_category(), "trace to " + path_);
    }
  }

  void write_on() noexcept {
    pthread_setname_np(pthread_self(), "plait-trace");
    auto& all = detail::ring_list::instance();
    for (bool ending = false; !ending;) {
      std::unique_lock hold(all.mutex);
      all.wanted.wait_for(hold, pause, [&] { return all.hurry || all.ending; });
      all.hurry = false;
      ending = all.ending;
      std::vector<detail::trace_ring*> rings;
      try {
        for (auto& ring : all.rings) rings.push_back(ring.get());
      } catch (...) {
        continue;
      }
      hold.unlock();
      for (auto* ring : rings) empty(*ring);
      hold.lock();
      std::erase_if(all.rings, [](const auto& ring) {
        return ring->ended.load(std::memory_order_acquire) && ring->front() == nullptr;
      });
    }
    try {
      say_what_was_lost();
      // The last of an array has no comma behind it.
      text_ += R"({"ph":"M","name":"trace_end","pid":)" + std::to_string(pid_) + ",\"args\":{}}";
      text_ += mode_ == file_mode::begin ? "\n]\n" : ",\n";
    } catch (...) {
    }
    flush();
  }
  void empty(detail::trace_ring& ring) noexcept {
    // No more than was there when we came to it: a busy thread must not keep us from the others.
    for (std::size_t i = 0; i < detail::trace_ring::capacity; ++i) {
      const auto* record = ring.front();
      if (record == nullptr) break;
      if (!failed_) {
        try {
          name_thread(ring);
          add(*record, ring.tid);
          if (text_.size() > 64 * 1024) flush();
        } catch (...) {  // no memory: this one is not told
        }
      }
      ring.pop();
    }
    flush();
  }

  void add(const trace_record& r, int tid) {
    using kind = trace_record::kind;
    // A task that begins where another lived: the record of that one's end was lost.
    if (r.what == kind::task_ends || r.what == kind::task_begins) end_task(r, tid);
    if (r.what != kind::task_ends) {
      std::string name = names_.label(r.origin.view());
      if (name.empty()) name = "plait";  // the engine's own errands
      const std::string& label = *labels_.insert(std::move(name)).first;
      switch (r.what) {
        case kind::task_begins:
          open_event("b", label, pid_, tid, r.began);
          add_task(r.task);
          tasks_[r.task] = &label;
          break;
        case kind::worker_call:
          if (workers_.insert(r.worker).second) name_process(r.worker, "plait worker");
          open_event("X", label, r.worker, r.worker, r.began);
          add_time(",\"dur\":", r.took);
          break;
        default:
          open_event("X", label, pid_, tid, r.began);
          add_time(",\"dur\":", r.took);
      }
      if (r.origin.where != nullptr) {
        text_ += ",\"args\":{\"submitted\":";
        detail::json_writer::append_text(text_, names_.find(r.origin.where).function);
        text_ += '}';
      }
      text_ += "},\n";
    }
  }
  void end_task(const trace_record& r, int tid) {
    const auto begun = tasks_.find(r.task);
    if (begun == tasks_.end()) return;  // not told: it began before the trace, or was lost
    open_event("e", *begun->second, pid_, tid, r.began);
    add_task(r.task);
    text_ += "},\n";
    tasks_.erase(begun);
  }
  void open_event(const char* phase, const std::string& name, int pid, int tid, std::int64_t ts) {
    text_ += "{\"ph\":\"";
    text_ += phase;
    text_ += "\",\"name\":";
    detail::json_writer::append_text(text_, name);
    text_ += ",\"pid\":" + std::to_string(pid) + ",\"tid\":" + std::to_string(tid);
    add_time(",\"ts\":", ts);
  }
  // Microseconds, with the nanoseconds behind the point.
  void add_time(const char* key, std::int64_t ns) {
    char digits[48];
    std::snprintf(digits, sizeof digits, "%lld.%03lld", static_cast<long long>(ns / 1000),
                  static_cast<long long>(ns % 1000));
    text_ += key;
    text_ += digits;
  }
  void add_task(const void* task) {
    char id[64];
    std::snprintf(id, sizeof id, ",\"cat\":\"task\",\"id\":\"%p\"", task);
    text_ += id;
  }
  void name_process(int pid, const std::string& name) { add_name("process_name", pid, pid, name); }
  void name_thread(const detail::trace_ring& ring) {
    if (threads_.insert(ring.tid).second) add_name("thread_name", pid_, ring.tid, ring.name);
  }
  void add_name(const char* what, int pid, int tid, const std::string& name) {
    text_ += std::string("{\"ph\":\"M\",\"name\":\"") + what + "\",\"pid\":" + std::to_string(pid) +
             ",\"tid\":" + std::to_string(tid) + ",\"args\":{\"name\":";
    detail::json_writer::append_text(text_, name);
    text_ += "}},\n";
  }
  void say_what_was_lost() {
    const auto lost = detail::ring_list::instance().lost.load();
    if (lost == 0) return;
    text_ += "{\"ph\":\"M\",\"name\":\"lost_events\",\"pid\":" + std::to_string(pid_) +
             ",\"args\":{\"count\":" + std::to_string(lost) + "}},\n";
    std::fprintf(stderr, "plait: the trace %s lacks %llu events that came too fast\n",
                 path_.c_str(), static_cast<unsigned long long>(lost));
  }

  void flush() noexcept {
    std::string_view rest = text_;
    while (!rest.empty() && !failed_) {
      const ssize_t n = ::write(fd_, rest.data(), rest.size());
      if (n > 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
      } else if (n < 0 && errno != EINTR) {
        failed_ = true;
        detail::set_unwatched(detail::watcher::trace);
        std::fprintf(stderr, "plait: the trace ends here: cannot write %s: %s\n", path_.c_str(),
                     std::strerror(errno));
      }
    }
    text_.clear();
  }

  const file_mode mode_;
  const pid_t pid_;
  std::string path_;
  int fd_ = -1;
  std::thread thread_;
  // The thread's alone.
  bool failed_ = false;
  std::string text_;
  detail::symbols names_;
  std::unordered_set<std::string> labels_;
  std::unordered_map<const void*, const std::string*> tasks_;  // that live
  std::unordered_set<int> threads_, workers_;                  // that have been named
};

std::mutex guard;
constinit writer* running = nullptr;

}  // namespace

void start(const std::string& path, file_mode mode) {
  const std::lock_guard hold(guard);
  if (running != nullptr && !running->is_ours()) running = nullptr;  // left behind by fork()
  if (running != nullptr) throw invalid_state("a trace is being written already");
  running = new writer(path, mode);
  detail::set_watched(detail::watcher::trace);
  static const int registered = std::atexit(stop);
  static_cast<void>(registered);
}

void stop() noexcept {
  const std::lock_guard hold(guard);
  if (running == nullptr || !running->is_ours()) return;
  detail::set_unwatched(detail::watcher::trace);
  delete std::exchange(running, nullptr);
}

}  // namespace trace
}  // namespace plait
