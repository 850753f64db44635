#include "cli/progress_display.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace plait::cli {
namespace {

// Straight to the descriptor: standard error is not buffered, and a frame shall arrive whole.
void write_all(const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = write(STDERR_FILENO, text.data() + written, text.size() - written);
    if (n <= 0) return;  // a progress bar that nobody can see is no reason to stop
    written += static_cast<std::size_t>(n);
  }
}

// A line longer than the screen would wrap, and then the next frame could not erase it.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t width = 0, i = 0;
  for (; i < text.size(); ++i) {
    if ((text[i] & 0xC0) != 0x80 && ++width > columns) break;
  }
  return text.substr(0, i);
}

}  // namespace

progress_display::progress_display(const terminal& screen) : paint_(screen) {}

void progress_display::draw(double fraction, double seconds, double total,
                            const std::vector<line>& running) {
  if (!paint_.target().is_terminal) return;
  const std::size_t columns = paint_.target().columns;
  const std::size_t bar = std::clamp<std::size_t>(columns / 3, 10, 32);
  const std::size_t room = columns > bar + 18 ? columns - bar - 18 : 10;
  std::string frame;
  if (!cursor_hidden_ && paint_.target().colour) frame += "\x1b[?25l";
  cursor_hidden_ = true;
  if (drawn_lines_ != 0) frame += fmt::format("\x1b[{}A\r\x1b[J", drawn_lines_);
  const auto track = [&](tone t, double part) {
    const std::string full = paint_.bar(t, part, bar);
    return "[" + full + "]";
  };
  frame += fmt::format(
      "  {} {}\n", track(tone::title, fraction),
      paint_(
          tone::bold,
          cut(fmt::format("{:.0f} s of about {:.0f} s", seconds, std::max(total, seconds)), room)));
  for (const auto& one : running)
    frame += fmt::format("  {} {:>6.1f} s  {}\n", track(tone::article, one.fraction), one.seconds,
                         cut(one.label, room - 4));
  write_all(frame);
  drawn_lines_ = running.size() + 1;
}

void progress_display::clear() {
  if (drawn_lines_ == 0) return;
  std::string frame = fmt::format("\x1b[{}A\r\x1b[J", drawn_lines_);
  if (paint_.target().colour) frame += "\x1b[?25h";
  write_all(frame);
  drawn_lines_ = 0;
  cursor_hidden_ = false;
}

}  // namespace plait::cli
