// plait/http/refusal.hpp: a handler says no: an exception that becomes the answer.
//
//   if (user == nullptr) throw plait::http::refusal(404, "there is no user " + id);
//
// Not status_error: that is what somebody else's server answered to us, and a handler that forwards
// nothing of it answers 500.
#pragma once

#include <string>

#include "plait/http/errors.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

class refusal : public error {
 public:
  // The text is for the client, as text/plain; empty: the code's usual words.
  explicit refusal(int status_code, const std::string& text = {});
  // Whatever answer.
  explicit refusal(response answer);
  const response& answer() const noexcept { return answer_; }

 private:
  response answer_;
};

}  // namespace plait::http
