// What a Redis server, or somebody in its place, may answer. hiredis reads the same beside us.
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>

#include "celery/redis/connection_options.hpp"
#include "celery/redis/resp.hpp"
#include "fuzz/fuzzing.hpp"

namespace {

using namespace plait::celery::redis;
using plait::testing::fuzz;

struct reading {
  std::vector<value> values;
  bool refused = false;
};

// Handed over in pieces of `piece` bytes.
reading read_in_pieces(std::string_view bytes, std::size_t piece) {
  reading result;
  reader r({.reply_bytes = 1 << 20, .depth = 7, .line_bytes = 300});
  try {
    while (!bytes.empty()) {
      std::string_view part = bytes.substr(0, piece);
      bytes.remove_prefix(part.size());
      while (auto v = r.next(part)) result.values.push_back(std::move(*v));
      EXPECT_TRUE(part.empty());
    }
  } catch (const protocol_error&) {
    result.refused = true;
  }
  return result;
}

// Whether hiredis, which knows RESP2 alone, has read the same.
bool is_same(const value& ours, const redisReply& theirs) {
  switch (theirs.type) {
    case REDIS_REPLY_NIL:
      return ours.kind == kind::null;
    case REDIS_REPLY_INTEGER:
      return ours.kind == kind::integer && ours.integer == theirs.integer;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return ours.kind == kind::text && ours.text == std::string_view(theirs.str, theirs.len);
    case REDIS_REPLY_ERROR:
      return ours.kind == kind::error && ours.text == std::string_view(theirs.str, theirs.len);
    default:
      if (ours.kind != kind::array || ours.items.size() != theirs.elements) return false;
      for (std::size_t i = 0; i < theirs.elements; ++i)
        if (!is_same(ours.items[i], *theirs.element[i])) return false;
      return true;
  }
}

const std::vector<std::string> replies = {
    "+OK\r\n-ERR no\r\n:42\r\n$5\r\nhello\r\n$-1\r\n",
    "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
    "*2\r\n*2\r\n:1\r\n:-2\r\n*1\r\n*0\r\n",
    "%2\r\n+server\r\n$5\r\nredis\r\n+proto\r\n:3\r\n",
    ">2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\ncelery\r\n",
    "|1\r\n+ttl\r\n:3600\r\n~2\r\n#t\r\n,3.25e-2\r\n",
    "=7\r\ntxt:abc\r\n(3492890328409238509324850943850943825024385\r\n!6\r\nERR no\r\n_\r\n",
};
const std::vector<std::string> words = {"\r\n",
                                        "\r",
                                        "\n",
                                        "$",
                                        "*",
                                        "*-1\r\n",
                                        "$-1\r\n",
                                        "$0\r\n\r\n",
                                        ":9223372036854775807\r\n",
                                        ":-9223372036854775808\r\n",
                                        "99999999999999999999",
                                        "*1\r\n",
                                        "%1\r\n",
                                        "|1\r\n",
                                        ">1\r\n",
                                        ",inf\r\n",
                                        ",nan\r\n",
                                        "#f\r\n",
                                        "$?\r\n",
                                        "+",
                                        "-",
                                        "*1000000\r\n"};

TEST(Fuzz, RepliesAreTheSameInWhateverPiecesTheyCome) {
  fuzz({.seeds = replies, .words = words}, [](std::string_view bytes) {
    const reading whole = read_in_pieces(bytes, bytes.size() + 1);
    for (const std::size_t piece : {1u, 3u, 17u}) {
      const reading pieces = read_in_pieces(bytes, piece);
      EXPECT_EQ(pieces.refused, whole.refused);
      EXPECT_EQ(pieces.values.size(), whole.values.size());
    }
  });
}

TEST(Fuzz, RepliesAreWhatHiredisReads) {
  int compared = 0;
  fuzz({.seeds = {replies[0], replies[1], replies[2]}, .words = words},
       [&](std::string_view bytes) {
         const reading ours = read_in_pieces(bytes, bytes.size() + 1);
         const std::unique_ptr<redisReader, void (*)(redisReader*)> theirs(redisReaderCreate(),
                                                                           redisReaderFree);
         redisReaderFeed(theirs.get(), bytes.data(), bytes.size());
         for (const value& each : ours.values) {
           void* reply = nullptr;
           // It reads fewer types than we do; what it reads is to be the same.
           if (redisReaderGetReply(theirs.get(), &reply) != REDIS_OK || reply == nullptr) return;
           const std::unique_ptr<void, void (*)(void*)> held(reply, freeReplyObject);
           EXPECT_TRUE(is_same(each, *static_cast<redisReply*>(reply)));
           ++compared;
         }
       });
  EXPECT_GT(compared, 1000);
}

TEST(Fuzz, ARedisUrlThatIsTakenApartIsTheSameWhenItIsPutTogether) {
  fuzz({.seeds = {"redis://user:p%40ss@host:6380/3", "redis://[::1]:7000/0",
                  "redis+socket:///a/b?virtual_host=2", "redis://:pw@h?db=5"},
        .words = {"://", "@", ":", "/", "?", "[", "]", "db=", "&", "%", "65536", "rediss"}},
       [](std::string_view url) {
         if (url.starts_with("rediss://")) return;  // reads files
         try {
           const connection_options first = parse_url(url);
           EXPECT_GE(first.database, 0);
           if (first.host.find_first_of(":/?@%[]") != std::string::npos ||
               first.socket.find_first_of("?@%&") != std::string::npos)
             return;  // only written by hand, and not to be read back
           EXPECT_EQ(to_text(parse_url(to_text(first))), to_text(first));
         } catch (const invalid_url&) {
         }
       });
}

}  // namespace
