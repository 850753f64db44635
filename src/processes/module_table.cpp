#include "processes/module_table.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "plait/processes/errors.hpp"
#include "plait/processes/message.hpp"

namespace plait::detail {
namespace {

struct loaded_module {
  module_identity identity;
  std::uintptr_t base = 0, begin = 0, end = 0;
};

std::string build_id_of(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& header = info.dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const auto* note = reinterpret_cast<const char*>(info.dlpi_addr + header.p_vaddr);
    const char* const end = note + header.p_memsz;
    while (note + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) n;
      std::memcpy(&n, note, sizeof n);
      const char* name = note + sizeof n;
      const char* bytes = name + (n.n_namesz + 3) / 4 * 4;
      note = bytes + (n.n_descsz + 3) / 4 * 4;
      if (n.n_type != NT_GNU_BUILD_ID || n.n_namesz != 4 || std::memcmp(name, "GNU", 4) != 0)
        continue;
      std::string id;
      for (std::uint32_t b = 0; b < n.n_descsz; ++b) {
        const auto value = static_cast<unsigned char>(bytes[b]);
        id += "0123456789abcdef"[value >> 4];
        id += "0123456789abcdef"[value & 15];
      }
      return id;
    }
  }
  return {};
}

std::string file_identity(const char* path) {
  struct stat file {};
  if (stat(path, &file) != 0) return "no file";
  return std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino) + ":" +
         std::to_string(file.st_size) + ":" + std::to_string(file.st_mtim.tv_sec) + "." +
         std::to_string(file.st_mtim.tv_nsec);
}

loaded_module describe(const dl_phdr_info& info) {
  loaded_module m;
  m.base = info.dlpi_addr;
  m.begin = UINTPTR_MAX;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    m.begin = std::min<std::uintptr_t>(m.begin, m.base + header.p_vaddr);
    m.end = std::max<std::uintptr_t>(m.end, m.base + header.p_vaddr + header.p_memsz);
  }
  m.identity.path = info.dlpi_name != nullptr ? info.dlpi_name : "";
  m.identity.build_id = build_id_of(info);
  // The program itself is what /proc/self/exe starts again, whatever lies on disk by now.
  if (m.identity.build_id.empty() && !m.identity.path.empty())
    m.identity.build_id = file_identity(m.identity.path.c_str());
  return m;
}

std::vector<loaded_module> loaded_now() {
  std::vector<loaded_module> all;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        static_cast<std::vector<loaded_module>*>(to)->push_back(describe(*info));
        return 0;
      },
      &all);
  return all;
}

// This process's numbering. Never destroyed: calls may be submitted while statics are.
struct registry {
  std::mutex mutex;
  std::vector<loaded_module> modules;

  static registry& instance() {
    static auto* const one = new registry;
    return *one;
  }
  void refresh() {  // with the mutex held
    for (auto& m : loaded_now()) {
      const auto known = std::find_if(modules.begin(), modules.end(), [&](const auto& k) {
        return k.begin == m.begin && k.identity.path == m.identity.path;
      });
      if (known == modules.end()) modules.push_back(std::move(m));
    }
  }
  const loaded_module* find(std::uintptr_t code) const noexcept {
    for (const auto& m : modules)
      if (code >= m.begin && code < m.end) return &m;
    return nullptr;
  }
};

// The numbering that this worker was given, with the addresses of this side; 0: not loaded.
struct foreign_module {
  module_identity identity;
  std::uintptr_t base = 0, begin = 0, end = 0;
  bool loaded = false;
};
std::vector<foreign_module>& foreign_modules() {
  static auto* const all = new std::vector<foreign_module>;
  return *all;
}

// A library that the pool's process opened on the way; opened here when a call first needs it.
void open_module(foreign_module& m) {
  if (dlopen(m.identity.path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr)
    throw function_not_found("a worker cannot open the function's library: " +
                             std::string(dlerror()));
  for (const auto& here : loaded_now()) {
    if (here.identity.path != m.identity.path) continue;
    if (here.identity.build_id != m.identity.build_id) break;
    m.base = here.base;
    m.begin = here.begin;
    m.end = here.end;
    m.loaded = true;
    return;
  }
  throw function_not_found("the function's library " + m.identity.path +
                           " is another one on disk than the caller has loaded");
}

}  // namespace

std::vector<module_identity> known_modules() {
  auto& known = registry::instance();
  const std::lock_guard hold(known.mutex);
  known.refresh();
  std::vector<module_identity> all;
  for (const auto& m : known.modules) all.push_back(m.identity);
  return all;
}

std::uint64_t token_of(const void* code) {
  struct range {
    std::uintptr_t begin = 1, end = 0, base = 0;
    std::uint64_t number = 0;
  };
  thread_local range last;  // nearly all functions of a program are in one module
  const auto address = reinterpret_cast<std::uintptr_t>(code);
  if (address < last.begin || address >= last.end) {
    auto& known = registry::instance();
    const std::lock_guard hold(known.mutex);
    const loaded_module* found = known.find(address);
    if (found == nullptr) {
      known.refresh();
      found = known.find(address);
    }
    if (found == nullptr)
      throw function_not_found(
          "the function lies in no library: generated code cannot be called "
          "in another process");
    last = {found->begin, found->end, found->base,
            static_cast<std::uint64_t>(found - known.modules.data())};
  }
  return (last.number + 1) << 48 | (address - last.base);
}

std::string adopt_modules(const std::vector<module_identity>& theirs) {
  const auto ours = loaded_now();
  std::string differences;
  auto& foreign = foreign_modules();
  foreign.clear();
  for (const auto& their : theirs) {
    foreign_module& m = foreign.emplace_back();
    m.identity = their;
    const auto here = std::find_if(ours.begin(), ours.end(),
                                   [&](const auto& o) { return o.identity.path == their.path; });
    if (here == ours.end()) continue;
    m.base = here->base;
    m.begin = here->begin;
    m.end = here->end;
    m.loaded = here->identity.build_id == their.build_id;
    if (!m.loaded)
      differences += (their.path.empty() ? "the program" : their.path) +
                     std::string(" has changed on disk since this program was started; ");
  }
  return differences;
}

std::uint64_t token_in_worker(std::uint64_t address) noexcept {
  std::uint64_t number = 0;
  for (const foreign_module& m : foreign_modules()) {
    ++number;
    if (address >= m.begin && address < m.end) return number << 48 | (address - m.base);
  }
  return address & 0xffff'ffff'ffff;
}

const void* code_of(std::uint64_t token) {
  auto& foreign = foreign_modules();
  const std::uint32_t number = module_of(token);
  if (number >= foreign.size())
    throw function_not_found("the function's library was opened after the pool was created");
  foreign_module& m = foreign[number];
  if (!m.loaded) open_module(m);
  return reinterpret_cast<const void*>(m.base + (token & 0xffff'ffff'ffff));
}

}  // namespace plait::detail
