// src/inspect/json_writer.hpp: JSON, written front to back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace plait::detail {

class json_writer {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  json_writer& key(std::string_view name);
  void text(std::string_view value);
  void number(std::int64_t value);
  void seconds(std::int64_t nanoseconds);

  void field(std::string_view name, std::string_view value) { key(name).text(value); }
  void field(std::string_view name, std::int64_t value) { key(name).number(value); }
  const std::string& str() const noexcept { return out_; }

  // Appended as a JSON string; bytes that are no UTF-8 become question marks.
  static void append_text(std::string& out, std::string_view value);

 private:
  void open(char c);
  void close(char c);
  void separate();
  std::string out_;
  bool first_ = true;  // nothing has been written yet at this level
};

}  // namespace plait::detail
