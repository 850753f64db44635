// Exceptions on their way back from a worker.
#pragma once

#include <exception>

#include "plait/processes/message.hpp"

namespace plait::detail {

// Standard exception types and plait's own travel as themselves; others as type name, what() and,
// line by line, the what() of the exceptions nested in them.
void encode_exception(encoder& to, const std::exception_ptr& error);
// Throws it.
[[noreturn]] void throw_decoded(decoder& from);

}  // namespace plait::detail
