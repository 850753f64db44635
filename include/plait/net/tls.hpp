// plait/net/tls.hpp: TLS over any stream. Not part of net.hpp: link plait::tls, which needs OpenSSL.
#pragma once

#include "plait/net/over_tls.hpp"
#include "plait/net/tls_context.hpp"
#include "plait/net/tls_stream.hpp"
