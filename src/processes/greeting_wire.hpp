// The pool's first packet to its zygote, in bytes.
#pragma once

#include "plait/processes/codec.hpp"
#include "processes/zygote.hpp"

namespace plait::detail {

inline constexpr std::size_t max_greeting = 128 * 1024;

inline void encode_greeting(encoder& to, const greeting& hello) {
  to.write_plain(hello.nonce);
  encode_profile(to, hello.profile);
  to.write_plain(hello.depth);
  to.write_size(hello.modules.size());
  for (const auto& m : hello.modules) {
    codec<std::string>::encode(to, m.path);
    codec<std::string>::encode(to, m.build_id);
  }
}

inline greeting decode_greeting(decoder& from) {
  greeting hello{};
  hello.nonce = from.read_plain<std::uint64_t>();
  hello.profile = decode_profile(from);
  hello.depth = from.read_plain<std::uint32_t>();
  const std::size_t n = from.read_size(16);
  for (std::size_t i = 0; i < n; ++i) {
    auto path = codec<std::string>::decode(from);
    hello.modules.push_back({std::move(path), codec<std::string>::decode(from)});
  }
  return hello;
}

}  // namespace plait::detail
