#include "net/failures.hpp"

#include <netdb.h>
#include <sys/resource.h>

#include <cerrno>

#include "plait/net/errors.hpp"

namespace plait::net {
namespace {

std::error_code kernel_code(int code) { return {code, std::generic_category()}; }

}  // namespace

bool out_of_descriptors(int code) noexcept { return code == EMFILE || code == ENFILE; }

void throw_out_of_descriptors(int code) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  throw descriptors_exhausted(
      code == EMFILE ? "no file descriptors left (limit " + std::to_string(limit.rlim_cur) +
                           "): raise it with ulimit -n"
                     : "no file descriptors left on this machine: see sysctl fs.file-max",
      kernel_code(code));
}

void throw_connect_error(int code, const std::string& whom) {
  std::string text;
  switch (code) {
    case ECONNREFUSED:
      text = "connection refused by " + whom + ": is the server running?";
      break;
    case ETIMEDOUT:
      text = "no answer from " + whom + " to the connection request: is it reachable?";
      break;
    case ENETUNREACH:
    case EHOSTUNREACH:
      text = "no route to " + whom + ": is this machine connected to that network?";
      break;
    case EADDRNOTAVAIL:
      text = "no local port left for a connection to " + whom +
             ": too many connections to it are open or have just been closed";
      break;
    default:
      text = "cannot connect to " + whom + ": " + kernel_code(code).message();
  }
  throw connect_error(text, kernel_code(code));
}

void throw_closed(int code, const char* doing, const std::string& whom) {
  throw connection_closed(
      whom + " closed the connection while we were " + doing + ": " + kernel_code(code).message(),
      kernel_code(code));
}

void throw_listen_error(int code, const std::string& where) {
  std::string text = "cannot listen on " + where + ": " + kernel_code(code).message();
  if (code == EADDRINUSE) text += " (another program listens there: choose another port, or 0)";
  if (code == EACCES) text += " (ports below 1024 need a privilege)";
  if (code == EADDRNOTAVAIL) text += " (this machine does not have that address)";
  throw listen_error(text, kernel_code(code));
}

void throw_unix_listen_error(int code, const std::string& where) {
  std::string text = "cannot listen on " + where + ": " + kernel_code(code).message();
  if (code == EADDRINUSE)
    text += " (somebody listens there, or the file is no socket: choose another name)";
  if (code == EACCES) text += " (this user may not make files in that folder)";
  if (code == ENOENT) text += " (that folder does not exist)";
  throw listen_error(text, kernel_code(code));
}

void throw_dns_error(int code, int system_code, const std::string& host) {
  std::string why = code == EAI_SYSTEM ? kernel_code(system_code).message() : gai_strerror(code);
  if (code == EAI_NONAME || code == EAI_NODATA) {
    why = "no such host: is the name spelled right?";
  } else if (code == EAI_AGAIN) {
    why = "no name server answered: is this machine online?";
  }
  throw dns_error("cannot resolve " + host + ": " + why);
}

}  // namespace plait::net
