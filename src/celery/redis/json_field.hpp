// src/celery/redis/json_field.hpp: one text of a JSON object, without reading the rest of it.
#pragma once

#include <optional>
#include <string_view>

namespace plait::celery::redis {

// What stands behind `key` in the outermost object of `json`, if it is a string: as it is written,
// without its quotes. Nothing for other values, and for what is no object.
std::optional<std::string_view> text_field(std::string_view json, std::string_view key) noexcept;

}  // namespace plait::celery::redis
