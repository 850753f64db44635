// libuv echo server, one thread: try_write first, a queued write only for what did not fit.
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

char shared_buffer[65536];

struct queued_write {
  uv_write_t request;
  char data[1];
};

void lend_buffer(uv_handle_t*, std::size_t, uv_buf_t* lent) {
  *lent = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

void free_closed(uv_handle_t* handle) { std::free(handle); }

void echo(uv_stream_t* stream, ssize_t got, const uv_buf_t* received) {
  if (got < 0) return uv_close(reinterpret_cast<uv_handle_t*>(stream), free_closed);
  if (got == 0) return;
  uv_buf_t out = uv_buf_init(received->base, static_cast<unsigned>(got));
  int written = uv_try_write(stream, &out, 1);
  if (written == got) return;
  if (written < 0) written = 0;
  const auto left = static_cast<std::size_t>(got - written);
  auto* queued = static_cast<queued_write*>(std::malloc(sizeof(queued_write) + left));
  std::memcpy(queued->data, received->base + written, left);
  out = uv_buf_init(queued->data, static_cast<unsigned>(left));
  uv_write(&queued->request, stream, &out, 1, [](uv_write_t* done, int) { std::free(done); });
}

void accept(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* connection = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
  uv_tcp_init(listener->loop, connection);
  auto* stream = reinterpret_cast<uv_stream_t*>(connection);
  if (uv_accept(listener, stream) != 0)
    return uv_close(reinterpret_cast<uv_handle_t*>(connection), free_closed);
  uv_tcp_nodelay(connection, 1);
  uv_read_start(stream, lend_buffer, echo);
}

}  // namespace

int main(int argc, char** argv) {
  uv_tcp_t listener;
  sockaddr_in address;
  uv_tcp_init(uv_default_loop(), &listener);
  uv_ip4_addr("127.0.0.1", argc > 1 ? std::atoi(argv[1]) : 0, &address);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, accept) != 0) return 1;
  int length = sizeof address;
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
