#include "plait/http/event_stream.hpp"

#include "plait/coroutines/lock.hpp"
#include "plait/coroutines/race.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/streamed.hpp"

namespace plait::http {
namespace {

using namespace std::string_view_literals;

void check(std::string_view what, std::string_view text, std::string_view forbidden) {
  if (text.find_first_of(forbidden) != std::string_view::npos)
    throw invalid_header("the " + std::string(what) +
                         " of a server-sent event has a line break or a NUL in it");
}

// Each line of `text` as a field of that name.
void append_lines(std::string& to, std::string_view name, std::string_view text) {
  for (;;) {
    const auto end = text.find_first_of("\r\n");
    to.append(name).append(text.substr(0, end)).append("\n");
    if (end == std::string_view::npos) return;
    const bool both = text.substr(end).starts_with("\r\n");
    text.remove_prefix(end + (both ? 2 : 1));
  }
}

class locked_sender final : public event_sender {
 public:
  explicit locked_sender(body_writer& out) : out_(out) {}
  task<> write(std::string text) override {
    const auto held = co_await lock_.acquire();
    co_await out_.write(text);
    spoke_ = true;
  }
  // For ever.
  task<> beat(duration pause) {
    for (;;) {
      spoke_ = false;
      co_await sleep(pause);
      if (!spoke_) co_await write(":\n\n");
    }
  }

 private:
  body_writer& out_;
  lock lock_;
  bool spoke_ = false;
};

// How the first of two ended.
struct first_end {
  bool known = false;
  std::exception_ptr error;
};

task<> until_end(task<> work, first_end& end) {
  std::exception_ptr error;
  try {
    co_await std::move(work);
  } catch (...) {
    error = std::current_exception();
  }
  if (!std::exchange(end.known, true)) end.error = std::move(error);
}

class event_body final : public response_body {
 public:
  event_body(std::function<task<>(event_sender&)> producer, event_stream_options options)
      : producer_(std::move(producer)), options_(options) {}

  task<> write_to(body_writer& out) override {
    locked_sender to(out);
    if (options_.heartbeat == duration::max()) {
      co_await producer_(to);
      co_return;
    }
    first_end end;
    auto producing = until_end(producer_(to), end);
    auto beating = until_end(to.beat(options_.heartbeat), end);
    co_await race(std::move(producing), std::move(beating));
    if (end.error != nullptr) std::rethrow_exception(end.error);
  }

 private:
  std::function<task<>(event_sender&)> producer_;
  event_stream_options options_;
};

}  // namespace

server_event&& server_event::with_event(std::string name) && {
  check("name", name, "\r\n\0"sv);
  fields_.append("event: ").append(name).append("\n");
  return std::move(*this);
}

server_event&& server_event::with_id(std::string id) && {
  check("id", id, "\r\n\0"sv);
  fields_.append("id: ").append(id).append("\n");
  return std::move(*this);
}

server_event&& server_event::with_retry(duration pause) && {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(pause).count();
  fields_.append("retry: ").append(std::to_string(ms < 0 ? 0 : ms)).append("\n");
  return std::move(*this);
}

std::string server_event::text() const {
  std::string result = fields_;
  append_lines(result, "data: ", data_);
  return result += '\n';
}

task<> event_sender::comment(std::string_view text) {
  std::string lines;
  append_lines(lines, ": ", text);
  return write(lines + "\n");
}

response event_stream(std::function<task<>(event_sender&)> producer, event_stream_options options) {
  response answer;
  answer.headers = {{"Content-Type", "text/event-stream"},
                    {"Cache-Control", "no-store"},
                    {"X-Accel-Buffering", "no"}};  // nginx's, else it collects before it forwards
  answer.body = std::make_shared<event_body>(std::move(producer), options);
  return answer;
}

std::string_view last_event_id(const request& asked) noexcept {
  return asked.headers.get("Last-Event-ID");
}

}  // namespace plait::http
