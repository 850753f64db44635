// plait/net.hpp: TCP on the event loop: streams, listeners, and the addresses of names.
#pragma once

#include "plait/net/endpoint.hpp"
#include "plait/net/errors.hpp"
#include "plait/net/resolve.hpp"
#include "plait/net/tcp_listener.hpp"
#include "plait/net/tcp_stream.hpp"
