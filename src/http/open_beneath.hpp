// src/http/open_beneath.hpp: a file within a folder, and nowhere else.
#pragma once

#include <string>

#include "net/owned_descriptor.hpp"

namespace plait::http {

enum class resolution {
  cached,   // only by what the kernel has in memory: EAGAIN if that is not enough
  full,     // may wait for a disk
  by_hand,  // without openat2: follows no symbolic link
};

// Opens `path` ("a/b", "." for the folder itself) for reading, without waiting for FIFOs. On failure
// the descriptor is empty and errno says why; EXDEV, ELOOP: it would have led out.
net::owned_descriptor open_beneath(int folder, const std::string& path, resolution how);

}  // namespace plait::http
