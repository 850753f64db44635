// src/cli/terminal.hpp: what a stream can show: colour, unicode, how many columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace plait::cli {

struct terminal {
  bool is_terminal = false;
  bool colour = false;   // off with NO_COLOR (no-color.org), on a dumb terminal and in a pipe
  bool unicode = false;  // off in a pipe, and where the locale names another character set
  std::size_t columns = 100;

  static terminal of(int fd);
};

enum class tone { plain, bold, dim, title, plait, python, article, good, bad };

// Text that may be coloured.
class painter {
 public:
  explicit painter(const terminal& t) : terminal_(t) {}
  std::string operator()(tone t, std::string_view text) const;
  // A bar of `columns` cells, `fraction` of them full; eighths of a cell where unicode is.
  std::string bar(tone t, double fraction, std::size_t columns) const;
  // `ascii` for a pipe, else `fine`.
  std::string_view either(std::string_view fine, std::string_view ascii) const {
    return terminal_.unicode ? fine : ascii;
  }
  // Measured texts are plain ASCII: this makes "us" and "2x" what a terminal can show better.
  std::string units(std::string_view text) const;
  const terminal& target() const noexcept { return terminal_; }

 private:
  terminal terminal_;
};

// How many columns a UTF-8 text takes; every character here is one wide.
std::size_t width_of(std::string_view text);
// Filled up with spaces to that width; longer texts stay as they are.
std::string left(std::string text, std::size_t width);
std::string right(std::string text, std::size_t width);

}  // namespace plait::cli
