// What anybody who can write to a broker or a result backend may hand to a client or a worker.
#include <gtest/gtest.h>

#include "celery/wire/base64.hpp"
#include "celery/wire/control_message.hpp"
#include "celery/wire/iso8601.hpp"
#include "celery/wire/result_meta.hpp"
#include "celery/wire/task_message.hpp"
#include "fuzz/fuzzing.hpp"
#include "plait/celery/json.hpp"

namespace plait::celery::detail {
namespace {

using plait::testing::fuzz;

const std::vector<std::string> json_words = {"{",
                                             "}",
                                             "[",
                                             "]",
                                             "\"",
                                             ":",
                                             ",",
                                             "\\u",
                                             "\\ud800",
                                             "\\udc00",
                                             "null",
                                             "NaN",
                                             "-Infinity",
                                             "1e",
                                             "1e999",
                                             "-",
                                             "99999999999999999999",
                                             "true",
                                             "\\\\",
                                             "\"__type__\":\"datetime\"",
                                             "\"__value__\":",
                                             "\"base64\"",
                                             "\xed\xa0\x80"};

TEST(Fuzz, JsonThatIsReadIsTheSameWhenItIsWritten) {
  fuzz({.seeds = {R"({"a":[1,-2.5e-3,"x\u00e4\ud83d\ude00",null,true],"b":{},"a":NaN})",
                  R"([{"__type__":"datetime","__value__":"2024-01-02T03:04:05.678900+01:00"}])",
                  R"([{"__type__":"uuid","__value__":{"hex":"00000000000000000000000000000005"}}])",
                  R"({"__type__":"base64","__value__":"/wA="})", "[[[[[[[[[]]]]]]]]]",
                  R"({"__type__":"time","__value__":"03:04"})",
                  R"({"__type__":"date","__value__":"2024-01-02"})"},
        .words = json_words,
        .rounds = 4'000},
       [](std::string_view text) {
         try {
           const value v = parse_json(text, {.depth = 20});
           const std::string written = to_json(v);
           EXPECT_EQ(to_json(parse_json(written)), written);
           EXPECT_LE(repr(v, 100).size(), 100u);
         } catch (const decode_error&) {
         }
       });
}

// In base64, as far as the bytes are a body.
std::string message_with(std::string_view body) {
  std::string text = R"({"body":")";
  append_base64(text, body);
  return text + R"(","content-type":"application/json","headers":{"task":"f","id":"i"},)"
                R"("properties":{"body_encoding":"base64","delivery_tag":"t","delivery_info":{}}})";
}

void expect_survives(const task_message& m) {
  EXPECT_FALSE(m.id.empty());
  const task_message again = decode_task(encode_task(m));
  EXPECT_EQ(again.id, m.id);
  EXPECT_EQ(to_json(again.args), to_json(m.args));
}

TEST(Fuzz, AMessageIsATaskOrAnError) {
  fuzz({.seeds =
            {message_with(R"([[1,2],{"a":1},{"chain":[{"task":"g"}]}])"),
             message_with(R"({"task":"f","id":"i","args":[1],"kwargs":{}})"),
             R"({"body":"[[],{},null]","content-type":"application/json","content-encoding":null,)"
             R"("headers":{"task":"f","id":"i","eta":"2024-01-02","timelimit":[1,null],)"
             R"("group_index":1,"retries":2,"compression":"application/x-gzip"},)"
             R"("properties":{"delivery_tag":"t","delivery_info":{"redelivered":true}}})"},
        .words = json_words,
        .rounds = 4'000},
       [](std::string_view text) {
         try {
           const envelope e = decode_envelope(text);
           const std::string written = encode_envelope(e);
           EXPECT_EQ(encode_envelope(decode_envelope(written)), written);
           e.redelivered();
           expect_survives(decode_task(e));
         } catch (const decode_error&) {
         }
       });
}

TEST(Fuzz, ABodyIsATaskOrAnError) {
  task_message packed{.task = "f", .id = "i", .args = {1, 2}};
  const std::string zlib = encode_task(packed, dialect::typed, compression::zlib).body;
  for (const char* packing : {"", "application/x-gzip"})
    fuzz(
        {.seeds =
             {R"([[1,2],{"a":1},{"callbacks":[{"task":"g","args":[],"options":{}}],"chord":null}])",
              R"({"args":[1],"kwargs":{},"chord":{"task":"g"}})", zlib},
         .words = json_words,
         .rounds = 4'000},
        [&](std::string_view body) {
          envelope e;
          e.body = body;
          e.headers = {{"task", "f"}, {"id", "i"}};
          if (*packing != '\0') e.headers.set("compression", packing);
          try {
            expect_survives(decode_task(e, {.bytes = 1 << 16}));
          } catch (const decode_error& error) {
            EXPECT_EQ(error.task_id(), "i");
          }
        });
}

TEST(Fuzz, AResultIsAnExceptionAValueOrAnError) {
  fuzz({.seeds =
            {R"({"status":"FAILURE","result":{"exc_type":"E","exc_message":["a",1],)"
             R"("exc_module":"m"},"traceback":"t","children":[],"date_done":null,"task_id":"i"})",
             R"({"status":"SUCCESS","result":5,"date_done":"2024-01-02T03:04:05","task_id":"i"})"},
        .words = json_words,
        .rounds = 4'000},
       [](std::string_view text) {
         try {
           const result_meta m = decode_result(text);
           const std::string written = encode_result(m);
           EXPECT_EQ(encode_result(decode_result(written)), written);
           EXPECT_NE(to_exception(m.failure()), nullptr);
         } catch (const decode_error&) {
         }
       });
}

TEST(Fuzz, RemoteControlIsARequestOrAnError) {
  fuzz(
      {.seeds = {R"({"method":"revoke","arguments":{"task_id":"x"},"destination":["a@b"],)"
                 R"("pattern":"*","matcher":"glob","ticket":"t","reply_to":{"exchange":"e"}})",
                 R"([{"type":"task-sent","timestamp":1.5,"pid":1}])", R"({"w@lab":{"ok":"pong"}})"},
       .words = json_words,
       .rounds = 4'000},
      [](std::string_view body) {
        envelope e;
        e.body = body;
        try {
          decode_request(e).is_for("a@b");
        } catch (const decode_error&) {
        }
        try {
          decode_reply(e);
        } catch (const decode_error&) {
        }
        try {
          encode_events(decode_events(e));
        } catch (const decode_error&) {
        }
      });
}

TEST(Fuzz, IsoDatesAreMomentsOrNothing) {
  fuzz({.seeds = {"2024-01-02T03:04:05.678900+00:00", "2024-02-29", "20240102T03:04",
                  "9999-12-31T23:59:59Z", "0001-01-01T00:00:00-23:59:59"},
        .words = {"T", "Z", "+", "-", ":", ".", "24:00", "9999", "0000", "99", "T23:59:59.999999"},
        .longest = 60},
       [](std::string_view text) {
         if (const auto moment = datetime_from(text)) {
           const auto year =
               civil_from_days(moment->at.time_since_epoch().count() / 86'400'000'000).year;
           if (year > 1 && year < 9999) {
             EXPECT_EQ(datetime_from(to_iso(*moment)), moment) << to_iso(*moment);
           }
         }
         if (const auto clock = time_from(text)) {
           EXPECT_EQ(time_from(to_iso(*clock)), clock) << to_iso(*clock);
         }
         if (const auto day = date_from(text)) {
           EXPECT_EQ(date_from(to_iso(*day)), day);
         }
       });
}

TEST(Fuzz, Base64IsTheSameWhenItIsWritten) {
  fuzz({.seeds = {"/wA=", "YWJj", "YQ==", "YWI=\n"}, .words = {"=", "==", "\n", "-", "_"}},
       [](std::string_view text) {
         const auto bytes = from_base64(text);
         if (!bytes) return;
         std::string written;
         append_base64(written, *bytes);
         EXPECT_EQ(from_base64(written), bytes);
       });
}

}  // namespace
}  // namespace plait::celery::detail
