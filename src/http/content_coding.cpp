#include "http/content_coding.hpp"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <new>

#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"

namespace plait::http {
namespace {

constexpr std::size_t piece = 16 * 1024;

[[noreturn]] void refuse(std::string_view coding, std::string_view why) {
  throw protocol_error("the body says that it is compressed with " + std::string(coding) +
                       ", and " + std::string(why));
}

// gzip (RFC 1952), and deflate, which some servers send with zlib's header (RFC 9110, 8.4.1.2) and some
// without.
class zlib_decoder final : public content_decoder {
 public:
  enum class kind { gzip, deflate };
  explicit zlib_decoder(kind k) noexcept : kind_(k) {}
  ~zlib_decoder() override {
    if (begun_) inflateEnd(&stream_);
  }
  bool decode(std::string_view& bytes, std::string& to, std::size_t room) override {
    if (!begun_) {
      if (bytes.empty()) return false;
      begin(static_cast<unsigned char>(bytes.front()));
    }
    std::array<char, piece> out;
    while (room != 0) {
      if (ended_ && !begin_next_member(bytes)) return false;
      const auto given = static_cast<uInt>(std::min<std::size_t>(bytes.size(), UINT_MAX));
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = given;
      const auto size = static_cast<uInt>(std::min(room, out.size()));
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = size;
      const int how = inflate(&stream_, Z_NO_FLUSH);
      if (how == Z_MEM_ERROR) throw std::bad_alloc();
      if (how != Z_OK && how != Z_STREAM_END && how != Z_BUF_ERROR)
        refuse(name(), stream_.msg != nullptr ? stream_.msg : "is not");
      bytes.remove_prefix(given - stream_.avail_in);
      to.append(out.data(), size - stream_.avail_out);
      room -= size - stream_.avail_out;
      ended_ = how == Z_STREAM_END;
      if (!ended_ && stream_.avail_out != 0) return false;  // it wants more bytes
    }
    return true;
  }
  void finish() override {
    if (begun_ && !ended_) refuse(name(), "ends in the middle");
  }

 private:
  void begin(unsigned char first) {
    constexpr unsigned char method_mask = 0x0f, deflated = 8;  // in zlib's header
    const bool has_header = (first & method_mask) == deflated;
    const int window = kind_ == kind::gzip ? MAX_WBITS + 16 : has_header ? MAX_WBITS : -MAX_WBITS;
    const int how = inflateInit2(&stream_, window);
    if (how == Z_MEM_ERROR) throw std::bad_alloc();
    if (how != Z_OK) refuse(name(), "zlib cannot begin");
    begun_ = true;
  }
  // gzip files may follow one another; anything else behind the end means nothing.
  bool begin_next_member(std::string_view& bytes) {
    constexpr char magic = 0x1f;
    if (kind_ != kind::gzip || bytes.empty() || bytes.front() != magic) {
      bytes = {};
      return false;
    }
    if (inflateReset(&stream_) != Z_OK) refuse(name(), "its next member cannot begin");
    ended_ = false;
    return true;
  }
  std::string_view name() const noexcept { return kind_ == kind::gzip ? "gzip" : "deflate"; }

  const kind kind_;
  z_stream stream_{};
  bool begun_ = false, ended_ = false;
};

class brotli_decoder final : public content_decoder {
 public:
  brotli_decoder() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) throw std::bad_alloc();
  }
  ~brotli_decoder() override { BrotliDecoderDestroyInstance(state_); }
  bool decode(std::string_view& bytes, std::string& to, std::size_t room) override {
    heard_ |= !bytes.empty();
    std::array<char, piece> out;
    while (room != 0) {
      if (BrotliDecoderIsFinished(state_) != 0) {
        bytes = {};
        return false;
      }
      const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
      std::size_t left = bytes.size();
      const std::size_t size = std::min(room, out.size());
      auto* at = reinterpret_cast<std::uint8_t*>(out.data());
      std::size_t free = size;
      const auto how = BrotliDecoderDecompressStream(state_, &left, &in, &free, &at, nullptr);
      if (how == BROTLI_DECODER_RESULT_ERROR)
        refuse("br", BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state_)));
      bytes.remove_prefix(bytes.size() - left);
      to.append(out.data(), size - free);
      room -= size - free;
      if (how == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) return false;
    }
    return true;
  }
  void finish() override {
    if (heard_ && BrotliDecoderIsFinished(state_) == 0) refuse("br", "ends in the middle");
  }

 private:
  BrotliDecoderState* state_;
  bool heard_ = false;
};

