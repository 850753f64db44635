// plait/processes/sandbox.hpp: what the calls of a pool cannot do, for input that nobody vouches for.
//
//   plait::process_pool_executor pool({.sandbox = plait::sandbox{}});  // computes, and nothing else
//   plait::process_pool_executor pool({.sandbox = plait::sandbox{.readable = {"/usr/share/zoneinfo"}}});
//
// A worker of such a pool computes, allocates, starts threads, takes its calls and answers them. The
// kernel refuses it everything else: to open what is not listed, to make a process or run a program,
// to open a socket, to signal, trace or look into any other process, to gain a privilege. What is
// refused fails with EPERM or EACCES, so that a library sees an error instead of dying.
//
// When:   behind the pool's initializer and before the first call, for good. The initializer is
//         trusted: it opens files and loads models, and what it leaves open the calls may use. It
//         must not leave threads behind.
// Output: what a sandboxed worker writes to standard output goes to standard error.
// Memory: not limited by this, but by process_pool_options::limits.
// Throws: the pool's constructor: sandbox_unavailable where the kernel lacks a part of it,
//         std::system_error for a path that cannot be opened.
// Cost:   little for short calls. Arguments above 32 KiB lie in fresh memory each time, which takes
//         several times as long as copying them; results above 32 KiB are copied once more.
// How:    Landlock and a list of allowed system calls (seccomp): docs/processes.md, "Untrusted input".
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace plait {

struct sandbox {
  // Files, and folders with all that is below them; {"/"} is a file system to look at. Names below
  // the working directory if they are relative. They must exist when the pool is made.
  std::vector<std::string> readable = {};
  // The same, to read and to write: files and folders may be made and removed in it, but no links,
  // devices or sockets, and no modes or owners changed.
  std::vector<std::string> writable = {};

  enum class reach : unsigned char {
    none,
    internet,  // IPv4 and IPv6, TCP and UDP, this machine included; files of resolvers are extra
  };
  reach network = reach::none;

  // A larger result is a serialization_error instead of memory of the pool's process.
  std::size_t largest_result = std::size_t{1} << 30;

  enum class fallback : unsigned char {
    none,         // the pool's constructor throws
    best_effort,  // walls that the kernel does not have are left out, silently
  };
  fallback if_unsupported = fallback::none;
};

}  // namespace plait
