// plait/net.hpp: the network and the operating system on the event loop: TCP, Unix sockets,
// datagrams, names; programs, signals, pipes and files.
#pragma once

#include "plait/net/buffered_reader.hpp"
#include "plait/net/byte_stream.hpp"
#include "plait/net/command.hpp"
#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/exit_status.hpp"
#include "plait/net/file.hpp"
#include "plait/net/pipe.hpp"
#include "plait/net/resolve.hpp"
#include "plait/net/run_command.hpp"
#include "plait/net/run_until_signal.hpp"
#include "plait/net/signal_set.hpp"
#include "plait/net/subprocess.hpp"
#include "plait/net/tcp_listener.hpp"
#include "plait/net/tcp_stream.hpp"
#include "plait/net/udp_socket.hpp"
#include "plait/net/unix_listener.hpp"
#include "plait/net/unix_stream.hpp"
#include "plait/net/whole_file.hpp"
