#include "processes/worker_limits.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

#include "processes/crash_note.hpp"

namespace plait::detail {
namespace {

constexpr int least_open_files = 16;
constexpr int raised_oom_score = 500, most_oom_score = 1000;

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("process pool: " + what);
}

template <class T>
void must_be_positive(const std::optional<T>& limit, const char* name) {
  if (limit && !(*limit > T{})) refuse("limits." + std::string(name) + " must be positive");
}

void check_range(const std::optional<int>& limit, const char* name, int least, int most) {
  if (limit && (*limit < least || *limit > most))
    refuse("limits." + std::string(name) + " must be between " + std::to_string(least) + " and " +
           std::to_string(most) + ", not " + std::to_string(*limit));
}

void check_cpus(const std::vector<int>& cpus) {
  const long count = std::min<long>(sysconf(_SC_NPROCESSORS_CONF), CPU_SETSIZE);
  for (const int cpu : cpus)
    if (cpu < 0 || cpu >= count)
      refuse("limits.cpus names CPU " + std::to_string(cpu) + ", and this machine has 0 to " +
             std::to_string(count - 1));
}

// errno says why; `hint` what one can do.
[[noreturn]] void cannot(const std::string& what, const char* hint = "") {
  const int error = errno;
  throw std::system_error(error, std::generic_category(), what + " cannot be set" + hint);
}

void set_rlimit(int resource, const char* name, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0) return;
  rlimit own{};
  getrlimit(static_cast<__rlimit_resource>(resource), &own);
  cannot(std::string(name) + " = " + std::to_string(soft),
         errno != EPERM ? ""
         : own.rlim_max != RLIM_INFINITY
             ? " (it is above this program's own hard limit, or the kernel's)"
             : " (it is above the kernel's own limit)");
}

void set_rlimit(int resource, const char* name, const std::optional<std::size_t>& limit) {
  if (limit) set_rlimit(resource, name, *limit, *limit);
}

std::uint64_t page_size() noexcept { return static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)); }

struct memory_pages {
  std::uint64_t size = 0, resident = 0, shared = 0;
};

memory_pages read_statm(int fd) noexcept {
  char text[128];
  const auto n = pread(fd, text, sizeof text, 0);
  memory_pages pages;
  if (n <= 0) return pages;
  const char *at = text, *const end = text + n;
  for (std::uint64_t* field : {&pages.size, &pages.resident, &pages.shared}) {
    at = std::from_chars(at, end, *field).ptr;
    if (at != end) ++at;
  }
  return pages;
}

std::uint64_t own_memory(int statm) noexcept {
  const memory_pages pages = read_statm(statm);
  return pages.resident > pages.shared ? (pages.resident - pages.shared) * page_size() : 0;
}

void limit_address_space(std::size_t budget) {
  const descriptor statm(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  const std::uint64_t now = read_statm(statm.get()).size * page_size();
  if (now == 0) cannot("address_space", " (/proc/self/statm cannot be read)");
  const rlim_t all = budget > RLIM_INFINITY - 1 - now ? RLIM_INFINITY - 1 : now + budget;
  set_rlimit(RLIMIT_AS, "address_space", all, all);
}

void limit_cpu_time(duration span) {
  using std::chrono::ceil;
  using std::chrono::seconds;
  const auto whole = static_cast<rlim_t>(ceil<seconds>(span).count());
  signal(SIGXCPU, SIG_DFL);
  set_rlimit(RLIMIT_CPU, "cpu_time", whole, whole + 1);  // one more for who handles SIGXCPU
}

void set_cpus(const std::vector<int>& cpus) {
  cpu_set_t wanted, got;
  CPU_ZERO(&wanted);
  CPU_ZERO(&got);
  for (const int cpu : cpus) CPU_SET(cpu, &wanted);
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0 ||
      sched_getaffinity(0, sizeof got, &got) != 0)
    cannot("cpus", " (none of them may be used by this program)");
  if (CPU_EQUAL(&wanted, &got)) return;
  errno = EINVAL;
  cannot("cpus", " (not all of them may be used by this program)");
}

void set_oom_score(const std::optional<int>& wanted) {
  const descriptor file(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  char text[16];
  int score = 0;
  if (wanted) {
    score = *wanted;
  } else {
    const auto n = read(file.get(), text, sizeof text);
    if (n <= 0) return;  // no such file: nobody asked for more than it offers
    std::from_chars(text, text + n, score);
    score = std::min(score + raised_oom_score, most_oom_score);
  }
  const int n = std::snprintf(text, sizeof text, "%d", score);
  if (pwrite(file.get(), text, static_cast<std::size_t>(n), 0) != n && wanted)
    cannot("oom_score_adj = " + std::to_string(score),
           errno == EACCES ? " (less than this program's own takes CAP_SYS_RESOURCE)" : "");
}

}  // namespace

void check_limits(const process_pool_options& options) {
  const worker_limits& limits = options.limits;
  if (options.max_tasks_jitter != 0 && options.max_tasks_per_child == 0)
    refuse("max_tasks_jitter is for max_tasks_per_child, which is not set");
  if (options.max_tasks_jitter > SIZE_MAX - options.max_tasks_per_child)
    refuse("max_tasks_per_child and max_tasks_jitter together are too large a number");
  must_be_positive(limits.address_space, "address_space");
  must_be_positive(limits.cpu_time, "cpu_time");
  must_be_positive(limits.file_size, "file_size");
  if (limits.address_space && has_sanitizer())
    refuse(
        "limits.address_space cannot be set in a program with a sanitizer, which reserves "
        "terabytes "
        "of it");
  if (limits.open_files && *limits.open_files < least_open_files)
    refuse("limits.open_files must be at least " + std::to_string(least_open_files));
  check_range(limits.nice, "nice", -20, 19);
  check_range(limits.oom_score_adj, "oom_score_adj", -most_oom_score, most_oom_score);
  check_cpus(limits.cpus);
  if (!limits.group) return;
  must_be_positive(limits.group->memory, "group.memory");
  must_be_positive(limits.group->processes, "group.processes");
  if (limits.group->cpus && !(*limits.group->cpus >= 0.01 && *limits.group->cpus <= 1e6))
    refuse("limits.group.cpus must be between 0.01 and a million");
}

void apply_limits(const worker_limits& limits) {
  set_oom_score(limits.oom_score_adj);
  if (limits.nice && setpriority(PRIO_PROCESS, 0, *limits.nice) != 0)
    cannot("nice = " + std::to_string(*limits.nice),
           " (less than this program's own takes CAP_SYS_NICE or a higher `ulimit -e`)");
  if (!limits.cpus.empty()) set_cpus(limits.cpus);
  set_rlimit(RLIMIT_CORE, "core_size", limits.core_size);
  if (limits.file_size) {
    signal(SIGXFSZ, SIG_IGN);  // a write that fails is for the call to handle
    set_rlimit(RLIMIT_FSIZE, "file_size", limits.file_size);
  }
  if (limits.cpu_time) limit_cpu_time(*limits.cpu_time);
  set_rlimit(RLIMIT_NOFILE, "open_files", limits.open_files);
  if (limits.address_space) limit_address_space(*limits.address_space);
}

std::uint64_t memory_of(int pid) noexcept {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/statm", pid);
  const descriptor statm(::open(path, O_RDONLY | O_CLOEXEC));
  return own_memory(statm.get());
}

void memory_meter::open() { statm_ = descriptor(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)); }

std::uint64_t memory_meter::read() const noexcept { return own_memory(statm_.get()); }

}  // namespace plait::detail
