// What a RabbitMQ server, or somebody in its place, may send.
#include <gtest/gtest.h>

#include "celery/amqp/codec.hpp"
#include "celery/amqp/connection_options.hpp"
#include "celery/amqp/message.hpp"
#include "fuzz/fuzzing.hpp"

namespace {

using namespace plait::celery::amqp;
using plait::celery::dict;
using plait::celery::list;
using plait::testing::fuzz;

struct reading {
  std::vector<frame> frames;
  bool refused = false;
};

reading read_in_pieces(std::string_view bytes, std::size_t piece) {
  reading result;
  frame_reader in(4096);
  try {
    while (!bytes.empty()) {
      std::string_view part = bytes.substr(0, piece);
      bytes.remove_prefix(part.size());
      while (auto f = in.next(part)) result.frames.push_back(std::move(*f));
      EXPECT_TRUE(part.empty());
    }
  } catch (const protocol_error&) {
    result.refused = true;
  }
  return result;
}

properties some_properties() {
  properties p;
  p.content_type = "application/json";
  p.headers = dict{{"task", "add"},
                   {"eta", nullptr},
                   {"timelimit", list{nullptr, 1.5, true}},
                   {"stamps", dict{{"n", std::int64_t{1} << 40}}}};
  p.delivery_mode = 2;
  p.correlation_id = "id";
  p.reply_to = "me";
  return p;
}

std::vector<std::string> seeds() {
  std::string session;
  append_method(session, 0, {method_id::connection_close, {320, "CONNECTION_FORCED", 0, 0}});
  append_method(session, 1, {method_id::basic_deliver, {"tag", 1, false, "", "celery"}});
  append_content(session, 1, some_properties(), "[[1, 2], {}, {}]", 4096);
  append_method(session, 2, {method_id::basic_ack, {7, true}});
  append_frame(session, frame_type::heartbeat, 0, {});
  std::string greeting;
  append_method(greeting, 0,
                {method_id::connection_start,
                 {0, 9, dict{{"capabilities", dict{{"basic.nack", true}}}}, "PLAIN", "en_US"}});
  append_method(greeting, 0, {method_id::connection_tune, {2047, 131072, 60}});
  return {session, greeting};
}

TEST(AmqpFuzz, FramesAreReadTheSameInAnyPieces) {
  fuzz({.seeds = seeds(), .words = {"\xce", "AMQP", std::string(4, '\0')}},
       [](std::string_view bytes) {
         const reading whole = read_in_pieces(bytes, bytes.size());
         const reading pieces = read_in_pieces(bytes, 3);
         EXPECT_EQ(whole.refused, pieces.refused);
         ASSERT_EQ(whole.frames.size(), pieces.frames.size());
         for (std::size_t i = 0; i < whole.frames.size(); ++i)
           EXPECT_EQ(whole.frames[i].payload, pieces.frames[i].payload);
       });
}

// What was read is written, and then read and written to the same bytes.
TEST(AmqpFuzz, MethodsAndHeadersComeBack) {
  std::vector<std::string> payloads;
  for (const std::string& seed : seeds())
    for (const frame& f : read_in_pieces(seed, seed.size()).frames) payloads.push_back(f.payload);
  fuzz({.seeds = payloads, .words = {std::string(4, '\0'), "F", "A", "S", "l", "T", "D"}},
       [](std::string_view bytes) {
         try {
           const std::string once = encode_method(decode_method(bytes));
           EXPECT_EQ(encode_method(decode_method(once)), once);
         } catch (const protocol_error&) {
         }
         try {
           const std::string once = encode_content_header(decode_content_header(bytes));
           EXPECT_EQ(encode_content_header(decode_content_header(once)), once);
         } catch (const protocol_error&) {
         }
       });
}

TEST(AmqpFuzz, AMessageOfAnyKindBecomesAnEnvelope) {
  fuzz({.seeds = {encode_content_header({3, some_properties()})},
        .words = {"F", "A", "S", "D", "T"}},
       [](std::string_view bytes) {
         incoming m;
         try {
           m.properties = decode_content_header(bytes).properties;
         } catch (const protocol_error&) {
           return;
         }
         m.body = bytes;
         const std::string text = envelope_of(m);
         if (!m.properties.content_type.empty()) to_queue(text, "celery");
         EXPECT_GE(deliveries_of(m), 1u);
       });
}

// Without TLS: the certificates of the system would be read each time.
TEST(AmqpFuzz, Urls) {
  fuzz({.seeds = {"amqp://me:secret@host:5672//?quorum=1", "pyamqp://[::1]/v%2Fh?heartbeat=5"},
        .words = {"://", "@", "%2F", "?", "&max_priority=9", "ssl_cert_reqs=none"}},
       [](std::string_view bytes) {
         try {
           parse_url(bytes);
         } catch (const invalid_url&) {
         } catch (const plait::error&) {  // a certificate that cannot be read
         }
       });
}

}  // namespace
