#include "plait/net/buffered_reader.hpp"

#include <cstdio>
#include <cstring>

namespace plait::net::detail {
namespace {

// As a person can read it: "\r\n" and not the end of a line.
std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes.substr(0, 40)) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) {
      char code[5];
      std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
      text += code;
    } else {
      text += c;
    }
  }
  return text + (bytes.size() > 40 ? "...\"" : "\"");
}

}  // namespace

std::span<char> read_buffer::room(std::size_t wanted) {
  if (size_ == 0) begin_ = 0;
  if (storage_.size() - begin_ - size_ < wanted && begin_ != 0) {
    std::memmove(storage_.data(), storage_.data() + begin_, size_);
    begin_ = 0;
  }
  if (storage_.size() - size_ < wanted + begin_)
    storage_.resize(std::max(begin_ + size_ + wanted, 2 * storage_.size()));
  return std::span<char>(storage_).subspan(begin_ + size_);
}

std::string read_buffer::take(std::size_t n) {
  std::string taken(bytes().substr(0, n));
  drop(n);
  return taken;
}

std::size_t read_buffer::take(std::span<char> into) noexcept {
  const std::size_t n = std::min(into.size(), size_);
  std::memcpy(into.data(), storage_.data() + begin_, n);
  drop(n);
  return n;
}

void read_buffer::drop(std::size_t n) noexcept {
  begin_ += n;
  size_ -= n;
}

void throw_incomplete(std::string partial, std::string_view wanted) {
  const std::string text = "the stream ended before " + quoted(wanted) + ", " +
                           std::to_string(partial.size()) +
                           " bytes after the last one that was read";
  throw incomplete_read(text, std::move(partial));
}

void throw_incomplete(std::string partial, std::size_t wanted) {
  const std::string text = "the stream ended after " + std::to_string(partial.size()) + " of the " +
                           std::to_string(wanted) + " bytes that were to be read";
  throw incomplete_read(text, std::move(partial));
}

void throw_limit(std::string_view wanted, std::size_t limit) {
  throw limit_exceeded((wanted == "the end" ? std::string(wanted) : quoted(wanted)) +
                       " did not come within the limit of " + std::to_string(limit) + " bytes");
}

}  // namespace plait::net::detail
