// plait/core/version.hpp: which version of plait this is. Semantic versioning: before 1.0 a new minor version
// may change the interface; docs/decisions has the reasons.
#pragma once

namespace plait {

inline constexpr char version[] = "0.1.0";

}  // namespace plait
