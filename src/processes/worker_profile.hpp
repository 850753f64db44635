// What every worker of a pool is told before its first call: part of the pool's greeting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plait/processes/codec.hpp"
#include "plait/processes/sandbox.hpp"
#include "plait/processes/worker_limits.hpp"

namespace plait::detail {

struct worker_profile {
  std::uint64_t initializer = 0;  // token of a void (*)(), or 0
  worker_limits limits;
  std::string control_groups;    // the pool's folder; empty: none
  bool measures_memory = false;  // for max_rss_per_child
  std::optional<plait::sandbox> sandbox;
};

inline void encode_profile(encoder& to, const worker_profile& profile) {
  to.write_plain(profile.initializer);
  codec<worker_limits>::encode(to, profile.limits);
  codec<std::string>::encode(to, profile.control_groups);
  to.write_plain(profile.measures_memory);
  to.write_plain(profile.sandbox.has_value());
  if (!profile.sandbox) return;
  codec<std::vector<std::string>>::encode(to, profile.sandbox->readable);
  codec<std::vector<std::string>>::encode(to, profile.sandbox->writable);
  to.write_plain(profile.sandbox->network);
  to.write_plain(profile.sandbox->if_unsupported);
}

inline worker_profile decode_profile(decoder& from) {
  worker_profile profile;
  profile.initializer = from.read_plain<std::uint64_t>();
  profile.limits = codec<worker_limits>::decode(from);
  profile.control_groups = codec<std::string>::decode(from);
  profile.measures_memory = codec<bool>::decode(from);
  if (!codec<bool>::decode(from)) return profile;
  auto& walls = profile.sandbox.emplace();
  walls.readable = codec<std::vector<std::string>>::decode(from);
  walls.writable = codec<std::vector<std::string>>::decode(from);
  walls.network = from.read_plain<sandbox::reach>();
  walls.if_unsupported = from.read_plain<sandbox::fallback>();
  return profile;
}

}  // namespace plait::detail
