// benchmarks/peers/small_json.hpp: the body that every server here sends for /get, as httpbin
// would.
#pragma once

#include <string_view>

inline constexpr std::string_view small_json =
    R"({"args": {}, "headers": {"Accept": "*/*", "Host": "127.0.0.1"}, "origin": "127.0.0.1", )"
    R"("url": "http://127.0.0.1/get", "pad": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})"
    "\n";
