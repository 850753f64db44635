#include "plait/http/errors.hpp"

namespace plait::http {

status_error::status_error(int status_code, std::string reason, std::string url)
    : error(std::to_string(status_code) + (reason.empty() ? "" : " " + reason) +
            (status_code < 500 ? " (the request is at fault)" : " (the server is at fault)") +
            (url.empty() ? "" : " for " + url)),
      status_code_(status_code),
      url_(std::move(url)) {}

}  // namespace plait::http
