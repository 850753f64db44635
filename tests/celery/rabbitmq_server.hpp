// tests/celery/rabbitmq_server.hpp: a RabbitMQ of the test's own, on free ports of the loopback
// interface, with its files in a temporary folder; ended with the object, and by the kernel if the test
// dies first. Its port mapper (epmd) is a child of ours too, instead of a daemon that would stay.
// It also speaks TLS, with a certificate for "localhost" (not for 127.0.0.1) from an authority of its own.
#pragma once

#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "net/test_authority.hpp"
#include "plait/testing/temporary_folder.hpp"
#include "redis_server.hpp"

class rabbitmq_server {
 public:
  rabbitmq_server()
      : port_(redis_server::free_port()),
        tls_port_(redis_server::free_port()),
        epmd_port_(redis_server::free_port()),
        distribution_port_(redis_server::free_port()) {
    {
      const test_authority authority;
      const identity shown = authority.issue({.names = "DNS:localhost"});
      std::ofstream(folder_ / "ca.pem") << authority.pem();
      std::ofstream(folder_ / "cert.pem") << shown.certificate;
      std::ofstream(folder_ / "key.pem") << shown.key;
      std::ofstream(folder_ / ".erlang.cookie") << "PLAITTESTCOOKIE" << port_;
      std::ofstream(folder_ / "enabled_plugins") << "[].\n";
      std::ofstream(folder_ / "rabbitmq.conf")
          << "listeners.tcp.local = 127.0.0.1:" << port_ << "\nheartbeat = 10\n"
          << "disk_free_limit.absolute = 10MB\n"
          << "listeners.ssl.local = 127.0.0.1:" << tls_port_ << "\n"
          << "ssl_options.cacertfile = " << authority_file() << "\n"
          << "ssl_options.certfile = " << folder_ / "cert.pem"
          << "\n"
          << "ssl_options.keyfile = " << folder_ / "key.pem"
          << "\n"
          << "ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n";
    }
    chmod((folder_ / ".erlang.cookie").c_str(), 0400);
    epmd_.emplace(std::vector<std::string>{"epmd", "-address", "127.0.0.1", "-port",
                                           std::to_string(epmd_port_)},
                  folder_ / "epmd.log");
    start();
  }
  rabbitmq_server(const rabbitmq_server&) = delete;
  rabbitmq_server& operator=(const rabbitmq_server&) = delete;

  // One for the whole program: it takes seconds to start.
  static rabbitmq_server& shared() {
    static rabbitmq_server server;
    return server;
  }

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& credentials = "guest:guest") const {
    return "amqp://" + credentials + "@127.0.0.1:" + std::to_string(port_) + "//";
  }
  // Over TLS, to `host`, without a word about whom to trust: that is "?ssl_ca_certs=" authority_file().
  std::string tls_url(const std::string& host = "localhost") const {
    return "amqps://guest:guest@" + host + ":" + std::to_string(tls_port_) + "//";
  }
  std::string authority_file() const { return folder_ / "ca.pem"; }

  void start() {
    const std::string base = folder_.path();
    std::vector<std::string> words = {
        "env",
        "HOME=" + base,
        "RUNNING_UNDER_SYSTEMD=1",  // the virtual machine takes the script's place
        "NOTIFY_SOCKET=",
        "ERL_EPMD_ADDRESS=127.0.0.1",
        "ERL_EPMD_PORT=" + std::to_string(epmd_port_),
        "RABBITMQ_NODENAME=plait" + std::to_string(port_) + "@localhost",
        "RABBITMQ_NODE_IP_ADDRESS=",
        "RABBITMQ_NODE_PORT=",
        "RABBITMQ_DIST_PORT=" + std::to_string(distribution_port_),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        "RABBITMQ_CONF_ENV_FILE=/dev/null",
        "RABBITMQ_CONFIG_FILE=" + base + "/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE=" + base + "/enabled_plugins",
        "RABBITMQ_MNESIA_BASE=" + base + "/mnesia",
        "RABBITMQ_LOG_BASE=" + base + "/log",
        "/usr/lib/rabbitmq/bin/rabbitmq-server"};
    server_.emplace(std::move(words), folder_ / "server.log");
    for (int attempt = 0; attempt < 6000; ++attempt) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port_);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const bool there = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
      close(fd);
      if (there) return;
      if (!server_->is_running())
        throw std::runtime_error("rabbitmq-server ended at once: is it installed?\n" +
                                 server_->output());
      usleep(10'000);
    }
    throw std::runtime_error("rabbitmq-server does not listen\n" + server_->output());
  }
  void stop() { server_->end(SIGKILL); }
  // Like a machine that hangs: connections stay, nothing is answered.
  void freeze() { server_->freeze(); }
  void thaw() { server_->send(SIGCONT); }

 private:
  plait::testing::temporary_folder folder_;
  std::uint16_t port_, tls_port_, epmd_port_, distribution_port_;
  std::optional<child_process> epmd_, server_;
};
