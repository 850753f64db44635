// The streams of plait::net and of plait::testing keep the promises of a byte_stream.
#include "stream_conformance.hpp"

using kinds =
    ::testing::Types<tcp_kind, unix_kind, unix_pair_kind, memory_kind, rude_memory_kind, any_kind>;
INSTANTIATE_TYPED_TEST_SUITE_P(Net, StreamConformance, kinds, kind_names);
