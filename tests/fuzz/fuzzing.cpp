#include "fuzz/fuzzing.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "plait/testing/seed.hpp"

namespace {

// Which of the parsers' branches an input took, by a hash of where they are.
std::array<std::uint8_t, 1 << 13> taken;

// What a signal has to show.
std::string_view current;

void write_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  char line[128];
  for (std::size_t at = 0; at < bytes.size(); at += sizeof line / 2) {
    std::size_t n = 0;
    for (const char c : bytes.substr(at, sizeof line / 2)) {
      line[n++] = digits[static_cast<unsigned char>(c) >> 4];
      line[n++] = digits[c & 15];
    }
    if (write(STDERR_FILENO, line, n) < 0) return;
  }
}

void show() {
  constexpr std::string_view words = "\nthe input that did it, in hex: ";
  if (write(STDERR_FILENO, words.data(), words.size()) > 0) write_hex(current);
}
void show_and_die(int signal) {
  show();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

// Sanitizers end a process their own way.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

// GCC's -fsanitize-coverage=trace-pc calls it at every branch. Not to be counted itself.
extern "C" __attribute__((no_sanitize("address"))) void __sanitizer_cov_trace_pc() {
  const auto at = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  auto& count = taken[(at ^ (at >> 16)) & (taken.size() - 1)];
  if (count < 255) ++count;
}

namespace plait::testing {
namespace {

class mutator {
 public:
  mutator(const fuzzing& plan, random_source& random) : plan_(plan), random_(random) {}

  std::string variation(const std::vector<std::string>& corpus) {
    std::string text = one_of(corpus);
    for (std::uint64_t n = 1 + random_.below(5); n > 0; --n) change(text, corpus);
    if (text.size() > plan_.longest) text.resize(plan_.longest);
    return text;
  }

 private:
  const std::string& one_of(const std::vector<std::string>& all) {
    return all[random_.below(all.size())];
  }
  std::size_t place(const std::string& text) { return random_.below(text.size() + 1); }
  char noise() {
    constexpr char telling[] = "\0\1\t\n\r \"%&'*+,-./:;<=>?@[\\]{|}~\x7f\x80\xc3\xff";
    return random_.below(2) == 0 ? telling[random_.below(sizeof telling - 1)]
                                 : static_cast<char>(random_.below(256));
  }
  void change(std::string& text, const std::vector<std::string>& corpus) {
    const std::size_t at = place(text), length = random_.below(9);
    switch (random_.below(8)) {
      case 0:
        if (!text.empty()) text[at % text.size()] = noise();
        break;
      case 1:
        if (!text.empty()) text[at % text.size()] ^= static_cast<char>(1 << random_.below(8));
        break;
      case 2:
        text.insert(at, 1, noise());
        break;
      case 3:
        text.erase(at, length);
        break;
      case 4:
        text.insert(at, plan_.words.empty() ? std::string(1, noise()) : one_of(plan_.words));
        break;
      case 5: {
        const std::string part = text.substr(at, 1 + length);
        for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) text.insert(at, part);
        break;
      }
      case 6: {
        const std::string& other = one_of(corpus);
        text = text.substr(0, at) + other.substr(place(other));
        break;
      }
      default:
        text.insert(at, std::string(random_.below(70), noise()));
    }
  }

  const fuzzing& plan_;
  random_source& random_;
};

// What is known of every branch: in which magnitudes it has been taken in one input.
class coverage {
 public:
  bool has_grown() {
    bool grown = false;
    for (std::size_t i = 0; i < taken.size(); ++i) {
      if (taken[i] == 0) continue;
      const auto magnitude = static_cast<std::uint8_t>(1 << (std::bit_width(taken[i]) - 1));
      grown |= (known_[i] & magnitude) == 0;
      known_[i] |= magnitude;
      taken[i] = 0;
    }
    return grown;
  }

 private:
  std::array<std::uint8_t, taken.size()> known_{};
};

}  // namespace

void fuzz(fuzzing plan, const std::function<void(std::string_view)>& parse) {
  if (const char* given = std::getenv("PLAIT_FUZZ_ROUNDS"))
    plan.rounds = std::strtoull(given, nullptr, 0);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM})
    std::signal(signal, show_and_die);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(show);
  random_source random;
  mutator vary(plan, random);
  coverage known;
  std::vector<std::string> corpus = plan.seeds;
  for (std::size_t round = 0; round < plan.seeds.size() + plan.rounds; ++round) {
    // A string of exactly its size, so that a read behind it is seen.
    const std::string input =
        round < plan.seeds.size() ? plan.seeds[round] : vary.variation(corpus);
    const std::vector<char> exact(input.begin(), input.end());
    current = {exact.data(), exact.size()};
    alarm(20);  // an endless loop is a failure too
    taken.fill(0);
    try {
      parse(current);
    } catch (const std::exception& e) {
      ADD_FAILURE() << "threw " << e.what();
    }
    alarm(0);
    if (::testing::Test::HasFailure()) {
      std::fprintf(stderr, "round %zu, the input in hex: ", round);
      write_hex(current);
      std::fprintf(stderr, "\n");
      return;
    }
    if (known.has_grown()) corpus.push_back(input);
  }
  std::printf("%zu inputs, %zu of them new to the parser\n", plan.seeds.size() + plan.rounds,
              corpus.size() - plan.seeds.size());
}

}  // namespace plait::testing
