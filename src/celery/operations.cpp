#include "celery/operations.hpp"

#include <algorithm>

#include "celery/client.hpp"
#include "celery/wall_clock.hpp"
#include "celery/wire/control_message.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {
namespace {

task<> hear(control_channel& from, std::string key, std::string ticket,
            std::vector<worker_answer>& heard) {
  for (;;) {
    const std::string text = co_await from.next_reply(key);
    try {
      control_reply reply = decode_reply(decode_envelope(text));
      if (reply.ticket == ticket) heard.push_back({std::move(reply.node), std::move(reply.answer)});
    } catch (const decode_error&) {
      // Not for us, whatever it is.
    }
  }
}

task<> ask(control_channel& through, control_request request, duration patience) {
  const std::string envelope = encode_envelope(encode_request(request));
  co_await sleep(duration::zero());  // whoever hears the answers listens first
  co_await through.broadcast(envelope);
  co_await sleep(patience);
}

}  // namespace

task<std::vector<worker_answer>> ask_workers(transport& through, std::string method, dict arguments,
                                             duration patience) {
  control_request request;
  request.method = std::move(method);
  request.arguments = std::move(arguments);
  request.ticket = new_id();
  const std::string key = new_id();
  request.reply_to = control_request::address{"reply.celery.pidbox", key};
  request.expires = static_cast<double>(wall_clock_now()) / 1000 +
                    std::chrono::duration<double>(patience).count();
  std::vector<worker_answer> heard;
  auto hearing = hear(through.control(), key, request.ticket, heard);
  auto asking = ask(through.control(), std::move(request), patience);
  co_await race(std::move(asking), std::move(hearing));
  std::sort(heard.begin(), heard.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  co_return heard;
}

std::string without_password(std::string url) {
  const auto scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  // The last one: a password may have an '@' or a '/' of its own.
  const auto host = url.rfind('@');
  if (host == std::string::npos || host < scheme) return url;
  const auto colon = url.find(':', scheme + 3);
  if (colon == std::string::npos || colon > host) return url;
  return url.replace(colon + 1, host - colon - 1, "***");
}

}  // namespace plait::celery::detail
