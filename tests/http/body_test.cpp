// Bodies: compressed ones, ones that are streamed in either direction, forms with files.
#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "servers.hpp"

namespace {

using namespace std::chrono_literals;
namespace http = plait::http;

enum class zlib_format { gzip = MAX_WBITS + 16, zlib = MAX_WBITS, raw = -MAX_WBITS };
std::string deflated(const std::string& text, zlib_format format) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, static_cast<int>(format), 8,
               Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}
std::string gzipped(const std::string& text) { return deflated(text, zlib_format::gzip); }
std::string brotlied(const std::string& text) {
  std::size_t size = BrotliEncoderMaxCompressedSize(text.size()) + 64;
  std::string result(size, '\0');
  BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, text.size(),
                        reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                        reinterpret_cast<std::uint8_t*>(result.data()));
  result.resize(size);
  return result;
}
std::string zstded(const std::string& text) {
  std::string result(ZSTD_compressBound(text.size()), '\0');
  result.resize(ZSTD_compress(result.data(), result.size(), text.data(), text.size(), 3));
  return result;
}

std::string answer(const std::string& coding, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Encoding: " + coding +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// What one GET gives: the content, or "TYPE: text" of what was thrown.
std::string fetched(std::string bytes, http::client_options options = {}) {
  std::string result;
  plait::run(with_rude_server(answering(std::move(bytes)), [&](std::string url) -> plait::task<> {
    http::client_session session(options);
    try {
      const auto response = co_await session.get(url);
      result = response.content;
    } catch (const http::protocol_error& error) {
      result = std::string("protocol_error: ") + error.what();
    }
  }));
  return result;
}

// Compresses to little, and is no repetition of one byte.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text.append(std::to_string(i % 977)).append(" words\n");
  return text;
}

TEST(Compression, IsUndone) {
  const std::string text = long_text();
  EXPECT_EQ(fetched(answer("gzip", gzipped(text))), text);
  EXPECT_EQ(fetched(answer("x-gzip", gzipped(text))), text);
  EXPECT_EQ(fetched(answer("deflate", deflated(text, zlib_format::zlib))), text);
  EXPECT_EQ(fetched(answer("deflate", deflated(text, zlib_format::raw))), text);
  EXPECT_EQ(fetched(answer("br", brotlied(text))), text);
  EXPECT_EQ(fetched(answer("zstd", zstded(text))), text);
  EXPECT_EQ(fetched(answer("identity", "as it is")), "as it is");
}

TEST(Compression, SeveralInARowAreUndoneInTheirOrder) {
  const std::string text = long_text();
  EXPECT_EQ(fetched(answer("gzip, br", brotlied(gzipped(text)))), text);
  EXPECT_EQ(fetched(answer("br,  zstd ,gzip", gzipped(zstded(brotlied(text))))), text);
}

TEST(Compression, MembersOfGzipMayFollowOneAnotherAndRubbishIsNotRead) {
  EXPECT_EQ(fetched(answer("gzip", gzipped("one ") + gzipped("two"))), "one two");
  EXPECT_EQ(fetched(answer("gzip", gzipped("one") + std::string(100, '\0'))), "one");
}

TEST(Compression, AnEmptyBodyIsEmpty) {
  for (const char* coding : {"gzip", "deflate", "br", "zstd"})
    EXPECT_EQ(fetched(answer(coding, "")), "") << coding;
}

TEST(Compression, WhatNobodyAskedForStaysAsItCame) {
  EXPECT_EQ(fetched(answer("compress", "abc")), "abc");
  EXPECT_EQ(fetched(answer("gzip", "not looked at"), {.compression = http::compression::refuse}),
            "not looked at");
}

TEST(Compression, ALieAboutItIsAnError) {
  for (const char* coding : {"gzip", "br", "zstd"}) {
    const auto text = fetched(answer(coding, "this is plain text, and some more of it"));
    EXPECT_TRUE(text.starts_with("protocol_error: ")) << coding << ": " << text;
  }
}

