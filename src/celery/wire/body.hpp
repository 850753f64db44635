// celery/wire/body.hpp: what undoes the compression and the serialization of a message's body.
#pragma once

#include <optional>
#include <string>

#include "celery/wire/envelope.hpp"

namespace plait::celery::detail {

// The header `compression`: nothing, or "application/x-gzip", by which kombu means a zlib stream.
// Throws decode_error for any other.
enum class packing : bool { none, zlib };
packing compression_of(const envelope& from, const std::optional<std::string>& task_id);

// By the content type. Throws decode_error.
value decode_body(const envelope& from, packing p, const std::optional<std::string>& task_id,
                  const json_limits& limits);

// Compresses the body and says so in the headers.
void compress_body(envelope& e);

}  // namespace plait::celery::detail
