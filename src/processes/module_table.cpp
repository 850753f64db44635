#include "processes/module_table.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "plait/processes/errors.hpp"
#include "plait/processes/message.hpp"
#include "processes/build_id.hpp"
#include "processes/module_list.hpp"

namespace plait::detail {
namespace {

constexpr std::uint64_t offset_mask = 0xffff'ffff'ffff;

struct loaded_module {
  module_identity identity;
  std::uintptr_t base = 0, begin = 0, end = 0;  // begin == end: not loaded now
};

std::string build_id_of(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& header = info.dlpi_phdr[i];
    if (header.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const char*>(info.dlpi_addr + header.p_vaddr);
    std::string id = build_id_in(notes, notes + header.p_memsz);
    if (!id.empty()) return id;
  }
  return {};
}

std::string file_identity(const struct stat& file) {
  return std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino) + ":" +
         std::to_string(file.st_size) + ":" + std::to_string(file.st_mtim.tv_sec) + "." +
         std::to_string(file.st_mtim.tv_nsec);
}

// Of a file on disk, for one that has no build id.
std::string file_identity(const char* path) {
  struct stat file {};
  return stat(path, &file) == 0 ? file_identity(file) : "no file";
}

// Of the file that was loaded, even if another one has its name by now.
std::string loaded_file_identity(const char* path, std::uintptr_t begin) {
  struct stat file {};
  if (stat(path, &file) != 0) return "gone from disk";
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return file_identity(file);
  bool same = false;
  char line[PATH_MAX + 128];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    std::uintptr_t first = 0;
    unsigned long inode = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%*x %*s %*x %*x:%*x %lu", &first, &inode) == 2 &&
        first == begin)
      same = inode == file.st_ino;
  }
  std::fclose(maps);
  return same ? file_identity(file) : "replaced on disk";
}

// Names with a slash are relative to where the process was; others are not files.
std::string absolute(const char* name) {
  if (name == nullptr || *name == '/' || std::strchr(name, '/') == nullptr)
    return name != nullptr ? name : "";
  char folder[PATH_MAX];
  return getcwd(folder, sizeof folder) != nullptr ? std::string(folder) + "/" + name : name;
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
  m.identity.path = absolute(info.dlpi_name);
  m.identity.build_id = build_id_of(info);
  // The program itself is what /proc/self/exe starts again, whatever lies on disk by now.
  if (m.identity.build_id.empty() && !m.identity.path.empty())
    m.identity.build_id = loaded_file_identity(m.identity.path.c_str(), m.begin & -4096);
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

// How often libraries were loaded and unloaded so far.
struct load_count {
  unsigned long long loads = 0, unloads = 0;
  bool operator==(const load_count&) const = default;

  static load_count now() {
    load_count n;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* to) {
          *static_cast<load_count*>(to) = {info->dlpi_adds, info->dlpi_subs};
          return 1;
        },
        &n);
    return n;
  }
};

// This process's numbering. Never destroyed: calls may be submitted while statics are.
struct registry {
  std::mutex mutex;
  std::vector<loaded_module> modules;
  std::unique_ptr<module_list_writer> list;  // all of them; made for the first pool
  load_count when;                           // of `modules`

  static registry& instance() {
    static auto* const one = [] {
      // A child has all modules that we have, but its list is its own.
      pthread_atfork([] { instance().mutex.lock(); }, [] { instance().mutex.unlock(); },
                     [] {
                       instance().list.reset();
                       instance().mutex.unlock();
                     });
      return new registry;
    }();
    return *one;
  }
  void refresh() {  // with the mutex held
    const load_count current = load_count::now();
    if (current == when) return;
    const auto loaded = loaded_now();
    for (auto& m : modules) m.begin = m.end = 0;
    for (const auto& m : loaded) {
      const auto known = std::find_if(modules.begin(), modules.end(),
                                      [&](const auto& k) { return k.identity == m.identity; });
      if (known != modules.end()) {
        *known = m;
        continue;
      }
      modules.push_back(m);
      if (list != nullptr) list->add(m.identity);
    }
    when = current;
  }
  const loaded_module* find(std::uintptr_t code) const noexcept {
    for (const auto& m : modules)
      if (code >= m.begin && code < m.end) return &m;
    return nullptr;
  }
};

// The numbering that this worker was given, with the addresses of this side.
struct foreign_module {
  module_identity identity;
  std::uintptr_t base = 0, begin = 0, end = 0;
  bool loaded = false;
  void* opened = nullptr;  // by us, as dlopen says

  void found(const loaded_module& here) noexcept {
    base = here.base;
    begin = here.begin;
    end = here.end;
    loaded = true;
  }
};
struct foreign_table {
  std::unique_ptr<module_list_reader> list;
  std::vector<foreign_module> modules;

  static foreign_table& instance() {
    static auto* const one = new foreign_table;
    return *one;
  }
  void read_on() {
    while (auto next = list->next()) modules.emplace_back().identity = std::move(*next);
  }
};