TEST(Compression, AnEndThatIsMissingIsAnError) {
  const std::string text = long_text();
  for (const auto& [coding, whole] : {std::pair<const char*, std::string>{"gzip", gzipped(text)},
                                      {"br", brotlied(text)},
                                      {"zstd", zstded(text)},
                                      {"deflate", deflated(text, zlib_format::zlib)}}) {
    const auto cut = fetched(answer(coding, whole.substr(0, whole.size() / 2)));
    EXPECT_TRUE(cut.starts_with("protocol_error: ")) << coding << ": " << cut.substr(0, 80);
    EXPECT_NE(cut.find("ends in the middle"), std::string::npos) << cut.substr(0, 200);
  }
}

// 100 MB of zeros in 100 KB and less: what was undone so far counts, and nothing more is.
TEST(Compression, ABombIsDefused) {
  const std::string zeros(100 << 20, '\0');
  for (const auto& [coding, bomb] : {std::pair<const char*, std::string>{"gzip", gzipped(zeros)},
                                     {"br", brotlied(zeros)},
                                     {"zstd", zstded(zeros)},
                                     {"gzip, gzip", gzipped(gzipped(zeros))}}) {
    const auto text = fetched(answer(coding, bomb), {.max_body_bytes = 1 << 20});
    EXPECT_TRUE(text.starts_with("protocol_error: ")) << coding;
    EXPECT_NE(text.find("max_body_bytes"), std::string::npos) << text.substr(0, 200);
  }
}

TEST(Download, ComesInPiecesAndFreesTheConnection) {
  const std::string text = long_text();
  run_with_server(
      [&](http::request) -> plait::task<http::response> {
        co_return http::response{.content = text};
      },
      [&](std::string url) -> plait::task<> {
        http::client_session session;
        auto download = co_await session.stream("GET", url);
        EXPECT_EQ(download.status_code(), 200);
        EXPECT_EQ(download.content_length(), text.size());
        EXPECT_EQ(download.url(), url + "/");
        std::string all;
        int pieces = 0;
        for (;;) {
          const std::string piece = co_await download.read_some();
          if (piece.empty()) break;
          EXPECT_LE(piece.size(), 128u * 1024);
          all += piece;
          ++pieces;
        }
        EXPECT_EQ(all, text);
        EXPECT_GT(pieces, 3);
        EXPECT_EQ(session.idle_connections(), 1u) << "also while the stream is there";
        const std::string more = co_await download.read_some();
        EXPECT_EQ(more, "") << "the end stays the end";
        auto again = co_await session.stream("GET", url);
        const std::string whole = co_await again.read_all();
        EXPECT_EQ(whole, text);
        auto limited = co_await session.stream("GET", url);
        bool refused = false;
        try {
          co_await limited.read_all(1000);
        } catch (const http::protocol_error&) {
          refused = true;
        }
        EXPECT_TRUE(refused);
      });
}

TEST(Download, ThatIsLeftClosesItsConnection) {
  run_with_server(
      [](http::request) -> plait::task<http::response> {
        co_return http::response{.content = std::string(4 << 20, 'x')};
      },
      [](std::string url) -> plait::task<> {
        http::client_session session;
        {
          auto download = co_await session.stream("GET", url);
          const std::string first = co_await download.read_some();
          EXPECT_FALSE(first.empty());
        }
        EXPECT_EQ(session.idle_connections(), 0u);
      });
}

// 64 MB of zeros in a few bytes: pieces stay pieces.
TEST(Download, ABombComesInPiecesToo) {
  const std::string bomb = brotlied(std::string(64 << 20, '\0'));
  plait::run(with_rude_server(answering(answer("br", bomb)), [&](std::string url) -> plait::task<> {
    http::client_session session;
    auto download = co_await session.stream("GET", url);
    std::size_t all = 0, largest = 0;
    for (;;) {
      const std::string piece = co_await download.read_some();
      if (piece.empty()) break;
      all += piece.size();
      largest = std::max(largest, piece.size());
    }
    EXPECT_EQ(all, std::size_t{64} << 20);
    EXPECT_LE(largest, 128u * 1024);
  }));
}

