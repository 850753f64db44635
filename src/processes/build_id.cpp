#include "processes/build_id.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>

#include "processes/descriptor.hpp"

namespace plait::detail {
namespace {

// A file in memory, for reading. Empty if there is none.
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

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

std::string build_id_in(const char* notes, const char* end) {
  const auto left = [&] { return static_cast<std::size_t>(end - notes); };
  while (left() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) n;
    std::memcpy(&n, notes, sizeof n);
    notes += sizeof n;
    const std::size_t name = (std::size_t{n.n_namesz} + 3) / 4 * 4;
    const std::size_t padded = (std::size_t{n.n_descsz} + 3) / 4 * 4;
    if (name > left() || padded > left() - name) return {};
    if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && std::memcmp(notes, "GNU", 4) == 0) {
      std::string id;
      for (std::size_t i = 0; i < n.n_descsz; ++i) {
        const auto value = static_cast<unsigned char>(notes[name + i]);
        id += "0123456789abcdef"[value >> 4];
        id += "0123456789abcdef"[value & 15];
      }
      return id;
    }
    notes += name + padded;
  }
  return {};
}

std::string build_id_of_file(const char* path) {
  const mapped_file file(path);
  const auto* header = file.at<ElfW(Ehdr)>(0);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return {};
  const auto* segments = file.at<ElfW(Phdr)>(header->e_phoff, header->e_phnum);
  if (segments == nullptr) return {};
  for (const auto* s = segments; s != segments + header->e_phnum; ++s) {
    if (s->p_type != PT_NOTE) continue;
    const char* notes = file.at<char>(s->p_offset, s->p_filesz);
    if (notes == nullptr) continue;
    std::string id = build_id_in(notes, notes + s->p_filesz);
    if (!id.empty()) return id;
  }
  return {};
}

}  // namespace plait::detail
