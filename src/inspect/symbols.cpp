#include "inspect/symbols.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "plait/core/errors.hpp"

namespace plait::detail {
namespace {

// A file as bytes; empty if it cannot be read.
class mapped_file {
 public:
  explicit mapped_file(const char* path) noexcept {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat about {};
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
      void* memory =
          mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (memory != MAP_FAILED)
        bytes_ = {static_cast<const char*>(memory), static_cast<std::size_t>(about.st_size)};
    }
    close(fd);
  }
  ~mapped_file() {
    if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  // `count` structures at that offset, or null if they are not all there.
  template <class T>
  const T* at(std::uint64_t offset, std::uint64_t count = 1) const noexcept {
    if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T)) return nullptr;
    return reinterpret_cast<const T*>(bytes_.data() + offset);
  }

 private:
  std::string_view bytes_;
};

constexpr std::string_view string_in_full =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

// A coroutine's code is a function of its own, whose symbol carries the coroutine's:
//   GCC    load(load(int)::_Z4loadi.Frame*) [clone .actor]
//   Clang  load(int) [clone .resume]
std::string readable(const char* symbol) {
  std::string name = demangled(symbol);
  const auto frame = name.find(".Frame*)");
  const auto inner = frame == std::string::npos ? frame : name.rfind("::_Z", frame);
  if (inner != std::string::npos)
    name = demangled(name.substr(inner + 2, frame - inner - 2).c_str());
  if (const auto clone = name.find(" [clone "); clone != std::string::npos) name.resize(clone);
  for (auto at = name.find(string_in_full); at != std::string::npos; at = name.find(string_in_full))
    name.replace(at, string_in_full.size(), "std::string");
  return name;
}

}  // namespace

const symbols::module& symbols::load(const std::string& path, const void* base) {
  const auto [at, is_new] = modules_.try_emplace(path);
  module& m = at->second;
  if (!is_new) return m;
  const mapped_file file(path.c_str());
  const auto* header = file.at<ElfW(Ehdr)>(0);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return m;
  if (header->e_type == ET_EXEC) m.bias = reinterpret_cast<std::uintptr_t>(base);
  const auto* sections = file.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
  if (sections == nullptr) return m;
  for (std::size_t i = 0; i < header->e_shnum; ++i) {
    const auto& table = sections[i];
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= header->e_shnum) continue;
    const auto& strings = sections[table.sh_link];
    const std::uint64_t count = table.sh_size / sizeof(ElfW(Sym));
    const auto* symbol = file.at<ElfW(Sym)>(table.sh_offset, count);
    const auto* names = file.at<char>(strings.sh_offset, strings.sh_size);
    if (symbol == nullptr || names == nullptr || strings.sh_size == 0 ||
        names[strings.sh_size - 1] != '\0')
      continue;
    for (std::uint64_t j = 0; j < count; ++j, ++symbol)
      if ((symbol->st_info & 0xf) == STT_FUNC && symbol->st_size != 0 &&
          symbol->st_name < strings.sh_size)
        m.functions.push_back(
            {symbol->st_value, symbol->st_value + symbol->st_size, names + symbol->st_name});
  }
  std::sort(m.functions.begin(), m.functions.end(),
            [](const function& a, const function& b) { return a.begin < b.begin; });
  return m;
}

const symbols::place& symbols::find(const void* code) {
  const auto [at, is_new] = places_.try_emplace(code);
  place& p = at->second;
  Dl_info info{};
  if (!is_new || code == nullptr || dladdr(code, &info) == 0 || info.dli_fname == nullptr) return p;
  void* extra = nullptr;
  const auto* map = dladdr1(code, &info, &extra, RTLD_DL_LINKMAP) != 0
                        ? static_cast<const link_map*>(extra)
                        : nullptr;
  p.file = info.dli_fname;
  if (map == nullptr || map->l_name == nullptr || map->l_name[0] == '\0') {
    // The program itself goes by what it was called with, perhaps from another folder.
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n > 0) p.file.assign(path, static_cast<std::size_t>(n));
  }
  const module& m = load(p.file, info.dli_fbase);
  p.address = reinterpret_cast<std::uintptr_t>(code) -
              reinterpret_cast<std::uintptr_t>(info.dli_fbase) + m.bias;
  auto next = std::upper_bound(m.functions.begin(), m.functions.end(), p.address,
                               [](std::uint64_t a, const function& f) { return a < f.begin; });
  if (next != m.functions.begin() && p.address < std::prev(next)->end) {
    p.function = readable(std::prev(next)->name.c_str());
  } else if (info.dli_sname != nullptr) {
    p.function = readable(info.dli_sname);
  }
  return p;
}

std::string symbols::label(const job_origin& origin) {
  if (origin.name != nullptr && *origin.name != '\0') return origin.name;
  if (origin.code != nullptr)
    if (const auto& p = find(origin.code); !p.function.empty()) return p.function;
  return origin.type != nullptr ? demangled(origin.type) : "";
}

void symbols::write(json_writer& to, const void* code) {
  const place& p = find(code);
  to.begin_object();
  to.field("function", p.function);
  to.field("file", p.file);
  to.field("address", static_cast<std::int64_t>(p.address));
  to.end_object();
}

}  // namespace plait::detail