// It could take back what the header said (RFC 9110, 6.5.1).
TEST(Download, ATrailerCountsForNothing) {
  const std::string chunks =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n";
  plait::run(with_rude_server(answering(chunks), [](std::string url) -> plait::task<> {
    http::client_session session;
    auto download = co_await session.stream("GET", url);
    const std::string all = co_await download.read_all();
    EXPECT_EQ(all, "hello");
    EXPECT_FALSE(download.headers().contains("X-Sum"));
  }));
}

TEST(Download, ThatBreaksOffSaysSo) {
  plait::run(with_rude_server(answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
                              [](std::string url) -> plait::task<> {
                                http::client_session session;
                                auto download = co_await session.stream("GET", url);
                                const std::string first = co_await download.read_some();
                                EXPECT_EQ(first, "short");
                                bool lost = false;
                                try {
                                  co_await download.read_some();
                                } catch (const http::connection_lost&) {
                                  lost = true;
                                }
                                EXPECT_TRUE(lost);
                              }));
}

// What the server saw of a request's body, and how it came.
plait::task<http::response> echo(http::request asked) {
  co_return http::response{.headers = {{"Length", asked.headers.get("Content-Length")},
                                       {"Coding", asked.headers.get("Transfer-Encoding")},
                                       {"Type", asked.headers.get("Content-Type")}},
                           .content = std::move(asked.content)};
}

class counted final : public http::body_source {
 public:
  counted(int pieces, bool says_size) : pieces_(pieces), says_size_(says_size) {}
  plait::task<bool> rewind() override {
    at_ = 0;
    co_return rewinds_++ == 0 || pieces_ % 2 == 0;
  }
  std::optional<std::uint64_t> size() const override {
    return says_size_ ? std::optional<std::uint64_t>(pieces_ * 10) : std::nullopt;
  }
  plait::task<std::string_view> next() override {
    co_return at_++ < pieces_ ? std::string_view("0123456789") : std::string_view();
  }

 private:
  const int pieces_;
  const bool says_size_;
  int at_ = 0, rewinds_ = 0;
};

