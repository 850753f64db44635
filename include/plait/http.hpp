// plait/http.hpp: HTTP/1.1: get() for threads, client_session for coroutines, and a server.
#pragma once

#include "plait/http/body.hpp"
#include "plait/http/client_session.hpp"
#include "plait/http/cookie_jar.hpp"
#include "plait/http/errors.hpp"
#include "plait/http/get.hpp"
#include "plait/http/headers.hpp"
#include "plait/http/httpbin.hpp"
#include "plait/http/request.hpp"
#include "plait/http/request_options.hpp"
#include "plait/http/response.hpp"
#include "plait/http/response_stream.hpp"
#include "plait/http/server.hpp"
#include "plait/http/session.hpp"
#include "plait/http/transport.hpp"
#include "plait/http/url.hpp"
