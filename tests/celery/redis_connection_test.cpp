// The connection to Redis: with a real server, with none, and with servers without manners.
#include "celery/redis/connection.hpp"
#include "celery/redis/redis_backend.hpp"
#include "celery/redis/redis_broker.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>

#include "net/test_authority.hpp"
#include "plait/coroutines.hpp"
#include "plait/net.hpp"
#include "redis_server.hpp"
#include "virtual_run.hpp"

namespace {

using namespace std::chrono_literals;
using namespace plait::celery::redis;
using plait::task;

connection_options to_server() { return parse_url(redis_server::shared().url()); }

// A Redis that behaves like `conduct`; `test` gets its options.
using conduct = std::function<task<>(plait::net::tcp_stream&, int number)>;
void with_rude(conduct how, std::function<task<>(connection_options)> test) {
  plait::run([](conduct& behave, std::function<task<>(connection_options)>& body) -> task<> {
    auto listener = plait::net::tcp_listener::bind("127.0.0.1", 0);
    int number = 0;
    auto handle = [&](plait::net::tcp_stream s) -> task<> {
      try {
        co_await behave(s, number++);
      } catch (const plait::net::error&) {
      }
    };
    auto server = plait::spawn(plait::net::serve(listener, handle));
    connection_options options;
    options.port = listener.local_endpoint().port();
    options.first_retry = 1ms;
    options.command_timeout = 5s;
    co_await body(options);
    server.cancel();
    const bool stopped = co_await throws<plait::cancelled_error>(server);
    EXPECT_TRUE(stopped);
  }(how, test));
}

// Answers the greeting as a server of RESP2 does, the last of it as told.
task<> greet(plait::net::tcp_stream& s, std::string ready = "+PONG\r\n") {
  std::string seen, buffer(4096, '\0');
  reader requests;
  for (int answered = 0; answered < 5;) {  // HELLO; CLIENT SETNAME, SELECT, INFO, PING
    const std::size_t came = co_await s.read_some(buffer);
    if (came == 0) co_return;
    std::string_view bytes = std::string_view(buffer).substr(0, came);
    while (auto request = requests.next(bytes)) {
      const std::string& name = request->items.front().text;
      const std::string answer = name == "HELLO"  ? "-ERR unknown command\r\n"
                                 : name == "PING" ? ready
                                                  : "+OK\r\n";
      co_await s.write_all(answer);
      ++answered;
    }
  }
}

// Two wait at one broker for what the server tells. Once, the second wiped out the news that was meant
// for the first, took the message, and left: the next one lay there with a worker that was idle. It
// takes an answer to the second, and in the loop's next round the news: `rounds` tries all of them.
TEST(RedisBroker, TwoWhoReserveAtOnceBothHearOfTheNews) {
  struct teller {
    int rounds;
    int reserves = 0, looks = 0;

    std::string answer(const value& request) {
      const std::string& name = request.items.front().text;
      const std::string& what = request.items.size() > 1 ? request.items[1].text : name;
      if (name == "SCRIPT") {
        const bool sweeps = request.items[2].text.find("ZRANGEBYSCORE") != std::string::npos;
        return sweeps ? "+sweep\r\n" : "+reserve\r\n";
      }
      if (name == "PING") return "+PONG\r\n";
      if (what == "sweep") return ":0\r\n";
      if (name == "EXISTS") return ++looks == 1 ? "" : ":1\r\n";
      if (what == "CACHING") return looks == 0 ? "" : "+OK\r\n";
      if (what == "reserve") {
        // Nothing for the first of them, once both have asked; the second's answer comes later.
        if (++reserves <= 2) return reserves == 1 ? "" : "*0\r\n";
        return "*7\r\n$2\r\n{}\r\n$6\r\ncelery\r\n:0\r\n$3\r\n1:t\r\n:1\r\n$0\r\n\r\n_\r\n";
      }
      return "+OK\r\n";
    }
    task<> talk(plait::net::tcp_stream& s) {
      std::string buffer(16384, '\0');
      for (reader requests;;) {
        const std::size_t came = co_await s.read_some(buffer);
        if (came == 0) co_return;
        std::string_view bytes = std::string_view(buffer).substr(0, came);
        while (auto request = requests.next(bytes)) {
          const int looks_before = looks;
          const std::string said = answer(*request);
          co_await s.write_all(said);
          if (looks_before == looks || looks != 1) continue;
          co_await s.write_all("*0\r\n");
          for (int i = 0; i < rounds; ++i) co_await plait::sleep(0ms);
          co_await s.write_all("+OK\r\n:0\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\ncelery\r\n");
        }
      }
    }
  };
  for (int rounds = 0; rounds < 8; ++rounds) {
    teller t{rounds};
    with_rude([&](plait::net::tcp_stream& s, int) { return t.talk(s); },
              [&](connection_options options) -> task<> {
                redis_broker queues(options, {.sweep_every = 24h});
                const std::vector<std::string> celery = {"celery"};
                auto one = plait::spawn(queues.reserve(celery, 1, 60s));
                auto two = plait::spawn(queues.reserve(celery, 1, 60s));
                for (auto* each : {&one, &two}) {
                  const auto got = co_await plait::move_on_after(10s, *each);
                  EXPECT_TRUE(got) << "missed the news after " << rounds << " rounds";
                }
              });
  }
}

// A leak once, which AddressSanitizer tells: the flow held what held the flow.
TEST(RedisConnection, OneThatIsClosedBeforeItsFirstStepIsFreed) {
  plait::run([]() -> task<> {
    connection server(to_server());
    auto asked = plait::spawn(server.call(command("PING")));
    asked.cancel();
    server.close();
    const bool is_over = co_await throws<std::exception>(asked);
    EXPECT_TRUE(is_over);
    connection other(to_server());
    auto late = [](connection& c) -> task<> { co_await c.call(command("PING")); };
    auto begun = plait::spawn(late(other));
    co_await plait::sleep(0ms);
    other.close();
    const bool is_refused = co_await throws<std::exception>(begun);
    EXPECT_TRUE(is_refused);
  }());
}

TEST(RedisConnection, AnswersInOrder) {
  plait::run([]() -> task<> {
    connection server(to_server());
    (co_await server.call(command("FLUSHALL"))).as_text();
    EXPECT_EQ(server.facts().protocol, 3);
    EXPECT_FALSE(server.facts().run_id.empty());
    std::vector<task<value>> asked;
    for (int i = 0; i < 1000; ++i) asked.push_back(server.call(command("INCR", "n")));
    auto futures = co_await plait::when(std::move(asked));
    int i = 0;
    for (auto& f : futures.done) EXPECT_EQ(f.get().as_integer(), ++i);
    std::vector<command> batch;
    batch.push_back(command("SET", "a", std::string(100'000, 'x')));
    batch.push_back(command("NONSENSE"));
    batch.push_back(command("GET", "a"));
    auto answers = co_await server.pipeline(std::move(batch));
    EXPECT_EQ(answers.at(0).as_text(), "OK");
    EXPECT_TRUE(answers.at(1).is_error());
    EXPECT_EQ(answers.at(2).as_text().size(), 100'000u);
  }());
}

TEST(RedisConnection, SaysWhatTheServerRefused) {
  plait::run([]() -> task<> {
    connection server(to_server());
    std::string code;
    co_await server.call(command("SET", "text", "x"));
    try {
      co_await server.call(command("LPUSH", "text", "y"));
    } catch (const server_error& e) {
      code = e.code();
    }
    EXPECT_EQ(code, "WRONGTYPE");
  }());
}

TEST(RedisConnection, SpeaksVersion2AndUnixSocketsAndOtherDatabases) {
  plait::run([]() -> task<> {
    connection_options options;
    options.socket = redis_server::shared().socket();
    options.protocol = resp_version::resp2;
    options.database = 3;
    connection server(options);
    co_await server.call(command("SET", "where", "3"));
    EXPECT_EQ(server.facts().protocol, 2);
    connection other(parse_url(redis_server::shared().url(3)));
    EXPECT_EQ((co_await other.call(command("GET", "where"))).as_text(), "3");
    std::string heard;
    server.on_push([&](const value& v) { heard = v.items.at(2).text; });
    co_await server.subscribe("news");
    co_await other.call(command("PUBLISH", "news", "hello"));
    while (heard.empty()) co_await plait::sleep(1ms);
    EXPECT_EQ(heard, "hello");
  }());
}

TEST(RedisConnection, LogsInAndTellsWhenItMayNot) {
  redis_server guarded({"--requirepass", "secret"});
  plait::run([](redis_server& own) -> task<> {
    for (const resp_version version : {resp_version::newest, resp_version::resp2}) {
      auto right = parse_url("redis://:secret@127.0.0.1:" + std::to_string(own.port()));
      right.protocol = version;
      connection server(right);
      EXPECT_EQ((co_await server.call(command("PING"))).as_text(), "PONG");
      auto wrong = parse_url("redis://:nonsense@127.0.0.1:" + std::to_string(own.port()));
      wrong.protocol = version;
      connection refused(wrong);
      const bool told = co_await throws<unavailable>(refused.call(command("PING")));
      EXPECT_TRUE(told);  // at once, not at the end of the deadline
    }
  }(guarded));
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST(RedisConnection, SpeaksTlsAndTrustsNobodyUnasked) {
  const test_authority authority;
  const identity shown = authority.issue();
  plait::testing::temporary_folder files;
  write(files / "ca.pem", authority.pem());
  write(files / "cert.pem", shown.certificate);
  write(files / "key.pem", shown.key);
  const std::uint16_t tls_port = redis_server::free_port();
  redis_server secure({"--tls-port", std::to_string(tls_port), "--tls-cert-file",
                       files / "cert.pem", "--tls-key-file", files / "key.pem",
                       "--tls-ca-cert-file", files / "ca.pem", "--tls-auth-clients", "no"});
  const std::string url = "rediss://localhost:" + std::to_string(tls_port) + "/1";
  plait::run([](std::string to, std::string ca) -> task<> {
    connection trusting(parse_url(to + "?ssl_ca_certs=" + ca));
    EXPECT_EQ((co_await trusting.call(command("ECHO", "secret"))).as_text(), "secret");
    auto wary = parse_url(to);
    wary.command_timeout = 300ms;
    connection unasked(wary);
    const bool refused = co_await throws<unavailable>(unasked.call(command("PING")));
    EXPECT_TRUE(refused);
  }(url, files / "ca.pem"));
}

TEST(RedisConnection, RunsScriptsAlsoAfterTheServerForgotThem) {
  plait::run([]() -> task<> {
    static constexpr script twice{"twice", "return ARGV[1] * 2"};
    connection server(to_server());
    EXPECT_EQ((co_await server.run(twice, command("0", 21))).as_integer(), 42);
    co_await server.call(command("SCRIPT", "FLUSH"));
    EXPECT_EQ((co_await server.run(twice, command("0", 4))).as_integer(), 8);
    static constexpr script broken{"broken", "return nonsense("};
    const bool told = co_await throws<server_error>(server.run(broken, command("0")));
    EXPECT_TRUE(told);
  }());
}

TEST(RedisConnection, AStoppedCommandLeavesTheConnectionInOrder) {
  plait::run([]() -> task<> {
    connection server(to_server());
    co_await server.call(command("DEL", "list"));
    for (int i = 0; i < 50; ++i) {
      auto stopped = plait::spawn(server.call(command("ECHO", "stopped")));
      if (i % 3 != 0) co_await plait::sleep(0ms);
      if (i % 3 == 2) co_await plait::sleep(0ms);
      stopped.cancel();
      EXPECT_EQ((co_await server.call(command("ECHO", i))).as_text(), std::to_string(i));
    }
  }());
}

TEST(RedisConnection, HearsOfChangedKeys) {
  plait::run([]() -> task<> {
    auto options = to_server();
    options.tracking = tracking::on;
    connection server(options), other(to_server());
    plait::event changed;
    std::string key;
    server.on_push([&](const value& v) {
      if (v.items.front().text != "invalidate" || v.items.at(1).items.empty()) return;
      key = v.items.at(1).items.front().text;
      changed.set();
    });
    std::vector<command> watch;
    watch.push_back(command("CLIENT", "CACHING", "YES"));
    watch.push_back(command("LLEN", "watched"));
    co_await server.pipeline(std::move(watch));
    EXPECT_TRUE(server.facts().tracks);
    co_await server.call(command("LLEN", "unwatched"));
    co_await server.call(command("LPUSH", "watched", "by itself"));
    EXPECT_FALSE(changed.is_set()) << "what it does itself";
    watch.clear();
    watch.push_back(command("CLIENT", "CACHING", "YES"));
    watch.push_back(command("LLEN", "watched"));
    co_await server.pipeline(std::move(watch));
    co_await other.call(command("LPUSH", "unwatched", "x"));
    co_await other.call(command("LPUSH", "watched", "x"));
    co_await changed.wait();
    EXPECT_EQ(key, "watched");
  }());
}

TEST(RedisConnection, SubscribesAgainOnANewConnection) {
  redis_server own;
  plait::run([](redis_server& mine) -> task<> {
    auto options = parse_url(mine.url());
    options.first_retry = 1ms;
    connection listener(options), speaker(options);
    int heard = 0, connections = 0;
    listener.on_push([&](const value&) { ++heard; });
    listener.on_connect([&] { ++connections; });
    co_await listener.subscribe("news");
    co_await listener.subscribe("weather.*", channel_kind::pattern);
    mine.stop();
    mine.start();
    while (connections < 2) co_await plait::sleep(1ms);
    while (heard < 2) {
      heard = 0;
      co_await speaker.call(command("PUBLISH", "news", "x"), harmless_twice);
      co_await speaker.call(command("PUBLISH", "weather.today", "x"), harmless_twice);
      co_await plait::sleep(1ms);
    }
    EXPECT_EQ(listener.facts().server_changes, 1u);
    listener.unsubscribe("news");
    co_await listener.subscribe("news");
  }(own));
}

TEST(RedisConnection, CommandsUnderWayAtARestartEndOneWayOrTheOther) {
  redis_server own;
  plait::run([](redis_server& mine) -> task<> {
    auto options = parse_url(mine.url());
    options.first_retry = 1ms;
    connection server(options);
    co_await server.call(command("PING"));
    mine.freeze();
    std::vector<plait::future<value>> counted, asked;
    for (int i = 0; i < 20; ++i) counted.push_back(plait::spawn(server.call(command("INCR", "n"))));
    for (int i = 0; i < 20; ++i)
      asked.push_back(plait::spawn(server.call(command("PING"), harmless_twice)));
    co_await let_others_run();  // they are on the way
    mine.stop();
    mine.start();
    for (auto& each : asked) EXPECT_EQ((co_await each).as_text(), "PONG");
    int unknown = 0;
    for (auto& each : counted) {
      const bool lost = co_await throws<unknown_outcome>(each);
      unknown += lost ? 1 : 0;
    }
    EXPECT_EQ(unknown, 20);
    EXPECT_EQ((co_await server.call(command("INCR", "n"))).as_integer(), 1);
  }(own));
}

TEST(RedisConnection, NobodyThereIsToldInTime) {
  connection_options nowhere;
  nowhere.port = 1;
  nowhere.command_timeout = 3s;
  virtual_run([&]() -> task<> {
    connection server(nowhere);
    const auto before = virtual_now();
    const bool told = co_await throws<unavailable>(server.call(command("PING")));
    EXPECT_TRUE(told);
    EXPECT_EQ(virtual_now() - before, plait::duration(3s));
    const bool told_again = co_await throws<unavailable>(server.ready(1s));
    EXPECT_TRUE(told_again);
  });
}

TEST(RudeRedis, DripsItsAnswers) {
  with_rude(
      [](plait::net::tcp_stream& s, int) -> task<> {
        co_await greet(s);
        std::string buffer(100, '\0');
        co_await s.read_some(buffer);
        for (const char c : std::string("*2\r\n$5\r\nhello\r\n:7\r\n")) {
          const char here = c;
          co_await s.write_all({&here, 1});
          co_await plait::sleep(0ms);
        }
        co_await s.read_some(buffer);
      },
      [](connection_options options) -> task<> {
        connection server(options);
        const value v = co_await server.call(command("GET", "x"));
        EXPECT_EQ(v.items.at(0).text, "hello");
        EXPECT_EQ(v.items.at(1).integer, 7);
      });
}

TEST(RudeRedis, ClosesInTheMiddleOfAnAnswer) {
  with_rude(
      [](plait::net::tcp_stream& s, int number) -> task<> {
        co_await greet(s);
        std::string buffer(100, '\0');
        co_await s.read_some(buffer);
        if (number < 3) {
          co_await s.write_all("$100\r\nhalf of ");
        } else {
          co_await s.write_all("+whole\r\n");
          co_await s.read_some(buffer);
        }
      },
      [](connection_options options) -> task<> {
        connection server(options);
        const bool told = co_await throws<unknown_outcome>(server.call(command("INCR", "x")));
        EXPECT_TRUE(told);
        // Harmless twice: asked again until it is answered.
        EXPECT_EQ((co_await server.call(command("GET", "x"), harmless_twice)).as_text(), "whole");
        EXPECT_EQ(server.facts().connections, 4u);
      });
}

TEST(RudeRedis, SpeaksNonsense) {
  for (const char* nonsense :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n+and\r\n+more\r\n+than asked\r\n",
        "$9999999999999\r\n", "\x16\x03\x01\x02\r\n"})
    with_rude(
        [&](plait::net::tcp_stream& s, int number) -> task<> {
          if (number == 1) co_await greet(s);
          std::string buffer(1000, '\0');
          co_await s.read_some(buffer);
          co_await s.write_all(nonsense);
          co_await s.read_some(buffer);
        },
        [&](connection_options options) -> task<> {
          options.command_timeout = 200ms;
          connection server(options);
          bool failed = false;
          try {
            co_await server.call(command("INCR", "x"));
            failed = nonsense[0] == '+';  // the first of them is an answer
          } catch (const plait::error&) {
            failed = true;
          }
          EXPECT_TRUE(failed) << nonsense;
        });
}

TEST(RudeRedis, NeverAnswersTheGreeting) {
  with_rude(
      [](plait::net::tcp_stream& s, int) -> task<> {
        std::string buffer(1000, '\0');
        while (co_await s.read_some(buffer) != 0) {
        }
      },
      [](connection_options options) -> task<> {
        options.command_timeout = options.connect_timeout = 50ms;
        connection server(options);
        const bool told = co_await throws<unavailable>(server.call(command("PING")));
        EXPECT_TRUE(told);
      });
}

// It greets, and refuses the rest with LOADING, which was taken for an answer to whoever asked.
TEST(RudeRedis, LoadsItsDataWhenItIsAskedFirst) {
  with_rude(
      [](plait::net::tcp_stream& s, int number) -> task<> {
        const std::string ready =
            number < 2 ? "-LOADING Redis is loading the dataset in memory\r\n" : "+PONG\r\n";
        co_await greet(s, ready);
        std::string buffer(1000, '\0');
        if (co_await s.read_some(buffer) != 0 && number == 2)
          co_await s.write_all("-LOADING again, as after a full resynchronisation\r\n");
        if (number == 3) {
          co_await s.write_all("$4\r\nhere\r\n");
          co_await s.read_some(buffer);
        }
      },
      [](connection_options options) -> task<> {
        connection server(options);
        const bool told = co_await throws<server_error>(server.call(command("GET", "x")));
        EXPECT_TRUE(told);
        EXPECT_EQ((co_await server.call(command("GET", "x"))).as_text(), "here");
      });
}

// A result that was told after a look, and before the new connection had subscribed, was missed.
TEST(RudeRedis, AResultOfTheMomentBetweenTwoConnectionsIsHeardOf) {
  struct {
    int looks = 0, subscriptions = 0;
  } seen;
  const auto one_request = [](plait::net::tcp_stream& s) -> task<std::string> {
    reader requests;
    std::string buffer(1000, '\0');
    for (;;) {
      const std::size_t came = co_await s.read_some(buffer);
      if (came == 0) co_return "";
      std::string_view bytes = std::string_view(buffer).substr(0, came);
      if (auto request = requests.next(bytes)) co_return request->items.front().text;
    }
  };
  with_rude(
      [&](plait::net::tcp_stream& s, int) -> task<> {
        co_await greet(s);
        for (;;) {
          const std::string name = co_await one_request(s);
          if (name.empty()) co_return;
          if (name == "GET") {
            ++seen.looks;
            const std::string meta = R"({"status": "SUCCESS", "result": 5})";
            const std::string is_there = "$" + std::to_string(meta.size()) + "\r\n" + meta + "\r\n";
            const std::string answer = seen.subscriptions == 2 ? is_there : "$-1\r\n";
            co_await s.write_all(answer);
          } else {
            // The second time slowly, so that whoever looks too early has looked.
            for (int i = 0; seen.subscriptions == 1 && seen.looks < 2 && i < 50; ++i)
              co_await plait::sleep(1ms);
            ++seen.subscriptions;
            co_await s.write_all("*3\r\n$9\r\nsubscribe\r\n$18\r\ncelery-task-meta-x\r\n:1\r\n");
            while (seen.looks == 0) co_await plait::sleep(1ms);
            if (seen.subscriptions == 1) co_return;
          }
        }
      },
      [](connection_options options) -> task<> {
        plait::celery::redis::redis_backend results(options, {}, 5s);
        const std::string meta = co_await plait::timeout(5s, results.wait("x"));
        EXPECT_NE(meta.find("SUCCESS"), std::string::npos);
      });
}

// A connection whose other end has vanished: no end, no reset, no answer.
TEST(RudeRedis, FallsSilent) {
  with_rude(
      [](plait::net::tcp_stream& s, int number) -> task<> {
        co_await greet(s);
        std::string buffer(1000, '\0');
        while (co_await s.read_some(buffer) != 0)
          if (number > 0) co_await s.write_all("+PONG\r\n");
      },
      [](connection_options options) -> task<> {
        options.ping_every = 20ms;
        connection server(options);
        const bool told = co_await throws<unknown_outcome>(server.call(command("INCR", "x")));
        EXPECT_TRUE(told);
        EXPECT_EQ((co_await server.call(command("PING"), harmless_twice)).as_text(), "PONG");
      });
}

}  // namespace