TEST(Upload, KnownSizesAreSaidAndUnknownOnesComeInChunks) {
  run_with_server(echo, [](std::string url) -> plait::task<> {
    http::client_session session;
    auto known = std::make_shared<counted>(1000, true);
    const auto first = co_await session.put(url, http::request_options().with_body(known));
    EXPECT_EQ(first.content.size(), 10'000u);
    EXPECT_EQ(first.headers.get("Length"), "10000");
    auto unknown = std::make_shared<counted>(1000, false);
    const auto second = co_await session.put(url, http::request_options().with_body(unknown));
    EXPECT_EQ(second.content, first.content);
    EXPECT_EQ(second.headers.get("Coding"), "chunked");
    EXPECT_EQ(session.idle_connections(), 1u);
  });
}

TEST(Upload, ASourceThatLiesAboutItsSizeIsAnError) {
  class liar final : public http::body_source {
   public:
    explicit liar(std::uint64_t size) : size_(size) {}
    plait::task<bool> rewind() override { co_return true; }
    std::optional<std::uint64_t> size() const override { return size_; }
    plait::task<std::string_view> next() override {
      co_return std::exchange(given_, true) ? std::string_view() : std::string_view("12345");
    }

   private:
    std::uint64_t size_;
    bool given_ = false;
  };
  run_with_server(echo, [](std::string url) -> plait::task<> {
    http::client_session session;
    for (const std::uint64_t size : {4, 6}) {
      auto source = std::make_shared<liar>(size);
      std::string text;
      try {
        co_await session.put(url, http::request_options().with_body(source));
      } catch (const http::error& error) {
        text = error.what();
      }
      EXPECT_NE(text.find(size == 4 ? "has more bytes" : "has fewer bytes"), std::string::npos)
          << text;
    }
  });
}

TEST(Upload, IsSentOnceMoreAfterARedirectIfItCanBe) {
  const auto away = [](http::request asked) -> plait::task<http::response> {
    if (asked.target == "/")
      co_return http::response{.status_code = 307, .headers = {{"Location", "/there"}}};
    co_return http::response{.content = asked.content};
  };
  run_with_server(away, [](std::string url) -> plait::task<> {
    http::client_session session;
    auto twice = std::make_shared<counted>(2, true);
    const auto moved = co_await session.put(url, http::request_options().with_body(twice));
    EXPECT_EQ(moved.content, "01234567890123456789");
    auto once = std::make_shared<counted>(3, true);
    std::string text;
    try {
      co_await session.put(url, http::request_options().with_body(once));
    } catch (const http::error& error) {
      text = error.what();
    }
    EXPECT_NE(text.find("cannot be"), std::string::npos) << text;
  });
}

class written_file {
 public:
  explicit written_file(const std::string& contents) {
    char name[] = "/tmp/plait \"x\" XXXXXX.bin";
    std::FILE* file = fdopen(mkstemps(name, 4), "wb");
    path_ = name;
    std::fwrite(contents.data(), 1, contents.size(), file);
    std::fclose(file);
  }
  ~written_file() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Upload, AFileIsReadWhileItIsSent) {
  const std::string text = long_text();
  const written_file file(text);
  run_with_server(echo, [&](std::string url) -> plait::task<> {
    http::client_session session;
    const auto sent =
        co_await session.put(url, http::request_options().with_body(http::file_body(file.path())));
    EXPECT_EQ(sent.content, text);
    EXPECT_EQ(sent.headers.get("Length"), std::to_string(text.size()));
    bool missing = false;
    try {
      co_await session.put(url, http::request_options().with_body(http::file_body("/no/such")));
    } catch (const plait::net::file_error& error) {
      missing = error.path() == "/no/such";
    }
    EXPECT_TRUE(missing);
  });
}

TEST(Upload, AFormWithFilesIsAsBrowsersSendIt) {
  const written_file file("file's bytes");
  run_with_server(echo, [&](std::string url) -> plait::task<> {
    http::client_session session;
    auto form = http::multipart()
                    .add_field("plain", "value")
                    .add_content("made", "a\"b\r\n.txt", "content", "text/plain")
                    .add_file("real", file.path());
    const std::string type = form.content_type();
    const std::string boundary = type.substr(type.find('=') + 1);
    const auto sent =
        co_await session.post(url, http::request_options().with_multipart(std::move(form)));
    EXPECT_EQ(sent.headers.get("Type"), type);
    std::string name = file.path().substr(file.path().rfind('/') + 1);
    for (auto quote = name.find('"'); quote != std::string::npos; quote = name.find('"'))
      name.replace(quote, 1, "%22");
    const std::string expected =
        "--" + boundary + "\r\nContent-Disposition: form-data; name=\"plain\"\r\n\r\nvalue\r\n--" +
        boundary +
        "\r\nContent-Disposition: form-data; name=\"made\"; filename=\"a%22b%0D%0A.txt\"\r\n"
        "Content-Type: text/plain\r\n\r\ncontent\r\n--" +
        boundary + "\r\nContent-Disposition: form-data; name=\"real\"; filename=\"" + name +
        "\"\r\nContent-Type: application/octet-stream\r\n\r\nfile's bytes\r\n--" + boundary +
        "--\r\n";
    EXPECT_EQ(sent.content, expected);
    EXPECT_EQ(sent.headers.get("Length"), std::to_string(expected.size()));
  });
}

}  // namespace
