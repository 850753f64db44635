#include "advise/observe/loaded_runtime.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "advise/observe/proc_file.hpp"

namespace plait::detail {
namespace {

// Nothing in a file is believed: what points outside of it is not there.
class mapped_elf {
 public:
  explicit mapped_elf(const char* path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    struct stat facts {};
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0) {
      size_ = static_cast<std::size_t>(facts.st_size);
      void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
      bytes_ = memory == MAP_FAILED ? nullptr : static_cast<const char*>(memory);
    }
    close(fd);
    const auto* head = at<Elf64_Ehdr>(0);
    if (head != nullptr && std::memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
        head->e_ident[EI_CLASS] == ELFCLASS64)
      head_ = head;
  }
  mapped_elf(const mapped_elf&) = delete;
  mapped_elf& operator=(const mapped_elf&) = delete;
  ~mapped_elf() {
    if (bytes_ != nullptr) munmap(const_cast<char*>(bytes_), size_);
  }

  const Elf64_Ehdr* head() const { return head_; }
  template <class T>
  const T* at(std::uint64_t offset, std::uint64_t count = 1) const {
    if (bytes_ == nullptr || offset > size_ || count > (size_ - offset) / sizeof(T)) return nullptr;
    return reinterpret_cast<const T*>(bytes_ + offset);
  }
  const Elf64_Shdr* section(std::uint32_t type, const char* name = nullptr) const {
    if (head_ == nullptr) return nullptr;
    const auto* sections = at<Elf64_Shdr>(head_->e_shoff, head_->e_shnum);
    if (sections == nullptr || head_->e_shstrndx >= head_->e_shnum) return nullptr;
    for (unsigned i = 0; i < head_->e_shnum; ++i) {
      if (type != SHT_NULL && sections[i].sh_type != type) continue;
      if (name == nullptr ||
          text_is(sections[head_->e_shstrndx].sh_offset + sections[i].sh_name, name))
        return &sections[i];
    }
    return nullptr;
  }
  const Elf64_Shdr* section_at(std::uint32_t index) const {
    const auto* sections = at<Elf64_Shdr>(head_->e_shoff, head_->e_shnum);
    return sections != nullptr && index < head_->e_shnum ? &sections[index] : nullptr;
  }
  bool text_is(std::uint64_t offset, const char* text) const {
    const std::size_t length = std::strlen(text) + 1;
    const char* there = at<char>(offset, length);
    return there != nullptr && std::memcmp(there, text, length) == 0;
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
  const Elf64_Ehdr* head_ = nullptr;
};

std::uint32_t gnu_hash(const char* name) {
  std::uint32_t hash = 5381;
  for (; *name != 0; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

// By the table that the dynamic linker itself uses: nothing is scanned.
const Elf64_Sym* exported_symbol(const mapped_elf& file, const char* name) {
  const auto* table = file.section(SHT_GNU_HASH);
  const auto* symbols = file.section(SHT_DYNSYM);
  if (table == nullptr || symbols == nullptr) return nullptr;
  const auto* strings = file.section_at(symbols->sh_link);
  const auto* head = file.at<std::uint32_t>(table->sh_offset, 4);
  if (strings == nullptr || head == nullptr || head[0] == 0) return nullptr;
  const std::uint32_t buckets = head[0], first = head[1], bloom_words = head[2];
  const std::uint64_t after_bloom = table->sh_offset + 16 + std::uint64_t{8} * bloom_words;
  const std::uint32_t hash = gnu_hash(name);
  const auto* bucket = file.at<std::uint32_t>(after_bloom + std::uint64_t{4} * (hash % buckets));
  if (bucket == nullptr || *bucket < first) return nullptr;
  for (std::uint32_t i = *bucket;; ++i) {
    const auto* chain = file.at<std::uint32_t>(after_bloom + std::uint64_t{4} * buckets +
                                               std::uint64_t{4} * (i - first));
    const auto* symbol =
        file.at<Elf64_Sym>(symbols->sh_offset + std::uint64_t{sizeof(Elf64_Sym)} * i);
    if (chain == nullptr || symbol == nullptr) return nullptr;
    if ((*chain | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
        file.text_is(strings->sh_offset + symbol->st_name, name))
      return symbol;
    if ((*chain & 1) != 0) return nullptr;
  }
}

}  // namespace

const runtime_finder::exported& runtime_finder::look_into(const std::string& path,
                                                          std::uint64_t device,
                                                          std::uint64_t inode) {
  const auto [place, is_new] = known_.try_emplace({device, inode});
  exported& found = place->second;
  if (!is_new) return found;
  const mapped_elf file(path.c_str());
  if (file.head() == nullptr) return found;
  found.fixed = file.head()->e_type == ET_EXEC;
  const auto* segments = file.at<Elf64_Phdr>(file.head()->e_phoff, file.head()->e_phnum);
  for (unsigned i = 0; segments != nullptr && i < file.head()->e_phnum; ++i)
    if (segments[i].p_type == PT_LOAD) {
      found.first_page = segments[i].p_vaddr & ~std::uint64_t{0xfff};
      break;
    }
  if (const auto* symbol = exported_symbol(file, "_PyRuntime")) {
    found.kind = runtime_kind::cpython;
    found.value = symbol->st_value;
    found.size = symbol->st_size;
  } else if (exported_symbol(file, "_ZN2v87Isolate10GetCurrentEv") != nullptr) {
    found.kind = runtime_kind::javascript;
  } else if (exported_symbol(file, "JNI_CreateJavaVM") != nullptr) {
    found.kind = runtime_kind::jvm;
  } else if (file.section(SHT_NULL, ".go.buildinfo") != nullptr) {
    found.kind = runtime_kind::go;
  }
  return found;
}

loaded_runtime runtime_finder::find(int pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  const std::string maps = read_whole(process + "/maps");
  std::string_view rest = maps;
  std::set<std::uint64_t> seen;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    // begin-end rwxp offset major:minor inode   path
    unsigned long begin = 0, offset = 0, inode = 0;
    unsigned major = 0, minor = 0;
    int path_at = 0;
    if (std::sscanf(std::string(line).c_str(), "%lx-%*x %*s %lx %x:%x %lu %n", &begin, &offset,
                    &major, &minor, &inode, &path_at) < 5)
      continue;
    if (inode == 0 || offset != 0 || path_at <= 0 ||
        static_cast<std::size_t>(path_at) >= line.size() || !seen.insert(inode).second)
      continue;
    const std::string path =
        process + "/root" + std::string(line.substr(static_cast<std::size_t>(path_at)));
    const exported& file = look_into(path, (std::uint64_t{major} << 32) | minor, inode);
    if (file.kind == runtime_kind::native) continue;
    loaded_runtime found{.kind = file.kind};
    if (file.kind == runtime_kind::cpython) {
      found.gil_begin = file.value + (file.fixed ? 0 : begin - file.first_page);
      found.gil_end = found.gil_begin + file.size;
    }
    return found;
  }
  return {};
}

}  // namespace plait::detail
