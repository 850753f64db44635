// src/celery/redis/connection.hpp: a connection to Redis that comes back.
//
//   redis::connection server(redis::parse_url("redis://localhost/0"));
//   const auto length = (co_await server.call(command("LLEN", "celery"))).as_integer();
//
// Connects at the first command, and again, after a growing pause, whenever the connection ends.
// Commands are sent in the order of their calls and answered in that order; whatever is ready in one
// turn of the loop leaves in one write. A command that was not sent when the connection ended waits
// for the next one. One that was sent and not answered fails with unknown_outcome, since it may have
// been carried out, unless the caller says that twice does no harm (if_cut::resend).
//
// Threads:  belongs to one loop, and must be gone before it.
// Stops:    a stopped command that was not sent is not sent; else its answer is dropped. The
//           connection stays in order.
// Throws:   server_error, unknown_outcome, unavailable, protocol_error; timeout_error.
// Cost:     one allocation a command and its texts; two buffers of 16 KiB. Idle: one PING each 10 s.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "celery/redis/connection_options.hpp"
#include "celery/redis/resp.hpp"
#include "plait/coroutines/task.hpp"

namespace plait::celery::redis {

enum class if_cut { fail, resend };

struct call_options {
  duration timeout = duration::zero();  // zero: the connection's
  redis::if_cut if_cut = redis::if_cut::fail;
};
inline constexpr call_options harmless_twice{.if_cut = if_cut::resend};

// Lua that runs inside the server, in one step. Its text must live as long as the program.
struct script {
  const char* name;
  const char* text;
};

// The same subscription may be asked for several times; it ends when all have unsubscribed.
enum class channel_kind { exact, pattern };

// What is known of the server, and how often it went.
struct connection_facts {
  int protocol = 0;          // 2 or 3; 0 before the first connection
  std::string version = {};  // of the server
  std::string run_id = {};   // changes when the server is started anew
  bool tracks = false;       // CLIENT TRACKING is on
  std::uint64_t connections = 0;
  std::uint64_t server_changes = 0;  // connections that found another run_id than the one before
};

class connection {
 public:
  explicit connection(connection_options options);
  connection(connection&&) noexcept = default;
  connection& operator=(connection&&) = delete;
  // As close().
  ~connection();

  // The answer; throws server_error if it is an error.
  [[nodiscard]] task<value> call(command c, call_options options = {});
  // All commands in one piece, and their answers, errors among them.
  [[nodiscard]] task<std::vector<value>> pipeline(std::vector<command> commands,
                                                  call_options options = {});
  // `arguments`: the number of keys, the keys, the rest. Loads the script where it is not known.
  [[nodiscard]] task<value> run(const script& s, command arguments, call_options options = {});

  // The script once for each, in one piece; throws server_error for the first that failed.
  [[nodiscard]] task<std::vector<value>> run_each(const script& s, std::vector<command> arguments,
                                                  call_options options = {});

  // Until the server has confirmed it. Messages come to on_push(), also after a new connection, but
  // what was published in between is lost: on_push() hears of each confirmation too ("subscribe",
  // the channel), and from then on to look misses nothing.
  [[nodiscard]] task<> subscribe(std::string channel, channel_kind kind = channel_kind::exact);
  void unsubscribe(const std::string& channel, channel_kind kind = channel_kind::exact) noexcept;
  // Called on the loop; they must neither throw nor wait.
  void on_push(std::function<void(const value&)> hear);
  void on_connect(std::function<void()> hear);

  // Waits until there is a connection; throws unavailable.
  [[nodiscard]] task<> ready(duration timeout);
  // Whoever still waits gets unavailable. Does not wait.
  void close() noexcept;
  const connection_facts& facts() const noexcept;
  const connection_options& options() const noexcept;

 private:
  struct core;
  std::shared_ptr<core> core_;
};

}  // namespace plait::celery::redis
