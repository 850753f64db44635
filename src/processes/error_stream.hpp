// The program's standard error, as the pool's manager writes to it: never waiting for whoever reads it.
//
// The descriptor is shared with other processes, so its flags are not ours to change. A pipe or a
// terminal is opened anew, which makes a description of our own that does not block; a socket takes
// the wish with each write; files do not keep anybody waiting. What does not go out at once is kept and
// goes out later; past max_kept it is left out, and a line says how much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plait::detail {

class error_stream {
 public:
  static constexpr std::size_t max_kept = std::size_t{1} << 20;
  // While so much is kept, workers are better not listened to: they wait, as they would for the
  // reader itself. Unless nothing has gone out for that long.
  static constexpr std::size_t much = max_kept / 4;
  static constexpr std::int64_t patience_ns = 1'000'000'000, retry_ns = 20'000'000;

  void write(std::string_view text);
  // Once more, what is kept.
  void flush();
  bool empty() const noexcept { return kept_.empty() && left_out_ == 0; }
  bool wants_less(std::int64_t now) const noexcept {
    return kept_.size() >= much && now < moved_ + patience_ns;
  }
  // For the end: until nothing is kept, or nothing has gone out for a while.
  void drain() noexcept;

 private:
  bool put_out(std::string_view& text) noexcept;
  std::string kept_;
  std::size_t left_out_ = 0;  // bytes that would stand behind what is kept
  std::int64_t moved_ = 0;    // when something went out last, or began to be kept
};

}  // namespace plait::detail
