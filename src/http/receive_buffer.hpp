// src/http/receive_buffer.hpp: where this thread's connections receive, one after another.
//
// Shared, so that ten thousand waiting connections hold no buffers: received bytes are parsed, or
// copied away, before anything else is awaited.
#pragma once

#include <memory>
#include <span>

namespace plait::http {

inline std::span<char> receive_buffer() {
  constexpr std::size_t size = 64 * 1024;
  thread_local const std::unique_ptr<char[]> buffer(new char[size]);
  return {buffer.get(), size};
}

}  // namespace plait::http
