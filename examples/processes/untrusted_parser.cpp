// A parser with bugs reads pictures from strangers. Each is parsed in a sandboxed worker process:
// whatever a file does to the parser, the program says what happened and goes on with the next.
//
// The format: "PLIM", then chunks of a name of 4 bytes, a length of 4 bytes (little endian) and so
// many bytes. HEAD: width and height; RUNS: pairs of a count (4 bytes) and a grey value (1 byte).
#include <plait/processes.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

// ---- the parser, as one finds them ------------------------------------------------------------

struct picture {
  std::uint32_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

std::uint32_t number_at(std::span<const std::uint8_t> file, std::uint32_t position) {
  if (file.size() < 4 || position > file.size() - 4) throw std::runtime_error("the file is cut");
  std::uint32_t n = 0;
  std::memcpy(&n, file.data() + position, 4);
  return n;
}

// Bug: a product of 32 bits and no limit; a few bytes ask for gigabytes.
void read_head(picture& p, std::span<const std::uint8_t> chunk) {
  p.width = number_at(chunk, 0);
  p.height = number_at(chunk, 4);
  p.pixels.resize(std::size_t{p.width} * p.height);
}

// Bug: nobody compares the runs with the size of the picture.
void read_runs(picture& p, std::span<const std::uint8_t> chunk) {
  std::uint8_t* out = p.pixels.data();
  for (std::uint32_t at = 0; at + 5 <= chunk.size(); at += 5) {
    const std::uint32_t count = number_at(chunk, at);
    std::memset(out, chunk[at + 4], count);
    out += count;
  }
}

// What somebody does next who got his own code to run through one of these bugs. The file says it
// in words here; the rest of this program does not depend on it.
void run_foreign_code(std::string_view what);

// Bug: a length just below 2^32 wraps around, and the same chunk comes again and again.
picture parse(std::span<const std::uint8_t> file) {
  if (file.size() < 4 || std::memcmp(file.data(), "PLIM", 4) != 0)
    throw std::runtime_error("this is not a PLIM file");
  picture p;
  for (std::uint32_t at = 4; at < file.size();) {
    const std::uint32_t length = number_at(file, at + 4);
    const std::string_view name(reinterpret_cast<const char*>(file.data()) + at, 4);
    const auto chunk = file.subspan(at + 8, std::min<std::size_t>(length, file.size() - at - 8));
    if (name == "HEAD") read_head(p, chunk);
    if (name == "RUNS") read_runs(p, chunk);
    if (name == "EVIL")
      run_foreign_code({reinterpret_cast<const char*>(chunk.data()), chunk.size()});
    at += 8 + length;
  }
  return p;
}

std::string refusal(const char* act) { return std::string(act) + ": " + std::strerror(errno); }

void run_foreign_code(std::string_view what) {
  if (what == "steal" && open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
    throw std::runtime_error(refusal("open /etc/passwd"));
  if (what == "phone home" && socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
    throw std::runtime_error(refusal("open a socket"));
  if (what == "kill" && kill(getppid(), SIGKILL) != 0)
    throw std::runtime_error(refusal("kill the parent"));
  for (int copies = 0; what == "multiply"; ++copies)
    if (fork() < 0)
      throw std::runtime_error(refusal("fork") + " after " + std::to_string(copies) + " copies");
}

// ---- the files --------------------------------------------------------------------------------

using bytes = std::vector<std::uint8_t>;

void add_number(bytes& to, std::uint32_t n) {
  for (int i = 0; i < 4; ++i) to.push_back(static_cast<std::uint8_t>(n >> 8 * i));
}
void add_chunk(bytes& to, std::string_view name, const bytes& contents, std::uint32_t length) {
  to.insert(to.end(), name.begin(), name.end());
  add_number(to, length);
  to.insert(to.end(), contents.begin(), contents.end());
}
void add_chunk(bytes& to, std::string_view name, const bytes& contents) {
  add_chunk(to, name, contents, static_cast<std::uint32_t>(contents.size()));
}
bytes grey(std::uint32_t width, std::uint32_t height, std::uint32_t pixels) {
  bytes file{'P', 'L', 'I', 'M'}, head, runs;
  add_number(head, width);
  add_number(head, height);
  add_chunk(file, "HEAD", head);
  add_number(runs, pixels);
  runs.push_back(128);
  add_chunk(file, "RUNS", runs);
  return file;
}
bytes with_chunk(std::string_view name, std::string_view contents) {
  bytes file = grey(8, 8, 64);
  add_chunk(file, name, {contents.begin(), contents.end()});
  return file;
}
bytes endless() {
  bytes file = grey(8, 8, 64);
  add_chunk(file, "NOTE", {}, 0xfffffff8);
  return file;
}

struct upload {
  const char* name;
  bytes contents;
};

// The innermost function that has a name.
const char* place(const plait::worker_crashed& e) {
  for (const auto& f : e.frames())
    if (!f.function.empty()) return f.function.c_str();
  return "an unknown place";
}

}  // namespace

// max_tasks_per_child: what a file has done to its worker, the next file does not meet.
int main() {
  using namespace std::chrono_literals;
  const upload uploads[] = {{"holiday.plim", grey(640, 480, 640 * 480)},
                            {"text.plim", {'h', 'e', 'l', 'l', 'o'}},
                            {"cut.plim", {'P', 'L', 'I', 'M', 'H', 'E'}},
                            {"overrun.plim", grey(8, 8, 0x7fffffff)},
                            {"endless.plim", endless()},
                            {"huge.plim", grey(60'000, 60'000, 1)},
                            {"steal.plim", with_chunk("EVIL", "steal")},
                            {"phone_home.plim", with_chunk("EVIL", "phone home")},
                            {"kill.plim", with_chunk("EVIL", "kill")},
                            {"multiply.plim", with_chunk("EVIL", "multiply")},
                            {"garden.plim", grey(320, 200, 320 * 200)}};

  plait::process_pool_executor pool({.max_workers = 2,
                                     .max_tasks_per_child = 1,
                                     .limits = {.address_space = 512 << 20},
                                     .sandbox = plait::sandbox{.largest_result = 64 << 20}});
  std::vector<plait::future<picture>> pictures;
  for (const upload& u : uploads)
    pictures.push_back(pool.with({.name = u.name, .timeout = 500ms}).submit(parse, u.contents));

  for (std::size_t i = 0; i < pictures.size(); ++i) {
    std::printf("%-16s ", uploads[i].name);
    try {
      const picture p = pictures[i].get();
      if (p.pixels.size() !=
          std::size_t{p.width} * p.height)  // a stranger's answer: believe nothing
        throw std::runtime_error("a picture that does not fit its size");
      std::printf("%u x %u pixels\n", p.width, p.height);
    } catch (const plait::worker_crashed& e) {
      std::printf("crashed: SIG%s in %s\n", sigabbrev_np(e.signal()), place(e));
    } catch (const plait::task_timeout&) {
      std::printf("took too long and was stopped\n");
    } catch (const std::exception& e) {
      std::printf("refused: %s\n", e.what());
    }
  }
}
