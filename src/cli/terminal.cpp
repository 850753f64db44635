#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace plait::cli {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// True unless the locale says that it is something else: a bare container has no locale at all.
bool locale_allows_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = environment(name);
    if (value.empty()) continue;
    const auto dot = value.find('.');
    if (dot == std::string_view::npos) return true;
    std::string charset(value.substr(dot + 1));
    std::erase(charset, '-');
    std::transform(charset.begin(), charset.end(), charset.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return charset.starts_with("utf8");
  }
  return true;
}

const char* code_of(tone t) {
  switch (t) {
    case tone::plain:
      return "";
    case tone::bold:
      return "\x1b[1m";
    case tone::dim:
      return "\x1b[2m";
    case tone::title:
      return "\x1b[1;36m";
    case tone::plait:
      return "\x1b[36m";
    case tone::python:
      return "\x1b[33m";
    case tone::article:
      return "\x1b[90m";
    case tone::good:
      return "\x1b[32m";
    case tone::bad:
      return "\x1b[31m";
  }
  return "";
}

}  // namespace

terminal terminal::of(int fd) {
  terminal t;
  t.is_terminal = isatty(fd) == 1;
  if (!t.is_terminal) return t;
  const bool dumb = environment("TERM") == "dumb";
  t.colour = !dumb && environment("NO_COLOR").empty();
  t.unicode = !dumb && locale_allows_unicode();
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) t.columns = size.ws_col;
  return t;
}

std::string painter::operator()(tone t, std::string_view text) const {
  if (!terminal_.colour || t == tone::plain || text.empty()) return std::string(text);
  return std::string(code_of(t)).append(text).append("\x1b[0m");
}

std::string painter::bar(tone t, double fraction, std::size_t columns) const {
  fraction = std::clamp(fraction, 0.0, 1.0);
  std::string text;
  if (terminal_.unicode) {
    static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    auto cells = static_cast<std::size_t>(std::lround(fraction * 8 * static_cast<double>(columns)));
    if (cells == 0 && fraction > 0) cells = 1;
    for (std::size_t i = 0; i < cells / 8; ++i) text += "█";
    text += eighths[cells % 8];
  } else {
    auto cells = static_cast<std::size_t>(std::lround(fraction * static_cast<double>(columns)));
    if (cells == 0 && fraction > 0) cells = 1;
    text.assign(cells, '#');
  }
  const std::size_t used = width_of(text);
  return (*this)(t, text) + std::string(columns - std::min(columns, used), ' ');
}

std::string painter::units(std::string_view text) const {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto rest = text.substr(i);
    const bool after_digit = i > 0 && text[i - 1] >= '0' && text[i - 1] <= '9';
    const auto sign = [&](std::string_view ascii, std::string_view fine) {
      if (!terminal_.unicode || !rest.starts_with(ascii)) return false;
      result += fine;
      i += ascii.size() - 1;
      return true;
    };
    if (after_digit && sign(" us", " µs")) continue;
    if (sign("<=", "≤") || sign(">=", "≥") || sign("->", "→")) continue;
    result += text[i];
  }
  return result;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string left(std::string text, std::size_t width) {
  const std::size_t used = width_of(text);
  if (used < width) text.append(width - used, ' ');
  return text;
}

std::string right(std::string text, std::size_t width) {
  const std::size_t used = width_of(text);
  if (used < width) text.insert(0, width - used, ' ');
  return text;
}

}  // namespace plait::cli
