#include "plait/http/mock_transport.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "http/message_parser.hpp"
#include "http/response_text.hpp"
#include "plait/coroutines/event.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/http/errors.hpp"

namespace plait::http {

struct mock_transport::state {
  // The server's side of a connection, shared by the client's stream and by the answer under way.
  struct conversation {
    conversation(std::shared_ptr<state> w, url u) : web(std::move(w)), to(std::move(u)) {}

    std::shared_ptr<state> web;
    const url to;
    request asked;  // the one that is arriving or being answered
    std::optional<request_parser> parser;
    std::string pending;  // of the request after it
    std::string ready;    // bytes that the client has not read yet
    std::exception_ptr failure;
    bool answering = false;
    bool ended = false;
    event changed;
    future<> answer;

    void hear(std::string_view bytes, const std::shared_ptr<conversation>& self);
    void answer_if_complete(const std::shared_ptr<conversation>& self);
  };
  class stream;
  static task<> answer(std::shared_ptr<conversation> with);

  handler find(const std::string& method, const std::string& at) {
    const auto found = answers.find(method + " " + at);
    if (found != answers.end()) {
      auto& queue = found->second;
      handler next = queue.front();
      if (queue.size() > 1) queue.pop_front();
      return next;
    }
    if (!otherwise)
      throw error("mock_transport was not told what to answer to " + method + " " + at);
    return otherwise;
  }

  std::map<std::string, std::deque<handler>> answers;  // by "METHOD URL"
  std::vector<url> refused;
  handler otherwise;
  std::deque<seen_request> requests;
  std::size_t connections = 0;
};

void mock_transport::state::conversation::hear(std::string_view bytes,
                                               const std::shared_ptr<conversation>& self) {
  if (answering) {
    pending.append(bytes);
    return;
  }
  if (!parser) {
    asked = request();
    parser.emplace(asked, message_limits{SIZE_MAX, UINT64_MAX});
  }
  feed(*parser, pending, bytes);
  answer_if_complete(self);
}

void mock_transport::state::conversation::answer_if_complete(
    const std::shared_ptr<conversation>& self) {
  if (parser->failure() != parse_failure::none)
    throw error("mock_transport was sent no request: " + parser->complaint());
  if (!parser->is_done()) return;
  answering = true;
  answer = spawn(state::answer(self));
}

task<> mock_transport::state::answer(std::shared_ptr<conversation> with) {
  const request& asked = with->asked;
  const std::string at = with->to.resolve(asked.target).to_string();
  const std::string asked_method = asked.method;
  with->web->requests.push_back({asked.method, at, asked.headers, asked.content});
  std::exception_ptr failure;
  response given;
  try {
    const handler how = with->web->find(asked_method, at);
    given = co_await how(std::move(with->asked));
  } catch (...) {
    failure = std::current_exception();
  }
  const bool kept = with->parser->keep_alive();
  if (failure == nullptr) {
    append_response(with->ready, given, asked_method,
                    kept ? persistence::keep_alive : persistence::close);
  } else {
    with->failure = std::move(failure);
  }
  with->parser.reset();
  with->answering = false;
  with->ended = !kept;
  with->changed.set();
}

class mock_transport::state::stream final : public byte_stream {
 public:
  explicit stream(std::shared_ptr<conversation> with) : with_(std::move(with)) {}
  ~stream() override {
    if (with_->answer.valid()) with_->answer.cancel();
  }
  std::optional<std::size_t> try_read(std::span<char> into) override {
    if (with_->failure != nullptr) std::rethrow_exception(with_->failure);
    if (with_->ready.empty() && !with_->ended) return std::nullopt;
    const std::size_t n = std::min(into.size(), with_->ready.size());
    std::copy_n(with_->ready.begin(), n, into.begin());
    with_->ready.erase(0, n);
    return n;
  }
  std::size_t try_write(std::string_view bytes) override {
    with_->hear(bytes, with_);
    return bytes.size();
  }
  task<> readable() override {
    while (with_->ready.empty() && !with_->ended && with_->failure == nullptr) {
      with_->changed.clear();
      co_await with_->changed.wait();
    }
  }
  task<> writable() override { co_return; }
  bool reusable() const noexcept override { return with_->ready.empty() && !with_->ended; }

 private:
  std::shared_ptr<conversation> with_;
};

mock_transport::mock_transport() : state_(std::make_shared<state>()) {}
mock_transport::mock_transport(handler otherwise) : mock_transport() {
  state_->otherwise = std::move(otherwise);
}
mock_transport::~mock_transport() = default;

mock_transport& mock_transport::on(std::string method, std::string at, handler answer) {
  state_->answers[method + " " + url(at).to_string()].push_back(std::move(answer));
  return *this;
}

mock_transport& mock_transport::on(std::string method, std::string at, response answer) {
  struct fixed {
    response given;
    static task<response> give(response r) { co_return r; }
    task<response> operator()(const request&) const { return give(given); }
  };
  return on(std::move(method), std::move(at), handler(fixed{std::move(answer)}));
}

mock_transport& mock_transport::refuse(std::string at) {
  state_->refused.emplace_back(at);
  return *this;
}

const std::deque<mock_transport::seen_request>& mock_transport::requests() const noexcept {
  return state_->requests;
}
std::size_t mock_transport::connections() const noexcept { return state_->connections; }

task<std::unique_ptr<byte_stream>> mock_transport::connect(const url& to) {
  for (const url& nobody : state_->refused)
    if (nobody.same_origin(to))
      throw connect_error("mock_transport refuses connections to " + to.authority(),
                          std::make_error_code(std::errc::connection_refused));
  ++state_->connections;
  co_return std::make_unique<state::stream>(std::make_shared<state::conversation>(state_, to));
}

}  // namespace plait::http