class zstd_decoder final : public content_decoder {
 public:
  zstd_decoder() : state_(ZSTD_createDStream()) {
    if (state_ == nullptr) throw std::bad_alloc();
    constexpr int largest_window = 23;  // 8 MiB: RFC 9659
    ZSTD_DCtx_setParameter(state_, ZSTD_d_windowLogMax, largest_window);
  }
  ~zstd_decoder() override { ZSTD_freeDStream(state_); }
  bool decode(std::string_view& bytes, std::string& to, std::size_t room) override {
    std::array<char, piece> buffer;
    while (room != 0) {
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      ZSTD_outBuffer out{buffer.data(), std::min(room, buffer.size()), 0};
      const std::size_t how = ZSTD_decompressStream(state_, &out, &in);
      if (ZSTD_isError(how) != 0) refuse("zstd", ZSTD_getErrorName(how));
      bytes.remove_prefix(in.pos);
      to.append(buffer.data(), out.pos);
      room -= out.pos;
      missing_ = how;
      if (bytes.empty() && out.pos != out.size) return false;
    }
    return true;
  }
  void finish() override {
    if (missing_ != 0) refuse("zstd", "ends in the middle");
  }

 private:
  ZSTD_DStream* state_;
  std::size_t missing_ = 0;  // 0: at the end of a frame
};

// Two codings, one applied after the other: the last is the first to be undone.
class nested_decoder final : public content_decoder {
 public:
  nested_decoder(std::unique_ptr<content_decoder> first, std::unique_ptr<content_decoder> last)
      : first_(std::move(first)), last_(std::move(last)) {}
  bool decode(std::string_view& bytes, std::string& to, std::size_t room) override {
    const std::size_t until = to.size() + room;
    for (;;) {
      std::string_view rest = std::string_view(between_).substr(used_);
      const bool is_full = first_->decode(rest, to, until - to.size());
      used_ = between_.size() - rest.size();
      if (is_full || to.size() == until) return true;
      if (bytes.empty() && !last_has_more_) return false;
      between_.clear();
      used_ = 0;
      last_has_more_ = last_->decode(bytes, between_, piece);
    }
  }
  void finish() override {
    last_->finish();
    first_->finish();
  }

 private:
  std::unique_ptr<content_decoder> first_, last_;
  std::string between_;
  std::size_t used_ = 0;
  bool last_has_more_ = false;
};

std::unique_ptr<content_decoder> single(std::string_view coding) {
  if (same_token(coding, "gzip") || same_token(coding, "x-gzip"))
    return std::make_unique<zlib_decoder>(zlib_decoder::kind::gzip);
  if (same_token(coding, "deflate"))
    return std::make_unique<zlib_decoder>(zlib_decoder::kind::deflate);
  if (same_token(coding, "br")) return std::make_unique<brotli_decoder>();
  if (same_token(coding, "zstd")) return std::make_unique<zstd_decoder>();
  return nullptr;
}

}  // namespace

std::unique_ptr<content_decoder> decoder_for(std::string_view content_encoding) {
  constexpr int most_codings = 4;
  std::unique_ptr<content_decoder> all;
  for (int steps = 0; !content_encoding.empty();) {
    auto coding = content_encoding.substr(0, content_encoding.find(','));
    content_encoding.remove_prefix(std::min(coding.size() + 1, content_encoding.size()));
    while (!coding.empty() && (coding.front() == ' ' || coding.front() == '\t'))
      coding.remove_prefix(1);
    while (!coding.empty() && (coding.back() == ' ' || coding.back() == '\t'))
      coding.remove_suffix(1);
    if (coding.empty() || same_token(coding, "identity")) continue;
    auto next = single(coding);
    if (next == nullptr || ++steps > most_codings) return nullptr;
    all = all == nullptr ? std::move(next)
                         : std::make_unique<nested_decoder>(std::move(all), std::move(next));
  }
  return all;
}

}  // namespace plait::http
