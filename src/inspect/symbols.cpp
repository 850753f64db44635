#include "inspect/symbols.hpp"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>

#include "plait/core/errors.hpp"

namespace plait::detail {

const symbols::module& symbols::load(const std::string& path, const void* base) {
  const auto [at, is_new] = modules_.try_emplace(path);
  module& m = at->second;
  if (!is_new) return m;
  const elf_file file(path.c_str());
  if (file.is_fixed()) m.bias = reinterpret_cast<std::uintptr_t>(base);
  m.functions = file.functions();
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
  auto next =
      std::upper_bound(m.functions.begin(), m.functions.end(), p.address,
                       [](std::uint64_t a, const elf_file::function& f) { return a < f.begin; });
  if (next != m.functions.begin() && p.address < std::prev(next)->end) {
    p.function = readable_name(std::prev(next)->name.c_str());
  } else if (info.dli_sname != nullptr) {
    p.function = readable_name(info.dli_sname);
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
