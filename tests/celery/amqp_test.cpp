// Against a real RabbitMQ, which the program starts on free ports; and the codec without one.
#include <functional>
#include <thread>

#include "broker_conformance.hpp"
#include "celery/amqp/codec.hpp"
#include "celery/amqp/connection.hpp"
#include "celery/client.hpp"
#include "celery/wire/result_meta.hpp"
#include "plait/celery.hpp"
#include "plait/net/tcp_listener.hpp"
#include "rabbitmq_server.hpp"

namespace {

using namespace plait::celery::amqp;
using namespace std::chrono_literals;
namespace seam = plait::celery::detail;
using broker_conformance::envelopes;
using broker_conformance::just;
using broker_conformance::parcel_of;
using broker_conformance::queues;
using plait::task;
using plait::celery::dict;
using plait::celery::list;
using plait::celery::value;

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

std::vector<frame> frames_of(std::string_view bytes, std::size_t piece) {
  std::vector<frame> all;
  frame_reader in;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (auto f = in.next(part)) all.push_back(std::move(*f));
  }
  return all;
}

TEST(AmqpCodec, WritesWhatTheSpecificationSays) {
  std::string bytes;
  list a;
  a.push_back(0);
  a.push_back(4);
  a.push_back(true);
  append_method(bytes, 1, {method_id::basic_qos, a});
  //                       type ch  size     60  10  size 0   4   global end
  EXPECT_EQ(bytes, bytes_of("01"
                            "0001"
                            "0000000b"
                            "003c"
                            "000a"
                            "00000000"
                            "0004"
                            "01"
                            "ce"));
  // Bits share an octet, the first in the lowest place: durable is the second of queue.declare.
  list q;
  q.push_back("celery");
  for (const bool flag : {false, true, false, false, false}) q.push_back(flag);
  q.push_back(dict());
  EXPECT_EQ(encode_method({method_id::queue_declare, q}), bytes_of("0032000a"
                                                                   "0000"
                                                                   "06"
                                                                   "63656c657279"
                                                                   "02"
                                                                   "00000000"));
}

TEST(AmqpCodec, ATaskComesBackWithEveryTypeOfItsHeaders) {
  properties p;
  p.content_type = "application/json";
  p.content_encoding = "utf-8";
  p.headers = dict{{"lang", "py"},
                   {"retries", 0},
                   {"eta", nullptr},
                   {"timelimit", list{nullptr, 2.5}},
                   {"big", std::int64_t{1} << 40},
                   {"small", -7},
                   {"stamps", dict{{"a", list{true, "b"}}}}};
  p.delivery_mode = 2;
  p.priority = 0;
  p.correlation_id = "id";
  p.reply_to = "";
  const std::string body(300'000, 'x');
  std::string bytes;
  append_content(bytes, 3, p, body, 131072);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, bytes.size()}) {
    const auto all = frames_of(bytes, piece);
    ASSERT_EQ(all.size(), 4u);
    const content_header header = decode_content_header(all[0].payload);
    EXPECT_EQ(header.body_bytes, body.size());
    EXPECT_EQ(*header.properties.headers, *p.headers);
    EXPECT_EQ(header.properties.correlation_id, "id");
    EXPECT_EQ(header.properties.reply_to, "");
    EXPECT_FALSE(header.properties.expiration);
    EXPECT_EQ(all[1].payload + all[2].payload + all[3].payload, body);
  }
}

