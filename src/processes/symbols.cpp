#include "processes/symbols.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

#include "processes/descriptor.hpp"
#include "processes/module_table.hpp"

namespace plait::detail {
namespace {

// A file in memory. Empty if there is none.
class mapped_file {
 public:
  explicit mapped_file(const char* path) {
    const descriptor file(open(path, O_RDONLY | O_CLOEXEC));
    struct stat s {};
    if (!file || fstat(file.get(), &s) != 0 || s.st_size <= 0) return;
    void* memory =
        mmap(nullptr, static_cast<std::size_t>(s.st_size), PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) return;
    bytes_ = static_cast<const char*>(memory);
    size_ = static_cast<std::size_t>(s.st_size);
  }
  mapped_file(const mapped_file&) = delete;
  ~mapped_file() {
    if (bytes_ != nullptr) munmap(const_cast<char*>(bytes_), size_);
  }
  // `count` objects at an offset that the file names, or null.
  template <class T>
  const T* at(std::uint64_t offset, std::uint64_t count = 1) const noexcept {
    if (offset > size_ || count > (size_ - offset) / sizeof(T) || offset % alignof(T) != 0)
      return nullptr;
    return reinterpret_cast<const T*>(bytes_ + offset);
  }
  std::string text(std::uint64_t offset) const {
    if (offset >= size_) return {};
    return {bytes_ + offset, strnlen(bytes_ + offset, size_ - offset)};
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

using names = std::vector<std::string>;

// Gives a name to every offset that lies in a function of the table. One pass: tables are long and
// offsets few.
void look_up(const mapped_file& file, const ElfW(Shdr) & table, const ElfW(Shdr) & strings,
             const std::vector<std::uint64_t>& offsets, names& found) {
  const std::uint64_t n = table.sh_size / sizeof(ElfW(Sym));
  const auto* symbols = file.at<ElfW(Sym)>(table.sh_offset, n);
  if (symbols == nullptr) return;
  const std::uint64_t least = *std::min_element(offsets.begin(), offsets.end());
  const std::uint64_t most = *std::max_element(offsets.begin(), offsets.end());
  for (const auto* s = symbols; s != symbols + n; ++s) {
    const auto type = s->st_info & 0xf;
    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s->st_shndx == SHN_UNDEF) continue;
    if (s->st_value > most || s->st_value + s->st_size <= least) continue;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i] >= s->st_value && offsets[i] < s->st_value + s->st_size && found[i].empty())
        found[i] = file.text(strings.sh_offset + s->st_name);
    }
  }
}

names names_in(const char* path, const std::vector<std::uint64_t>& offsets) {
  names found(offsets.size());
  const mapped_file file(path);
  const auto* header = file.at<ElfW(Ehdr)>(0);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return found;
  const auto* sections = file.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
  if (sections == nullptr) return found;
  for (const auto type : {SHT_SYMTAB, SHT_DYNSYM}) {
    for (const auto* s = sections; s != sections + header->e_shnum; ++s)
      if (s->sh_type == static_cast<unsigned>(type) && s->sh_link < header->e_shnum)
        look_up(file, *s, sections[s->sh_link], offsets, found);
  }
  return found;
}

// Crashes repeat themselves.
struct memory {
  static constexpr std::size_t capacity = 4096;
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::string> functions;

  static memory& instance() {
    static auto* const one = new memory;
    return *one;
  }
};

}  // namespace

std::vector<worker_crashed::frame> symbolise(const std::uint64_t* tokens, std::size_t n) {
  const std::vector<module_identity> modules = known_modules();
  std::vector<worker_crashed::frame> frames(n);
  auto& known = memory::instance();
  const std::lock_guard hold(known.mutex);
  if (known.functions.size() > memory::capacity) known.functions.clear();
  for (std::size_t i = 0; i < n; ++i) {
    frames[i].offset = tokens[i] & 0xffff'ffff'ffff;
    if (module_of(tokens[i]) >= modules.size()) continue;
    const std::string& path = modules[module_of(tokens[i])].path;
    frames[i].module = path.empty() ? "the program" : path;
    if (known.functions.contains(tokens[i])) continue;
    std::vector<std::uint64_t> theirs, offsets;  // all frames of this module at once
    for (std::size_t j = i; j < n; ++j) {
      if (module_of(tokens[j]) != module_of(tokens[i])) continue;
      theirs.push_back(tokens[j]);
      offsets.push_back(tokens[j] & 0xffff'ffff'ffff);
    }
    // The program itself may have been replaced on disk; this link still leads to it.
    const names found = names_in(path.empty() ? "/proc/self/exe" : path.c_str(), offsets);
    for (std::size_t j = 0; j < theirs.size(); ++j)
      known.functions[theirs[j]] =
          found[j].starts_with("_Z") ? demangled(found[j].c_str()) : found[j];
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto function = known.functions.find(tokens[i]);
    if (function != known.functions.end()) frames[i].function = function->second;
  }
  return frames;
}

}  // namespace plait::detail
