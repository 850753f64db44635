#include "celery/wire/body.hpp"

#include <zlib.h>

#include <algorithm>
#include <stdexcept>

#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

using reason = decode_error::reason;

constexpr const char* zlib_name = "application/x-gzip";

// Ends inflating, however that goes.
struct inflating {
  z_stream stream{};
  // 47: zlib's or gzip's frame, whichever is there.
  inflating() {
    if (inflateInit2(&stream, 47) != Z_OK) throw std::bad_alloc();
  }
  inflating(const inflating&) = delete;
  inflating& operator=(const inflating&) = delete;
  ~inflating() { inflateEnd(&stream); }
};

std::string inflated(const std::string& packed, std::size_t limit,
                     const std::optional<std::string>& task_id) {
  inflating source;
  source.stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib does not write there
  source.stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  for (;;) {
    const std::size_t done = text.size();
    if (done >= limit)
      throw decode_error(reason::too_large,
                         "message: the body is compressed, and longer than the limit", task_id);
    text.resize(std::min(limit, std::max<std::size_t>(2 * done, 4096)));
    source.stream.next_out = reinterpret_cast<Bytef*>(text.data() + done);
    source.stream.avail_out = static_cast<uInt>(text.size() - done);
    const int said = inflate(&source.stream, Z_NO_FLUSH);
    text.resize(text.size() - source.stream.avail_out);
    if (said == Z_STREAM_END) return text;
    if (said != Z_OK || (text.size() == done && source.stream.avail_in == 0))
      throw decode_error(reason::bad_body, "message: the body is no whole zlib stream", task_id);
  }
}

}  // namespace

packing compression_of(const envelope& from, const std::optional<std::string>& task_id) {
  const value* const header = from.headers.find("compression");
  if (header == nullptr || header->is_null()) return packing::none;
  if (*header == zlib_name) return packing::zlib;
  throw decode_error(reason::bad_body,
                     "message: the body is compressed with " + repr(*header, 60) +
                         "; only zlib is understood: set task_compression='zlib' at the sender",
                     task_id);
}

value decode_body(const envelope& from, packing p, const std::optional<std::string>& task_id,
                  const json_limits& limits) {
  if (from.content_type != "application/json")
    throw decode_error(reason::refused,
                       "message: content type " + repr(from.content_type, 60) +
                           " is not accepted: set task_serializer='json' (and "
                           "result_serializer='json') at the sender",
                       task_id);
  try {
    if (p == packing::none) return parse_json(from.body, limits);
    return parse_json(inflated(from.body, limits.bytes, task_id), limits);
  } catch (const decode_error& e) {
    const bool of_json = e.why() == reason::not_json;
    throw decode_error(of_json ? reason::bad_body : e.why(),
                       of_json ? std::string("message: in the body: ") + e.what() : e.what(),
                       task_id);
  }
}

void compress_body(envelope& e) {
  uLongf length = compressBound(e.body.size());
  std::string packed(length, '\0');
  if (compress(reinterpret_cast<Bytef*>(packed.data()), &length,
               reinterpret_cast<const Bytef*>(e.body.data()), e.body.size()) != Z_OK)
    throw std::bad_alloc();
  packed.resize(length);
  e.body = std::move(packed);
  e.headers.set("compression", zlib_name);
}

}  // namespace plait::celery::detail
