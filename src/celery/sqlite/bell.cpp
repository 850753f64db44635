#include "celery/sqlite/bell.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "plait/celery/errors.hpp"
#include "plait/coroutines/move_on.hpp"

namespace plait::celery::sqlite {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw transport_error("sqlite: " + what + ": " + std::generic_category().message(errno));
}

}  // namespace

bell::bell(const std::string& database_file) {
  const std::string path = database_file + "-bell";
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path);
  watch_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watch_ < 0 || ::inotify_add_watch(watch_, path.c_str(), IN_MODIFY) < 0) {
    const int error = errno;
    ::close(file_);
    if (watch_ >= 0) ::close(watch_);
    errno = error;
    fail("a watch on " + path);
  }
}

bell::~bell() {
  readiness_.reset();
  ::close(watch_);
  ::close(file_);
}

void bell::ring() noexcept {
  // What cannot be heard is found five seconds later.
  [[maybe_unused]] const auto written = ::pwrite(file_, "\n", 1, 0);
}

task<> bell::wait(std::uint64_t seen, duration at_most) {
  if (rings_ != seen) co_return;
  static_cast<void>(co_await move_on_after(at_most, rang_.wait()));
}

task<> bell::listen() {
  readiness_ = std::make_unique<plait::detail::readiness>(watch_);
  alignas(inotify_event) char events[4096];
  for (;;) {
    const auto got = ::read(watch_, events, sizeof events);
    if (got > 0) {
      ++rings_;
      rang_.set();
      rang_.clear();
    } else if (errno == EAGAIN) {
      readiness_->not_readable();
      co_await readiness_->readable();
    } else if (errno != EINTR) {
      fail("the bell");
    }
  }
}

}  // namespace plait::celery::sqlite
