// Sends one line to a TLS server and prints the line that comes back:
//   tls_client HOST PORT LINE [CA.pem]
#include <iostream>
#include <string>

#include <plait/coroutines.hpp>
#include <plait/net.hpp>
#include <plait/net/tls.hpp>

using plait::net::tls_client_context;
using plait::net::tls_stream;

plait::task<std::string> ask(std::string host, std::uint16_t port, std::string line,
                             const tls_client_context& trust) {
  auto stream = co_await tls_stream::connect(host, port, trust);
  co_await stream.write_all(line + "\n");
  plait::net::buffered_reader reader(stream);
  auto answer = co_await reader.read_line();
  co_await stream.shutdown_write();  // says the end: without it the server must suspect a cut
  co_return answer.value_or("(nothing)");
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "tls_client HOST PORT LINE [CA.pem]\n";
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::stoi(argv[2]));
  try {
    const tls_client_context trust({.ca = argc > 4 ? argv[4] : ""});
    std::cout << plait::run(ask(argv[1], port, argv[3], trust)) << '\n';
  } catch (const plait::net::error& error) {
    std::cout << error.what() << '\n';
  }
}
