#include "plait/http/streamed.hpp"

namespace plait::http {
namespace {

class produced final : public response_body {
 public:
  explicit produced(body_producer p) : producer_(std::move(p)) {}
  task<> write_to(body_writer& out) override { return producer_(out); }

 private:
  body_producer producer_;
};

// Its size is not asked for: it is known after rewind(), which may wait, and the header goes first.
class pulled final : public response_body {
 public:
  explicit pulled(std::shared_ptr<body_source> s) : source_(std::move(s)) {}
  task<> write_to(body_writer& out) override {
    co_await source_->rewind();
    for (;;) {
      const std::string_view piece = co_await source_->next();
      if (piece.empty()) co_return;
      co_await out.write(piece);
    }
  }

 private:
  std::shared_ptr<body_source> source_;
};

response with_body(std::string_view content_type, std::shared_ptr<response_body> body) {
  response answer;
  answer.headers.add("Content-Type", content_type);
  answer.body = std::move(body);
  return answer;
}

}  // namespace

response streamed(std::string_view content_type, body_producer producer) {
  return with_body(content_type, std::make_shared<produced>(std::move(producer)));
}

response streamed(std::string_view content_type, std::shared_ptr<body_source> source) {
  return with_body(content_type, std::make_shared<pulled>(std::move(source)));
}

}  // namespace plait::http
