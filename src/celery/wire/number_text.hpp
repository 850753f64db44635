// celery/wire/number_text.hpp: floating-point numbers as Python's repr() writes them.
#pragma once

#include <string>

namespace plait::celery::detail {

// The shortest digits that read back as the same number: "1.0", "1e-05", "1e+16". Finite ones only.
void append_float(std::string& to, double d);

}  // namespace plait::celery::detail
