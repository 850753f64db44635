// Messages and results: those that Celery 5.2.6 and 5.6.3 were seen to send, and those nobody should.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "celery/wire/base64.hpp"
#include "celery/wire/control_message.hpp"
#include "celery/wire/iso8601.hpp"
#include "celery/wire/result_meta.hpp"
#include "celery/wire/task_message.hpp"
#include "plait/celery/wire_errors.hpp"

namespace plait::celery::detail {
namespace {

using nlohmann::json;

struct sample {
  std::string kind, name, text;
};

// Lines of kind, name and text; read once.
const std::vector<sample>& captured() {
  static const auto all = [] {
    std::vector<sample> made;
    std::ifstream file(CELERY_TEST_FOLDER "/samples/captured.tsv");
    for (sample each; std::getline(file, each.kind, '\t') && std::getline(file, each.name, '\t') &&
                      std::getline(file, each.text);)
      made.push_back(each);
    return made;
  }();
  return all;
}

// Without what says nothing: null, and lists and objects of nothing else.
json said(const json& from) {
  json made = from;
  if (made.is_object())
    for (auto each = made.begin(); each != made.end();) {
      each.value() = said(each.value());
      if (each.value().is_null() || each.value() == json::array())
        each = made.erase(each);
      else
        ++each;
    }
  return made;
}

json body_of(const envelope& e) { return json::parse(e.body); }

template <class Check>
void for_each(const std::string& kind, std::size_t at_least, Check check) {
  std::size_t count = 0;
  for (const sample& each : captured()) {
    if (each.kind != kind) continue;
    SCOPED_TRACE(each.name);
    ++count;
    try {
      check(each);
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what() << "\nin " << each.text;
    }
  }
  EXPECT_GE(count, at_least);
}

// As oracle nlohmann reads both texts.
void expect_same_envelope(const std::string& text, const envelope& e) {
  EXPECT_EQ(said(json::parse(encode_envelope(e))), said(json::parse(text)));
}

TEST(CapturedMessages, TasksDecodeAndEncodeToTheSame) {
  for_each("task", 50, [](const sample& s) {
    const envelope original = decode_envelope(s.text);
    expect_same_envelope(s.text, original);

    const task_message m = decode_task(original);
    EXPECT_FALSE(m.id.empty());
    EXPECT_FALSE(m.task.empty());
    const envelope again = encode_task(
        m, dialect::typed,
        original.headers.find("compression") != nullptr ? compression::zlib : compression::none);
    if (original.headers.find("task") == nullptr || original.body.front() == '{')
      return;  // protocol 1 is never sent; a zlib stream is compared below
    const json before = json::parse(to_json(original.headers));
    json after = json::parse(to_json(again.headers));
    // Made anew where the message had none.
    for (const char* key : {"argsrepr", "kwargsrepr", "retries", "timelimit", "origin"})
      if (!before.contains(key)) after.erase(key);
    EXPECT_EQ(said(after), said(before));
    if (original.headers.find("compression") != nullptr) {
      const task_message twice = decode_task(again);
      EXPECT_EQ(twice.args, m.args);
      EXPECT_EQ(twice.kwargs, m.kwargs);
      return;
    }
    const json was = body_of(original), is = body_of(again);
    EXPECT_EQ(is[0], was[0]);
    EXPECT_EQ(is[1], was[1]);
    EXPECT_EQ(said(is[2]), was[2].is_null() ? json::object() : said(was[2]));
  });
}

TEST(CapturedMessages, ResultsDecodeAndEncodeToTheSame) {
  for_each("result", 30, [](const sample& s) {
    const result_meta m = decode_result(s.text);
    EXPECT_EQ(said(json::parse(encode_result(m))), said(json::parse(s.text)));
    if (m.status == "FAILURE" || m.status == "RETRY" || m.status == "REVOKED") {
      EXPECT_FALSE(m.failure().type.empty());
    }
    EXPECT_EQ(m.is_ready(),
              m.status == "SUCCESS" || m.status == "FAILURE" || m.status == "REVOKED");
  });
}

TEST(CapturedMessages, RemoteControlAndEventsDecodeAndEncodeToTheSame) {
  for_each("request", 5, [](const sample& s) {
    envelope original = decode_envelope(s.text);
    expect_same_envelope(s.text, original);
    const envelope again = encode_request(decode_request(original));
    EXPECT_EQ(said(body_of(again)), said(body_of(original)));
    EXPECT_EQ(json::parse(to_json(again.headers)), json::parse(to_json(original.headers)));
  });
  for_each("reply", 5, [](const sample& s) {
    const envelope original = decode_envelope(s.text);
    expect_same_envelope(s.text, original);
    const control_reply reply = decode_reply(original);
    EXPECT_TRUE(reply.node.ends_with("@lab")) << reply.node;
    const envelope again = encode_reply(reply, {});
    EXPECT_EQ(body_of(again), body_of(original));
    EXPECT_EQ(json::parse(to_json(again.headers)), json::parse(to_json(original.headers)));
  });
  for_each("event", 10, [](const sample& s) {
    const envelope original = decode_envelope(s.text);
    expect_same_envelope(s.text, original);
    const auto events = decode_events(original);
    const bool batch = original.body.front() == '[';
    const envelope again = batch ? encode_events(events) : encode_event(events.at(0));
    EXPECT_EQ(body_of(again), body_of(original));
    EXPECT_EQ(again.properties.delivery_info.routing_key,
              original.properties.delivery_info.routing_key);
  });
}

TEST(CapturedMessages, WhatIsNotForUsSaysWhatToDo) {
  for_each("refused", 3, [](const sample& s) {
    try {
      decode_task(decode_envelope(s.text));
      ADD_FAILURE() << "accepted";
    } catch (const decode_error& e) {
      EXPECT_EQ(e.why(), decode_error::reason::refused);
      EXPECT_TRUE(e.task_id());
      EXPECT_NE(std::string(e.what()).find("task_serializer='json'"), std::string::npos);
    }
  });
  for_each("malformed", 3, [](const sample& s) {
    EXPECT_THROW(decode_task(decode_envelope(s.text)), decode_error);
  });
}

task_message plain_task() { return {.task = "proj.add", .id = "4f7e", .args = {1, 2}}; }
json plain_message() {
  envelope e = encode_task(plain_task());
  e.properties.delivery_tag = "tag";
  e.properties.delivery_info.routing_key = "celery";
  return json::parse(encode_envelope(e));
}
std::string base64(const std::string& text) {
  std::string made;
  append_base64(made, text);
  return made;
}

// The cases of which half kill a Celery worker.
TEST(MalformedMessages, AreErrorsWithAReasonAndTheIdOfTheTask) {
  using enum decode_error::reason;
  struct malformed {
    const char* name;
    decode_error::reason why;
    std::function<void(json&)> damage;
    bool id_is_known = true;
  };
  const auto header = [](const char* key, json to) {
    return [key, to](json& m) { m["headers"][key] = to; };
  };
  const auto body = [](const char* text) { return [text](json& m) { m["body"] = base64(text); }; };
  const std::string deep = "[[" + std::string(3000, '[') + std::string(3000, ']') + "],{},{}]";
  const std::vector<malformed> cases{
      {"no id header", bad_header, [](json& m) { m["headers"].erase("id"); }},
      {"id null", bad_header, header("id", nullptr)},
      {"headers null", bad_header, [](json& m) { m["headers"] = nullptr; }},
      {"no headers key", bad_header, [](json& m) { m.erase("headers"); }},
      {"no properties", bad_envelope, [](json& m) { m.erase("properties"); }},
      {"no delivery_tag", bad_envelope, [](json& m) { m["properties"].erase("delivery_tag"); }},
      {"no delivery_info", bad_envelope, [](json& m) { m["properties"].erase("delivery_info"); }},
      {"priority string", bad_envelope, [](json& m) { m["properties"]["priority"] = "high"; }},
      {"body not base64", bad_body, [](json& m) { m["body"] = "!!!"; }},
      {"no body", bad_envelope, [](json& m) { m.erase("body"); }},
      {"body 2-tuple", bad_body, body("[[1,2],{}]")},
      {"args is int", bad_body, body("[5,{},{}]")},
      {"kwargs is list", bad_body, body("[[1,2],[],{}]")},
      {"embed is list", bad_body, body("[[1,2],{},[]]")},
      {"expires garbage", bad_header, header("expires", "tomorrow")},
      {"eta number", bad_header, header("eta", 1795350485)},
      {"timelimit garbage", bad_header, header("timelimit", "soon")},
      {"timelimit short list", bad_header, header("timelimit", {1})},
      {"retries string", bad_header, header("retries", "many")},
      {"task is number", bad_header, header("task", 5)},
      {"task is list", bad_header, header("task", {"proj.add"})},
      {"JSON array element", bad_envelope,
       [](json& m) {
         m = json::array({1, 2});
       },
       false},
      {"JSON number element", bad_envelope, [](json& m) { m = 5; }, false},
      {"content-type null", bad_envelope, [](json& m) { m["content-type"] = nullptr; }},
      {"unknown compression", bad_body, header("compression", "application/x-foo")},
      {"bzip2", bad_body, header("compression", "application/x-bz2")},
      {"no zlib stream", bad_body, header("compression", "application/x-gzip")},
      {"chain garbage", bad_body, body(R"([[1,2],{},{"chain":[1]}])")},
      {"callbacks garbage", bad_body, body(R"([[1,2],{},{"callbacks":"x"}])")},
      {"chord garbage", bad_body, body(R"([[1,2],{},{"chord":{"args":[]}}])")},
      {"deep nesting 3000", too_large, body(deep.c_str())},
      {"body not JSON", bad_body, body("{not json")},
      {"pickle", refused, [](json& m) { m["content-type"] = "application/x-python-serialize"; }},
  };
  for (const malformed& each : cases) {
    SCOPED_TRACE(each.name);
    json m = plain_message();
    each.damage(m);
    try {
      decode_task(decode_envelope(m.dump()));
      ADD_FAILURE() << "accepted";
    } catch (const decode_error& e) {
      EXPECT_EQ(static_cast<int>(e.why()), static_cast<int>(each.why)) << e.what();
      EXPECT_EQ(e.task_id(), each.id_is_known ? std::optional<std::string>("4f7e") : std::nullopt)
          << e.what();
    }
  }
  for (const char* text : {"", "this is not json", "{\"body\":\"\xff\xfe\"}"}) {
    try {
      decode_envelope(text);
      ADD_FAILURE() << "accepted";
    } catch (const decode_error& e) {
      EXPECT_EQ(e.why(), not_json);
    }
  }
}

TEST(TaskMessage, CarriesWhatItWasGiven) {
  task_message m = plain_task();
  m.parent_id = "p";
  m.group = "g";
  m.group_index = 3;
  m.retries = 2;
  m.eta = datetime_from("2026-11-22T12:28:05.462655+02:00");
  m.expires = datetime_from("2026-11-22T13:00:00");
  m.limits = {.hard = float_seconds(10), .soft = float_seconds(2.5)};
  m.shadow = "shown";
  m.ignore_result = true;
  m.headers = {{"mine", list{1, "x"}}};
  m.kwargs = {{"big", parse_json("123456789012345678901234567890")}};
  m.embed.callbacks = {{.task = "next", .options = {{"queue", "q"}}}};
  m.embed.chain = {chain({{.task = "a"}, {.task = "b"}}), {.task = "c", .immutable = true}};
  m.embed.chord = signature{.task = "sum", .other = {{"chord_size", 2}}};
  for (const compression c : {compression::none, compression::zlib}) {
    envelope e = encode_task(m, dialect::typed, c);
    e.properties.delivery_tag = "t";
    const task_message back = decode_task(decode_envelope(encode_envelope(e)));
    EXPECT_EQ(back.task, m.task);
    EXPECT_EQ(back.root_id, m.id);
    EXPECT_EQ(back.group_index, m.group_index);
    EXPECT_EQ(back.retries, 2u);
    EXPECT_EQ(back.eta, m.eta);
    EXPECT_EQ(back.expires->at, m.expires->at);
    EXPECT_EQ(to_iso(*back.expires), "2026-11-22T13:00:00+00:00");
    EXPECT_EQ(back.limits.hard, m.limits.hard);
    EXPECT_EQ(back.limits.soft, m.limits.soft);
    EXPECT_EQ(back.shadow, m.shadow);
    EXPECT_EQ(back.ignore_result, m.ignore_result);
    EXPECT_EQ(*back.headers.find("mine"), *m.headers.find("mine"));
    EXPECT_EQ(back.args, m.args);
    EXPECT_EQ(back.kwargs, m.kwargs);
    EXPECT_EQ(back.embed.callbacks, m.embed.callbacks);
    EXPECT_EQ(back.embed.chain, m.embed.chain);
    EXPECT_EQ(back.embed.chord, m.embed.chord);
    EXPECT_EQ(back.argsrepr, "(1, 2)");
  }
}

TEST(TaskMessage, ABombIsNotInflated) {
  task_message m = plain_task();
  m.args = {std::string(1 << 20, 'x')};
  const envelope e = encode_task(m, dialect::typed, compression::zlib);
  EXPECT_LT(e.body.size(), 5000u);
  EXPECT_NO_THROW(decode_task(e, {.bytes = 2 << 20}));
  try {
    decode_task(e, {.bytes = 1 << 16});
    ADD_FAILURE() << "inflated";
  } catch (const decode_error& error) {
    EXPECT_EQ(error.why(), decode_error::reason::too_large);
    EXPECT_EQ(error.task_id(), "4f7e");
  }
  envelope cut = e;
  cut.body.resize(cut.body.size() / 2);
  EXPECT_THROW(decode_task(cut), decode_error);
}

TEST(TaskMessage, WhatRestoringMarkedIsSeen) {
  json m = plain_message();
  EXPECT_FALSE(decode_envelope(m.dump()).redelivered());
  m["headers"]["redelivered"] = true;
  EXPECT_TRUE(decode_envelope(m.dump()).redelivered());
  m = plain_message();
  m["properties"]["delivery_info"]["redelivered"] = true;
  EXPECT_TRUE(decode_envelope(m.dump()).redelivered());
}

TEST(Signatures, HoldTheirMembers) {
  const signature a{.task = "a"}, b{.task = "b"};
  EXPECT_EQ(chain({a, b}).members(), (std::vector{a, b}));
  EXPECT_EQ(group({a, b}).members(), (std::vector{a, b}));
  EXPECT_EQ(chord({a, b}, a).members(), (std::vector{a, b}));
  EXPECT_EQ(chord({a, b}, a).body(), a);
  EXPECT_EQ(a.members(), std::vector<signature>());
  EXPECT_EQ((signature{.task = "f", .args = {2}}.arguments_after(1)), (list{1, 2}));
  EXPECT_EQ((signature{.task = "f", .args = {2}, .immutable = true}.arguments_after(1)), (list{2}));
  EXPECT_THROW((signature{.task = "celery.chord"}.body()), decode_error);
}

std::string thrown_as(const exception_info& info) {
  try {
    std::rethrow_exception(to_exception(info, "Traceback ..."));
  } catch (const remote_error& e) {
    EXPECT_EQ(e.traceback(), "Traceback ...");
    return "remote_error " + e.type() + ": " + e.what();
  } catch (const cancelled_error& e) {
    return std::string("cancelled_error: ") + e.what();
  } catch (const timeout_error& e) {
    return std::string("timeout_error: ") + e.what();
  } catch (const task_error& e) {
    return std::string("task_error: ") + e.what();
  }
}
std::string thrown_as(const char* stored) {
  return thrown_as(exception_info::from_value(parse_json(stored)));
}

TEST(Failures, OfPythonAreExceptions) {
  EXPECT_EQ(thrown_as(R"({"exc_type":"ValueError","exc_message":["bad"],"exc_module":"builtins"})"),
            "remote_error ValueError: bad");
  EXPECT_EQ(thrown_as(R"({"exc_type":"ValueError","exc_message":"bad","exc_module":"builtins"})"),
            "remote_error ValueError: bad");
  EXPECT_EQ(thrown_as(R"({"exc_type":"E","exc_message":["bad",1],"exc_module":"app.errors"})"),
            "remote_error app.errors.E: ('bad', 1)");
  EXPECT_EQ(thrown_as(R"({"exc_type":"OSError","exc_message":[2,"No"],"exc_module":"builtins"})"),
            "remote_error OSError: [Errno 2] No");
  EXPECT_EQ(thrown_as(R"({"exc_type":"X","exc_message":[]})"), "remote_error X: ");
  EXPECT_EQ(thrown_as(R"({"exc_type":"ns::x","exc_message":["m"],"exc_module":"plait"})"),
            "remote_error ns::x: m");
  EXPECT_EQ(thrown_as(task_revoked("expired")), "cancelled_error: the task was expired");
  EXPECT_EQ(thrown_as(time_limit_exceeded(5)), "timeout_error: TimeLimitExceeded: 5.0");
  EXPECT_EQ(thrown_as(worker_lost("gone")), "task_error: WorkerLostError: gone");
  EXPECT_EQ(thrown_as(not_registered("f")), "remote_error celery.exceptions.NotRegistered: f");
  for (const char* broken : {"null", "\"oops\"", R"({"exc_message":["x"]})", "5"})
    EXPECT_THROW(exception_info::from_value(parse_json(broken)), decode_error);
}

struct own_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class Exception>
std::string stored(const Exception& e) {
  return to_json(describe(std::make_exception_ptr(e)).to_value());
}

TEST(Failures, OfCppAreWhatPythonCallsThem) {
  const auto builtin = [](const std::string& type, const std::string& arguments) {
    return R"({"exc_type":")" + type + R"(","exc_message":)" + arguments +
           R"(,"exc_module":"builtins"})";
  };
  EXPECT_EQ(stored(std::invalid_argument("x")), builtin("ValueError", "[\"x\"]"));
  EXPECT_EQ(stored(std::out_of_range("x")), builtin("IndexError", "[\"x\"]"));
  EXPECT_EQ(stored(std::runtime_error("x")), builtin("RuntimeError", "[\"x\"]"));
  EXPECT_EQ(stored(std::bad_alloc()), builtin("MemoryError", "[\"std::bad_alloc\"]"));
  EXPECT_EQ(stored(type_error("add() takes")), builtin("TypeError", "[\"add() takes\"]"));
  EXPECT_EQ(stored(timeout_error()), builtin("TimeoutError", "[\"timed out\"]"));
  EXPECT_EQ(stored(std::system_error(2, std::generic_category())),
            builtin("OSError", "[2,\"No such file or directory\"]"));
  EXPECT_EQ(stored(remote_error("app.errors.E", "m")),
            R"({"exc_type":"E","exc_message":["m"],"exc_module":"app.errors"})");
  EXPECT_EQ(stored(remote_error("KeyError", "m")), builtin("KeyError", "[\"m\"]"));
  EXPECT_EQ(stored(cancelled_error()), to_json(task_revoked("terminated").to_value()));
  EXPECT_EQ(stored(own_error("x")),
            R"({"exc_type":"plait::celery::detail::(anonymous namespace)::own_error",)"
            R"("exc_message":["x"],"exc_module":"plait"})");
  EXPECT_EQ(stored(5), R"({"exc_type":"exception","exc_message":)"
                       R"(["something that is no std::exception"],"exc_module":"plait"})");
}

TEST(ResultMeta, BrokenOnesAreErrors) {
  for (const char* text :
       {"[]", "5", "{}", R"({"status":"SUCCESS"})", R"({"task_id":"a"})",
        R"({"task_id":"a","status":5})", R"({"task_id":"a","status":"FAILURE","children":5})"})
    EXPECT_THROW(decode_result(text), decode_error) << text;
  try {
    decode_result(std::string_view(R"({"task_id":"a","status":"FAILURE","result":null})"))
        .failure();
    ADD_FAILURE() << "no error";
  } catch (const decode_error& e) {
    EXPECT_EQ(e.task_id(), "a");
  }
  const char* odd = R"({"task_id":"a","status":"SUCCESS","result":NaN,"date_done":"yesterday"})";
  EXPECT_NE(encode_result(decode_result(odd)).find("\"yesterday\""), std::string::npos);
}

TEST(ResultMeta, NodesAreResultTuples) {
  EXPECT_EQ(to_json(result_node("a")), R"([["a",null],null])");
  EXPECT_EQ(to_json(result_node("a", "p")), R"([["a",[["p",null],null]],null])");
}

TEST(ControlRequests, AreForWhomTheyName) {
  control_request r{.method = "ping"};
  EXPECT_TRUE(r.is_for("w@lab"));
  r.destination = {"x@lab", "w@lab"};
  EXPECT_TRUE(r.is_for("w@lab"));
  EXPECT_FALSE(r.is_for("v@lab"));
  r = {.method = "ping", .pattern = "w*@lab", .matcher = "glob"};
  EXPECT_TRUE(r.is_for("w1@lab"));
  EXPECT_FALSE(r.is_for("v@lab"));
  r.matcher = "pcre";
  EXPECT_FALSE(r.is_for("w1@lab"));
  envelope e;
  for (const char* body : {"5", "{}", R"({"method":5})", R"({"method":"x","destination":"y"})"}) {
    e.body = body;
    EXPECT_THROW(decode_request(e), decode_error) << body;
  }
  for (const char* body : {"5", "{}", R"([{}])", R"({"type":"x","pid":"y"})"}) {
    e.body = body;
    EXPECT_THROW(decode_events(e), decode_error) << body;
  }
}

// What C++ made, read by Debian's kombu and Celery; the script says what it expects of which line.
TEST(RealCelery, ReadsOurMessages) {
  if (std::system("/usr/bin/python3 -c 'import celery' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3-celery is not installed";
  task_message m = plain_task();
  m.eta = datetime_from("2026-11-22T12:28:05.462655+00:00");
  m.expires = datetime_from("2096-11-22T13:00:00+00:00");
  m.limits = {.hard = float_seconds(10), .soft = float_seconds(2.5)};
  value kwargs =
      parse_json(R"({"s":"\ud83d\ude00 \u00e4 \" \\ \u0001 \ud800","n":NaN,)"
                 R"("i":123456789012345678901234567890,"f":1e-7,"l":[[],{},null,true]})");
  m.kwargs = *kwargs.get_if<dict>();
  m.embed.callbacks = {{.task = "proj.next", .args = {5}}};
  m.embed.chain = {{.task = "proj.last"}, group({{.task = "proj.a"}, {.task = "proj.b"}})};
  const std::string path = ::testing::TempDir() + "plait_wire_lines";
  std::ofstream file(path);
  for (const compression c : {compression::none, compression::zlib}) {
    envelope e = encode_task(m, dialect::typed, c);
    e.properties.delivery_tag = "t";
    e.properties.delivery_info.routing_key = "celery";
    file << "task\t" << encode_envelope(e) << '\n';
  }
  result_meta success{.task_id = "a", .status = "SUCCESS", .result = list{1, 0.5, "\xc3\xa4"}};
  success.children = {result_node("b", "a")};
  success.date_done = datetime{};
  file << "success\t" << encode_result(success) << '\n';
  for (const auto& thrown : {std::make_exception_ptr(std::invalid_argument("bad")),
                             std::make_exception_ptr(std::system_error(2, std::generic_category())),
                             std::make_exception_ptr(own_error("mine"))}) {
    result_meta failure{.task_id = "a", .status = "FAILURE", .result = describe(thrown).to_value()};
    file << "failure\t" << encode_result(failure) << '\n';
  }
  file << "request\t"
       << encode_envelope(
              encode_request({.method = "ping", .ticket = "t", .reply_to = {{"r", "k"}}}))
       << '\n';
  file << "event\t"
       << encode_envelope(encode_event({.type = "worker-online",
                                        .hostname = "w@lab",
                                        .timestamp = 1.5,
                                        .fields = {{"freq", 2}}}))
       << '\n';
  file.close();
  const std::string command = "/usr/bin/python3 " CELERY_TEST_FOLDER "/read_with_celery.py " + path;
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace plait::celery::detail
