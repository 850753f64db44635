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
  to.write_plain(hello.start);
}

inline greeting decode_greeting(decoder& from) {
  greeting hello{};
  hello.nonce = from.read_plain<std::uint64_t>();
  hello.profile = decode_profile(from);
  hello.depth = from.read_plain<std::uint32_t>();
  hello.start = from.read_plain<start_method>();
  return hello;
}

}  // namespace plait::detail
