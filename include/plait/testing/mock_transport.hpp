// plait/testing/mock_transport.hpp: the HTTP client's mock transport, where tests look for it. Link
// plait::http.
#pragma once

#include "plait/http/mock_transport.hpp"

namespace plait::testing {
using http::mock_transport;
}
