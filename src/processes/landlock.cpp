// Landlock, a part of Linux since 5.13: which files a process, and what it starts, can open.
//
// Everything that this kernel can refuse is refused, and given back for what is listed. The older
// versions of it do not know of truncation, of ioctl on devices, of TCP ports, of signals and of
// abstract sockets; the filter of system calls refuses those by itself, so that version 1 suffices.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "processes/descriptor.hpp"
#include "processes/sandbox_walls.hpp"

namespace plait::detail {
namespace {

// <linux/landlock.h> of the machine that compiles this may be older than the kernel that runs it.
constexpr long create_ruleset = 444, add_rule = 445, restrict_self = 446;  // on every architecture
constexpr std::uint32_t ask_version = 1, path_beneath = 1;

struct ruleset_attributes {
  std::uint64_t fs = 0, net = 0, scoped = 0;
};
struct [[gnu::packed]] path_attributes {
  std::uint64_t allowed;
  std::int32_t parent;
};

enum : std::uint64_t {
  execute = 1 << 0,
  write_file = 1 << 1,
  read_file = 1 << 2,
  read_folder = 1 << 3,
  remove_folder = 1 << 4,
  remove_file = 1 << 5,
  make_folder = 1 << 7,
  make_file = 1 << 8,
  refer = 1 << 13,         // move to another folder; version 2
  truncate_file = 1 << 14  // version 3
};
constexpr std::uint64_t reading = read_file | read_folder;
constexpr std::uint64_t writing = reading | write_file | remove_folder | remove_file | make_folder |
                                  make_file | refer | truncate_file;
constexpr std::uint64_t of_a_file = read_file | write_file | truncate_file;

int version() noexcept {
  return static_cast<int>(syscall(create_ruleset, nullptr, 0, ask_version));
}

std::uint64_t known_rights(int abi) noexcept {
  const int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
  return (std::uint64_t{1} << bits) - 1;
}

void permit(int rules, const std::string& path, std::uint64_t rights) {
  const descriptor file(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat s {};
  if (!file || fstat(file.get(), &s) != 0)
    throw std::system_error(errno, std::generic_category(),
                            "process pool: the sandbox lists \"" + path + "\"");
  if (!S_ISDIR(s.st_mode)) rights &= of_a_file;
  const path_attributes attributes{rights, file.get()};
  if (syscall(add_rule, rules, path_beneath, &attributes, 0) != 0) throw_errno("landlock_add_rule");
}

}  // namespace

const char* landlock_missing() noexcept {
  if (version() >= 1) return nullptr;
  return errno == EOPNOTSUPP
             ? "Landlock is switched off (the kernel's parameter lsm= leaves it out)"
             : "it has no Landlock (Linux 5.13), or a container's rules forbid it";
}

void restrict_files(const sandbox& walls) {
  const int abi = version();
  const std::uint64_t known = known_rights(abi);
  ruleset_attributes all{known, 0, 0};
  std::size_t size = sizeof all.fs;
  if (abi >= 4) {
    size += sizeof all.net;
    if (walls.network == sandbox::reach::none) all.net = 3;  // bind and connect of TCP
  }
  if (abi >= 6) {
    size += sizeof all.scoped;
    all.scoped = 3;  // abstract sockets and signals of others
  }
  const descriptor rules(static_cast<int>(syscall(create_ruleset, &all, size, 0)));
  if (!rules) throw_errno("landlock_create_ruleset");
  for (const auto& path : walls.readable) permit(rules.get(), path, reading & known);
  for (const auto& path : walls.writable) permit(rules.get(), path, writing & known);
  if (syscall(restrict_self, rules.get(), 0) != 0) throw_errno("landlock_restrict_self");
}

}  // namespace plait::detail
