#include "plait/http/body.hpp"

#include <array>
#include <cstdio>
#include <random>

#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"
#include "plait/net/file.hpp"

namespace plait::http {
namespace {

constexpr std::size_t piece = 64 * 1024;

class file_source final : public body_source {
 public:
  explicit file_source(std::string path) : path_(std::move(path)) {}
  task<bool> rewind() override {
    if (!file_.is_open()) file_ = co_await net::file::open(path_);
    file_.seek(0);
    size_ = co_await file_.size();
    co_return true;
  }
  std::optional<std::uint64_t> size() const override { return size_; }
  // Exactly size() bytes, also of a file that grows meanwhile.
  task<std::string_view> next() override {
    const std::uint64_t left = size_ - file_.position();
    if (left == 0) co_return std::string_view();
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece)));
    const std::size_t got = co_await file_.read_some(buffer_);
    if (got == 0)
      throw connection_lost("'" + path_ + "' has become shorter while it was sent: it had " +
                            std::to_string(size_) + " bytes");
    co_return std::string_view(buffer_).substr(0, got);
  }

 private:
  const std::string path_;
  net::file file_;
  std::uint64_t size_ = 0;
  std::string buffer_;
};

// RFC 7578, 4.2, as browsers do it: a quote and line breaks within a name are percent-encoded.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') {
      result += "%22";
    } else if (c == '\r') {
      result += "%0D";
    } else if (c == '\n') {
      result += "%0A";
    } else {
      result += c;
    }
  }
  return result += '"';
}

}  // namespace

std::shared_ptr<body_source> file_body(std::string path) {
  return std::make_shared<file_source>(std::move(path));
}

class multipart_body final : public body_source {
 public:
  explicit multipart_body(multipart form) : form_(std::move(form)) {}

  task<bool> rewind() override {
    at_ = 0;
    stage_ = stage::head;
    size_ = end().size();
    for (const auto& part : form_.parts_) {
      size_ = add(size_, start(part).size() + 2);  // and a line's end behind the contents
      if (part.file == nullptr) {
        size_ = add(size_, part.content.size());
        continue;
      }
      const bool ready = co_await part.file->rewind();
      if (!ready) co_return false;
      size_ = add(size_, part.file->size());
    }
    co_return true;
  }
  std::optional<std::uint64_t> size() const override { return size_; }

  task<std::string_view> next() override {
    while (at_ < form_.parts_.size()) {
      auto& part = form_.parts_[at_];
      switch (stage_) {
        case stage::head:
          stage_ = stage::contents;
          text_ = start(part);
          co_return text_;
        case stage::contents: {
          std::string_view some;
          if (part.file != nullptr) {
            some = co_await part.file->next();
          } else if (!std::exchange(content_given_, true)) {
            some = part.content;
          }
          if (!some.empty()) co_return some;
          content_given_ = false;
          stage_ = stage::head;
          ++at_;
          co_return "\r\n";
        }
        case stage::over:
          break;
      }
    }
    if (std::exchange(stage_, stage::over) == stage::over) co_return std::string_view();
    text_ = end();
    co_return text_;
  }

 private:
  enum class stage { head, contents, over };
  static std::optional<std::uint64_t> add(std::optional<std::uint64_t> a,
                                          std::optional<std::uint64_t> b) {
    return a && b ? std::optional(*a + *b) : std::nullopt;
  }
  std::string start(const multipart::part& p) const {
    return "--" + form_.boundary_ + "\r\n" + p.head + "\r\n";
  }
  std::string end() const { return "--" + form_.boundary_ + "--\r\n"; }

  multipart form_;
  std::size_t at_ = 0;
  stage stage_ = stage::head;
  bool content_given_ = false;
  std::optional<std::uint64_t> size_;
  std::string text_;
};

std::string multipart::fresh_boundary() {
  std::random_device entropy;
  std::string text = "plait-";
  for (int i = 0; i < 4; ++i) {
    std::array<char, 9> digits;
    std::snprintf(digits.data(), digits.size(), "%08x", entropy());
    text += digits.data();
  }
  return text;
}

multipart&& multipart::add(std::string_view name, std::string_view file_name, std::string_view type,
                           part p) {
  p.head = "Content-Disposition: form-data; name=" + quoted(name);
  if (!file_name.empty()) {
    headers check;
    check.add("Content-Type", type);  // throws
    p.head.append("; filename=").append(quoted(file_name));
    p.head.append("\r\n").append(check.text());
  } else {
    p.head.append("\r\n");
  }
  parts_.push_back(std::move(p));
  return std::move(*this);
}

multipart&& multipart::add_field(std::string_view name, std::string_view value) && {
  return add(name, {}, {}, {{}, std::string(value), nullptr});
}

multipart&& multipart::add_content(std::string_view name, std::string_view file_name,
                                   std::string content, std::string_view type) && {
  return add(name, file_name.empty() ? name : file_name, type, {{}, std::move(content), nullptr});
}

multipart&& multipart::add_file(std::string_view name, std::string path, std::string_view type) && {
  const std::string file_name = path.substr(path.rfind('/') + 1);
  return add(name, file_name.empty() ? name : file_name, type,
             {{}, {}, file_body(std::move(path))});
}

std::shared_ptr<body_source> multipart::body() && {
  return std::make_shared<multipart_body>(std::move(*this));
}

std::string multipart::content_type() const { return "multipart/form-data; boundary=" + boundary_; }

}  // namespace plait::http
