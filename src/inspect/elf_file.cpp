#include "inspect/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "plait/core/errors.hpp"

namespace plait::detail {

elf_file::elf_file(const char* path) noexcept {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat about {};
  if (fstat(fd, &about) == 0 && about.st_size > 0) {
    const auto size = static_cast<std::size_t>(about.st_size);
    void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory != MAP_FAILED) bytes_ = {static_cast<const char*>(memory), size};
  }
  close(fd);
  if (const auto* header = at<ElfW(Ehdr)>(0)) is_fixed_ = header->e_type == ET_EXEC;
}

elf_file::~elf_file() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

// `count` structures at that offset, or null if they are not all there.
template <class T>
const T* elf_file::at(std::uint64_t offset, std::uint64_t count) const noexcept {
  if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T) ||
      offset % alignof(T) != 0)
    return nullptr;
  return reinterpret_cast<const T*>(bytes_.data() + offset);
}

// visit(begin, end, name) for each function; those of the full table first, which a stripped file
// does not have.
template <class Visit>
void elf_file::visit_functions(Visit visit) const {
  const auto* header = at<ElfW(Ehdr)>(0);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
  const auto* sections = at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
  if (sections == nullptr) return;
  for (const unsigned type : {SHT_SYMTAB, SHT_DYNSYM}) {
    for (const auto* table = sections; table != sections + header->e_shnum; ++table) {
      if (table->sh_type != type || table->sh_link >= header->e_shnum) continue;
      const auto& strings = sections[table->sh_link];
      const std::uint64_t count = table->sh_size / sizeof(ElfW(Sym));
      const auto* symbol = at<ElfW(Sym)>(table->sh_offset, count);
      const auto* names = at<char>(strings.sh_offset, strings.sh_size);
      if (symbol == nullptr || names == nullptr || strings.sh_size == 0 ||
          names[strings.sh_size - 1] != '\0')
        continue;
      for (const auto* end = symbol + count; symbol != end; ++symbol) {
        const unsigned kind = symbol->st_info & 0xf;
        if ((kind == STT_FUNC || kind == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF &&
            symbol->st_size != 0 && symbol->st_name < strings.sh_size)
          visit(symbol->st_value, symbol->st_value + symbol->st_size, names + symbol->st_name);
      }
    }
  }
}

std::vector<elf_file::function> elf_file::functions() const {
  std::vector<function> all;
  visit_functions([&](std::uint64_t begin, std::uint64_t end, const char* name) {
    all.push_back({begin, end, name});
  });
  std::stable_sort(all.begin(), all.end(),
                   [](const function& a, const function& b) { return a.begin < b.begin; });
  const auto same = [](const function& a, const function& b) { return a.begin == b.begin; };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  return all;
}

std::vector<std::string> elf_file::names_of(const std::vector<std::uint64_t>& addresses) const {
  std::vector<std::string> names(addresses.size());
  if (addresses.empty()) return names;
  const auto [least, most] = std::minmax_element(addresses.begin(), addresses.end());
  visit_functions([&](std::uint64_t begin, std::uint64_t end, const char* name) {
    if (begin > *most || end <= *least) return;
    for (std::size_t i = 0; i < addresses.size(); ++i)
      if (addresses[i] >= begin && addresses[i] < end && names[i].empty()) names[i] = name;
  });
  return names;
}

namespace {

constexpr std::string_view string_in_full =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

// Of a template's instance the symbol also tells what it returns: "void f<int>(int)".
void remove_result(std::string& name) {
  if (name.find("operator ") != std::string::npos || name.find("operator<") != std::string::npos ||
      name.find("operator-") != std::string::npos || name.find("operator>") != std::string::npos)
    return;
  int depth = 0;
  std::size_t space = 0, begin = 0;  // behind the last space, and that before the arguments
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '(' && depth == 0) begin = space;
    if (c == '(' || c == '<' || c == '{') ++depth;
    if (c == ')' || c == '>' || c == '}') --depth;
    if (c == ' ' && depth == 0) space = i + 1;
  }
  if (depth == 0) name.erase(0, begin);
}

}  // namespace

// A coroutine's code is a function of its own, whose symbol carries the coroutine's:
//   GCC    load(load(int)::_Z4loadi.Frame*) [clone .actor]
//   Clang  load(int) [clone .resume]
std::string readable_name(const char* symbol) {
  if (!std::string_view(symbol).starts_with("_Z")) return symbol;  // C: else "f" would be "float"
  std::string name = demangled(symbol);
  const auto frame = name.find(".Frame*)");
  const auto inner = frame == std::string::npos ? frame : name.rfind("::_Z", frame);
  if (inner != std::string::npos)
    name = demangled(name.substr(inner + 2, frame - inner - 2).c_str());
  if (const auto clone = name.find(" [clone "); clone != std::string::npos) name.resize(clone);
  for (auto at = name.find(string_in_full); at != std::string::npos; at = name.find(string_in_full))
    name.replace(at, string_in_full.size(), "std::string");
  remove_result(name);
  return name;
}

}  // namespace plait::detail
