// What every worker of a pool is told before its first call: part of the pool's greeting.
#pragma once

#include <cstdint>

#include "plait/processes/codec.hpp"

namespace plait::detail {

struct worker_profile {
  std::uint64_t initializer = 0;  // token of a void (*)(), or 0
};

inline void encode_profile(encoder& to, const worker_profile& profile) {
  to.write_plain(profile.initializer);
}

inline worker_profile decode_profile(decoder& from) {
  worker_profile profile;
  profile.initializer = from.read_plain<std::uint64_t>();
  return profile;
}

}  // namespace plait::detail
