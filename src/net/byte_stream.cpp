#include "plait/net/byte_stream.hpp"

#include <cerrno>

#include "net/failures.hpp"

namespace plait::net {

any_stream::interface& any_stream::held() const {
  if (stream_ == nullptr) throw_closed(EBADF, "using it", "this end");
  return *stream_;
}

}  // namespace plait::net
