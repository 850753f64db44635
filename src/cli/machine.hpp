// src/cli/machine.hpp: what this machine is and allows: CPUs, memory, limits, and raising them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace plait::cli {

struct machine_facts {
  std::string system;     // "Linux 6.1.0"
  std::string processor;  // "AMD EPYC"; empty when the kernel does not say
  std::size_t cpus = 0;   // usable ones: affinity and cgroup quota counted in
  std::uint64_t memory_bytes = 0;
};
machine_facts examine_machine();

// The limit on open descriptors, as it was and as it is.
struct descriptor_limit {
  std::uint64_t before = 0;  // soft limit when the tool started
  std::uint64_t now = 0;     // soft limit after raising
  std::uint64_t hard = 0;
};
// Raises the soft limit to the hard one, and the hard one too when `wanted` needs it and the
// process may. What children inherit is the raised one.
descriptor_limit raise_descriptor_limit(std::uint64_t wanted);

// How many outgoing connections to one address the kernel has port numbers for.
std::uint64_t ephemeral_ports();

// Which limit stands in the way of one more thread or process, in words; called right after the
// kernel refused one with EAGAIN or ENOMEM. `held` is how many this process has just made.
std::string describe_task_limit(std::uint64_t held);

// A number in a small file of /proc or /sys, such as /proc/sys/kernel/threads-max.
std::optional<std::uint64_t> read_number(const std::string& path);
// A line "Key:  123 kB" of such a file, in bytes; 0 when there is none.
std::uint64_t read_kilobytes(const std::string& path, const std::string& key);

}  // namespace plait::cli
