// TLS keeps the promises of a byte_stream, whatever it runs over.
#include "stream_conformance.hpp"
#include "tls_kinds.hpp"

using kinds = ::testing::Types<tls_over_kind<tcp_kind>, tls_over_kind<memory_kind>,
                               tls_over_kind<rude_memory_kind>, tls_over_kind<any_kind>>;

struct tls_names {
  template <class Kind>
  static std::string GetName(int i) {
    const char* const names[] = {"tls_over_tcp", "tls_over_memory", "tls_over_rude_memory",
                                 "tls_over_any_unix"};
    return names[i];
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Tls, StreamConformance, kinds, tls_names);