TEST(AmqpCodec, WrongBytesAreRefused) {
  const auto refuses = [](const char* hex) {
    try {
      for (const frame& f : frames_of(bytes_of(hex), 3))
        if (f.type == frame_type::method) decode_method(f.payload);
    } catch (const protocol_error&) {
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refuses("09000000000000ce"));              // no such type of frame
  EXPECT_TRUE(refuses("01000000000001ff00"));            // the end is missing
  EXPECT_TRUE(refuses("0100007fffffff"));                // larger than was agreed
  EXPECT_TRUE(refuses("010000000000040063ffffce"));      // no such method
  EXPECT_TRUE(refuses("01000000000005003c0014ffce"));    // too short
  EXPECT_TRUE(refuses("01000000000006003c006fffffce"));  // too long
  EXPECT_TRUE(refuses("414d515000000800"));              // another version
  EXPECT_FALSE(refuses("08000000000000ce"));             // a heartbeat
  EXPECT_THROW(encode_method({method_id::basic_get, list{std::string(256, 'q'), false}}),
               protocol_error);
  // Tables in tables without end.
  std::string deep(5, '\0');
  deep[4] = 'x';
  dict nested;
  for (int i = 0; i < 100; ++i) nested = dict{{"t", std::move(nested)}};
  properties p;
  p.headers = nested;
  EXPECT_THROW(encode_content_header({0, p}), protocol_error);
}

TEST(AmqpUrl, SaysWhereAndWho) {
  const auto o = parse_url("amqp://me:p%40ss@rabbit:5673/things?quorum=1&heartbeat=5");
  EXPECT_EQ(o.user, "me");
  EXPECT_EQ(o.password, "p@ss");
  EXPECT_EQ(o.host, "rabbit");
  EXPECT_EQ(o.port, 5673);
  EXPECT_EQ(o.virtual_host, "things");
  EXPECT_TRUE(o.quorum);
  EXPECT_EQ(o.heartbeat, 5s);
  EXPECT_EQ(to_text(o), "amqp://rabbit:5673/things");
  for (const char* root : {"amqp://h", "amqp://h/", "amqp://h//", "amqp://h/%2F"})
    EXPECT_EQ(parse_url(root).virtual_host, "/") << root;
  EXPECT_EQ(parse_url("amqp://").user, "guest");
  EXPECT_EQ(parse_url("amqps://h").port, 5671);
  EXPECT_TRUE(parse_url("amqps://h").tls);
  EXPECT_THROW(parse_url("amqp://h:port/"), invalid_url);
}

// A broker that says yes to all that it is asked, unless `first` has answered or has ended it. One connection.
struct agreeable_broker {
  enum class does { nothing, answered, ends };
  using answer = std::function<does(const frame& asked, std::string& out)>;

  static void agree(const frame& f, std::string& out) {
    const method asked = decode_method(f.payload);
    const auto say = [&](method_id id, list arguments) {
      append_method(out, f.channel, {id, std::move(arguments)});
    };
    switch (asked.id) {
      case method_id::connection_start_ok:
        return say(method_id::connection_tune, list{0, 131072, 0});
      case method_id::connection_open:
        return say(method_id::connection_open_ok, {});
      case method_id::channel_open:
        return say(method_id::channel_open_ok, list(1, ""));
      case method_id::channel_close:
        return say(method_id::channel_close_ok, {});
      case method_id::confirm_select:
        return say(method_id::confirm_select_ok, {});
      case method_id::exchange_declare:
        return say(method_id::exchange_declare_ok, {});
      case method_id::queue_bind:
        return say(method_id::queue_bind_ok, {});
      case method_id::queue_declare:
        return say(method_id::queue_declare_ok, list{asked.text(0), 0, 0});
      case method_id::basic_consume:
        return say(method_id::basic_consume_ok, list(1, asked.text(1)));
      default:
        return;
    }
  }
  static task<> serve(plait::net::tcp_listener& at, answer first) {
    auto stream = co_await at.accept();
    std::string buffer(4096, '\0'), unread;
    while (unread.size() < protocol_header.size())
      unread.append(buffer, 0, co_await stream.read_some(buffer));
    unread.erase(0, protocol_header.size());
    std::string out;
    append_method(out, 0, {method_id::connection_start, list{0, 9, dict(), "PLAIN", "en_US"}});
    frame_reader in;
    for (bool ends = false; !ends;) {
      std::string_view left = unread;
      while (const auto f = in.next(left)) {
        const does done = first(*f, out);
        ends = ends || done == does::ends;
        if (done == does::nothing && f->type == frame_type::method) agree(*f, out);
      }
      co_await stream.write_all(out);
      out.clear();
      const std::size_t came = co_await stream.read_some(buffer);
      if (came == 0) co_return;
      unread.assign(buffer, 0, came);
    }
  }
};

// As RabbitMQ may: a get is answered before the cancel that was sent first.
agreeable_broker::does overtake(const frame& f, std::string& out) {
  if (f.type != frame_type::method || decode_method(f.payload).id != method_id::basic_get)
    return agreeable_broker::does::nothing;
  append_method(out, f.channel, {method_id::basic_get_ok, list{7, false, "", "q", 0}});
  append_content(out, f.channel, properties(), "the message", 131072);
  append_method(out, f.channel, {method_id::basic_cancel_ok, list(1, "consumer")});
  return agreeable_broker::does::answered;
}

TEST(AmqpConnection, AnAnswerThatOvertakesAnotherFindsItsQuestion) {
  const auto whole = []() -> task<> {
    auto at = plait::net::tcp_listener::bind("127.0.0.1", 0);
    const auto broker = plait::spawn(agreeable_broker::serve(at, overtake));
    connection server(parse_url("amqp://127.0.0.1:" + std::to_string(at.port())));
    co_await server.ready();
    const auto ask = [&](method_id id, const char* of) {
      list a;
      a.push_back(of);
      a.push_back(false);
      return server.ask(channel::consuming, {id, std::move(a)});
    };
    const auto cancel = ask(method_id::basic_cancel, "consumer");
    const auto get = ask(method_id::basic_get, "q");
    co_await plait::timeout(30s, get->done.wait());
    co_await plait::timeout(30s, cancel->done.wait());
    if (get->failure != nullptr) std::rethrow_exception(get->failure);
    EXPECT_EQ(get->said->id, method_id::basic_get_ok);
    EXPECT_EQ(get->message ? get->message->body : "", "the message");
    EXPECT_EQ(cancel->said->id, method_id::basic_cancel_ok);
    server.close();
    broker.cancel();
  };
  plait::run(whole());
}

// The call's result, and then the end instead of the confirmation.
struct answers_and_dies {
  agreeable_broker::does operator()(const frame& f, std::string& out) const {
    if (f.type != frame_type::header) return agreeable_broker::does::nothing;
    const properties asked = decode_content_header(f.payload).properties;
    seam::result_meta result;
    result.task_id = *asked.correlation_id;
    result.status = "SUCCESS";
    result.result = 5;
    append_method(out, static_cast<std::uint16_t>(channel::listening),
                  {method_id::basic_deliver, list{*asked.reply_to, 1, false, "", *asked.reply_to}});
    append_content(out, static_cast<std::uint16_t>(channel::listening), properties(),
                   seam::encode_result(result), 131072);
    return agreeable_broker::does::ends;
  }
};

int add(int a, int b) { return a + b; }

TEST(AmqpConnection, AResultTellsThatItsCallWasSent) {
  const auto whole = []() -> task<> {
    auto at = plait::net::tcp_listener::bind("127.0.0.1", 0);
    const auto broker = plait::spawn(agreeable_broker::serve(at, answers_and_dies()));
    const std::string url = "amqp://127.0.0.1:" + std::to_string(at.port());
    plait::celery::app caller({.broker = url, .backend = "rpc://"});
    const auto five = caller.task("add", add).delay(2, 3);
    const int sum = co_await plait::timeout(30s, five);
    EXPECT_EQ(sum, 5) << "it was sent, whatever became of its confirmation";
    broker.cancel();
  };
  plait::run(whole());
}

// A queue of its own for each test, in the one server.
std::string fresh(const std::string& name) {
  static int count = 0;
  return name + std::to_string(++count);
}

template <class F>
void with_transport(const std::string& url, F body) {
  const auto whole = [&]() -> task<> {
    auto opened = co_await seam::open_transport(url);
    std::exception_ptr failed;
    try {
      co_await plait::timeout(60s, body(*opened));
    } catch (...) {
      failed = std::current_exception();
    }
    co_await opened->close();
    if (failed != nullptr) std::rethrow_exception(failed);
  };
  plait::run(whole());
}

TEST(Amqp, AWrongPasswordIsSaidAtOnce) {
  try {
    with_transport(rabbitmq_server::shared().url("guest:wrong"),
                   [](seam::transport&) -> task<> { co_return; });
    FAIL();
  } catch (const plait::celery::transport_error& e) {
    EXPECT_NE(std::string(e.what()).find("ACCESS_REFUSED"), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find("wrong"), std::string::npos) << e.what();
  }
}

TEST(Amqp, AnUnknownVirtualHostIsSaidAtOnce) {
  std::string url = rabbitmq_server::shared().url();
  url.replace(url.size() - 1, 1, "nowhere");
  try {
    with_transport(url, [](seam::transport&) -> task<> { co_return; });
    FAIL();
  } catch (const plait::celery::transport_error& e) {
    EXPECT_NE(std::string(e.what()).find("nowhere"), std::string::npos) << e.what();
  }
}

TEST(Amqp, WhatReachesNoQueueIsAnError) {
  const auto whole = []() -> task<> {
    connection server(parse_url(rabbitmq_server::shared().url()));
    std::vector<outgoing> one;
    one.emplace_back("", "no-such-queue", properties(), "x");
    bool is_told = false;
    try {
      co_await server.publish(std::move(one), routing::mandatory);
    } catch (const unroutable&) {
      is_told = true;
    }
    EXPECT_TRUE(is_told);
  };
  plait::run(whole());
}

TEST(Amqp, ALostConnectionGivesItsLeasesBack) {
  const std::string name = fresh("lost");
  const auto& server = rabbitmq_server::shared();
  with_transport(server.url(), [&](seam::transport& b) -> task<> {
    auto a = co_await seam::open_transport(server.url());
    co_await a->broker().publish(just(parcel_of("{\"n\":1}", name)));
    const auto lost = co_await a->broker().reserve(queues(name), 1, 60s);
    co_await a->close();
    const auto nobodys = co_await b.broker().renew(just(lost.at(0).tag), 60s);
    EXPECT_EQ(nobodys, just(lost[0].tag));
    const auto got = co_await b.broker().reserve(queues(name), 1, 60s);
    EXPECT_EQ(got.at(0).deliveries, 2u);
    co_await b.broker().finish(broker_conformance::ended(got[0].tag));
  });
}

TEST(Amqp, ACrashThatIsToldCountsExactly) {
  for (const char* kind : {"", "?quorum=1"}) {
    const std::string name = fresh("counted");
    with_transport(rabbitmq_server::shared().url() + kind, [&](seam::transport& a) -> task<> {
      co_await a.broker().publish(just(parcel_of("{\"n\":1}", name)));
      for (unsigned n = 1; n <= 4; ++n) {
        const auto got = co_await a.broker().reserve(queues(name), 1, 60s);
        EXPECT_EQ(got.at(0).deliveries, n) << kind;
        co_await a.broker().restore(just(got[0].tag), seam::broker::hand_out::counts);
      }
    });
  }
}

int sum(int a, int b) { return a + b; }
int broken(int) { throw std::invalid_argument("no"); }

TEST(Amqp, ResultsComeBackToWhoeverCalled) {
  plait::celery::app tasks(
      {.broker = rabbitmq_server::shared().url(), .backend = "rpc://", .queue = fresh("rpc")});
  const auto add = tasks.task("add", sum);
  const auto fails = tasks.task("fails", broken);
  auto worker = tasks.worker({.concurrency = 2, .pool = plait::celery::pool_kind::threads});
  std::thread running([&] { EXPECT_EQ(worker.run(), 0); });
  std::vector<plait::future<int>> sums;
  for (int i = 0; i < 200; ++i) sums.push_back(add.delay(i, 1));
  const auto left = plait::wait(sums, {.timeout = 20s});
  EXPECT_TRUE(left.not_done.empty()) << left.not_done.size() << " results never came";
  for (int i = 0; i < 200; ++i) {
    const auto& one = sums[static_cast<std::size_t>(i)];
    if (one.done()) {
      EXPECT_EQ(one.get(), i + 1);
    }
  }
  const auto failed = fails.delay(1);
  if (failed.wait_for(20s))
    EXPECT_THROW(failed.get(), plait::remote_error);
  else
    ADD_FAILURE() << "the failure never came";
  worker.shutdown();
  running.join();
}

}  // namespace

namespace broker_conformance {
namespace {

struct rabbitmq_store {
  static constexpr bool is_rabbitmq = true;
  bool available() const { return true; }
  std::string url() const { return server.url() + "?max_priority=9"; }
  rabbitmq_server& server = rabbitmq_server::shared();
  // What a test has left behind, and queues that another test wants of another kind.
  rabbitmq_store() {
    const auto clean = [this]() -> plait::task<> {
      plait::celery::amqp::connection there(plait::celery::amqp::parse_url(url()));
      for (const char* queue : {"celery", "other", "plait.dead.celery"}) {
        plait::celery::list a;
        a.push_back(queue);
        for (const bool flag : {false, false, false}) a.push_back(flag);
        std::vector<plait::celery::amqp::method> one;
        one.emplace_back(plait::celery::amqp::method_id::queue_delete, std::move(a));
        static_cast<void>(co_await there.apart(std::move(one)));
      }
    };
    plait::run(clean());
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(RabbitMQ, BrokerConformance, rabbitmq_store);

}  // namespace
}  // namespace broker_conformance