// What lies on disk may be another build; its initialisers must not even run.
void check_file(const module_identity& wanted) {
  const std::string& path = wanted.path;
  if (access(path.c_str(), F_OK) != 0)
    throw function_not_found("the function's library " + path +
                             " is not on disk: a worker cannot open it");
  std::string here = build_id_of_file(path.c_str());
  if (here.empty()) here = file_identity(path.c_str());
  if (here != wanted.build_id)
    throw function_not_found("the function's library " + path +
                             " on disk is another build than the one that the caller has opened");
}

// A library that the pool's process opened on the way; opened here when a call first needs it.
void open_module(foreign_table& table, foreign_module& m) {
  check_file(m.identity);
  for (auto& earlier : table.modules) {  // the loader would give us the same again
    if (earlier.opened == nullptr || earlier.identity.path != m.identity.path) continue;
    dlclose(std::exchange(earlier.opened, nullptr));
    earlier.loaded = false;
    earlier.begin = earlier.end = 0;
  }
  m.opened = dlopen(m.identity.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (m.opened == nullptr)
    throw function_not_found("a worker cannot open the function's library: " +
                             std::string(dlerror()));
  const auto loaded = loaded_now();
  const auto here = std::find_if(loaded.begin(), loaded.end(),
                                 [&](const auto& l) { return l.identity == m.identity; });
  if (here == loaded.end()) {
    dlclose(std::exchange(m.opened, nullptr));
    throw function_not_found("a worker still has another build of the function's library " +
                             m.identity.path + " loaded");
  }
  m.found(*here);
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

int module_list() {
  auto& known = registry::instance();
  const std::lock_guard hold(known.mutex);
  known.refresh();
  if (known.list == nullptr) {
    known.list = std::make_unique<module_list_writer>();
    for (const auto& m : known.modules) known.list->add(m.identity);
  }
  return known.list->file();
}

std::uint64_t token_of(const void* code) {
  struct range {
    std::uintptr_t begin = 1, end = 0, base = 0;
    std::uint64_t number = 0;
    bool is_the_program = false;  // which nobody unloads
    unsigned long long unloads = 0;
  };
  thread_local range last;  // nearly all functions of a program are in one module
  const auto address = reinterpret_cast<std::uintptr_t>(code);
  if (address < last.begin || address >= last.end ||
      (!last.is_the_program && last.unloads != load_count::now().unloads)) {
    auto& known = registry::instance();
    const std::lock_guard hold(known.mutex);
    known.refresh();
    const loaded_module* found = known.find(address);
    if (found == nullptr)
      throw function_not_found(
          "the function lies in no library that is loaded: generated code cannot be called "
          "in another process, nor can that of a library that was closed");
    last = {found->begin,
            found->end,
            found->base,
            static_cast<std::uint64_t>(found - known.modules.data()),
            found->identity.path.empty(),
            known.when.unloads};
  }
  return (last.number + 1) << 48 | (address - last.base);
}

std::string adopt_modules(descriptor list) {
  auto& table = foreign_table::instance();
  table.modules.clear();
  table.list = std::make_unique<module_list_reader>(std::move(list));
  table.read_on();
  std::string differences;
  for (const auto& here : loaded_now()) {
    bool has_name = false, has_build = false;
    for (auto& m : table.modules) {
      if (m.identity.path != here.identity.path) continue;
      has_name = true;
      if (m.identity.build_id != here.identity.build_id) continue;
      has_build = true;
      m.found(here);
    }
    if (has_name && !has_build)
      differences += (here.identity.path.empty() ? "the program" : here.identity.path) +
                     std::string(" has changed on disk since this program was started; ");
  }
  return differences;
}

void adopt_own_modules(descriptor list) {
  auto& table = foreign_table::instance();
  table.modules.clear();
  table.list = std::make_unique<module_list_reader>(std::move(list));
  table.read_on();
  const auto& ours = registry::instance().modules;  // one thread, and no fork in the middle of one
  for (std::size_t i = 0; i < std::min(ours.size(), table.modules.size()); ++i)
    if (ours[i].begin != ours[i].end) table.modules[i].found(ours[i]);
}

std::uint64_t token_in_worker(std::uint64_t address) noexcept {
  std::uint64_t number = 0;
  for (const foreign_module& m : foreign_table::instance().modules) {
    ++number;
    if (address >= m.begin && address < m.end) return number << 48 | (address - m.base);
  }
  return address & offset_mask;
}

const void* code_of(std::uint64_t token) {
  auto& table = foreign_table::instance();
  const std::uint32_t number = module_of(token);
  if (number >= table.modules.size() && table.list != nullptr) table.read_on();
  if (number >= table.modules.size())
    throw function_not_found("the function's library is not known here: too many were opened");
  foreign_module& m = table.modules[number];
  if (!m.loaded) open_module(table, m);
  return reinterpret_cast<const void*>(m.base + (token & offset_mask));
}

}  // namespace plait::detail
