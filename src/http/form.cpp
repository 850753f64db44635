#include "plait/http/form.hpp"

#include <algorithm>

#include "http/multipart_text.hpp"
#include "http/percent.hpp"
#include "plait/http/headers.hpp"
#include "plait/http/refusal.hpp"

namespace plait::http {
namespace {

constexpr auto npos = std::string_view::npos;

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blank = " \t";
  const auto first = text.find_first_not_of(blank);
  if (first == npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::string_view type_of(std::string_view field) noexcept {
  return trimmed(field.substr(0, field.find(';')));
}

// The text between the quotes at the start of `text`, which moves behind them; nothing if they do
// not end.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return value;
    }
    const bool escapes =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    if (escapes) ++i;
    value += text[i];
  }
  return std::nullopt;
}

// The fields of one part.
bool read_head(std::string_view head, form_part& part) {
  bool named = false;
  while (!head.empty()) {
    const auto end = std::min(head.find("\r\n"), head.size());
    const auto line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const auto colon = line.find(':');
    if (colon == npos) return false;
    const auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (same_token(name, "Content-Type")) part.content_type = value;
    if (!same_token(name, "Content-Disposition")) continue;
    if (named || !same_token(type_of(value), "form-data")) return false;
    auto said = parameter_of(value, "name");
    if (!said) return false;
    named = true;
    part.name = std::move(*said);
    if (auto file = parameter_of(value, "filename")) part.file_name = std::move(*file);
  }
  return named;
}

form urlencoded(std::string_view text, const form_limits& limits) {
  form result;
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    if (result.parts.size() == limits.parts) throw refusal(413, "This form has too many fields.");
    const auto equals = std::min(pair.find('='), pair.size());
    form_part part;
    part.name = percent_decoded(pair.substr(0, equals), plus_sign::is_space);
    part.content =
        percent_decoded(pair.substr(std::min(equals + 1, pair.size())), plus_sign::is_space);
    result.parts.push_back(std::move(part));
  }
  return result;
}

}  // namespace

std::optional<std::string> parameter_of(std::string_view field, std::string_view wanted) {
  for (auto semicolon = field.find(';'); semicolon != npos; semicolon = field.find(';')) {
    field = trimmed(field.substr(semicolon + 1));
    const auto equals = field.find_first_of("=;");
    if (equals == npos) return std::nullopt;
    if (field[equals] == ';') continue;
    const auto name = trimmed(field.substr(0, equals));
    field = trimmed(field.substr(equals + 1));
    std::optional<std::string> value;
    if (field.starts_with('"')) {
      value = take_quoted(field);
      if (!value) return std::nullopt;
    } else {
      const auto end = std::min(field.find(';'), field.size());
      value = trimmed(field.substr(0, end));
      field.remove_prefix(end);
    }
    if (same_token(name, wanted)) return value;
  }
  return std::nullopt;
}

form_failure parse_multipart(std::string_view body, std::string_view boundary,
                             const form_limits& limits, std::vector<form_part>& parts) {
  if (boundary.empty() || boundary.size() > 70) return form_failure::malformed;
  const std::string line = "\r\n--" + std::string(boundary);
  const std::string_view first = std::string_view(line).substr(2);
  // What stands before the first boundary counts for nothing.
  std::size_t at = 0;
  if (!body.starts_with(first)) {
    at = body.find(line);
    if (at == npos) return form_failure::malformed;
    at += 2;
  }
  body.remove_prefix(at + first.size());
  for (;;) {
    if (body.starts_with("--")) return form_failure::none;
    const auto end_of_line = body.find("\r\n");
    if (end_of_line == npos || !trimmed(body.substr(0, end_of_line)).empty())
      return form_failure::malformed;
    body.remove_prefix(end_of_line + 2);
    if (parts.size() == limits.parts) return form_failure::too_many_parts;
    const auto end_of_head = body.substr(0, limits.head_bytes + 4).find("\r\n\r\n");
    if (end_of_head == npos)
      return body.size() > limits.head_bytes ? form_failure::head_too_large
                                             : form_failure::malformed;
    form_part part;
    if (!read_head(body.substr(0, end_of_head), part)) return form_failure::malformed;
    body.remove_prefix(end_of_head + 2);  // the head's last line may be the boundary's first
    const auto end = body.find(line);
    if (end == npos) return form_failure::malformed;
    if (end >= 2) part.content = body.substr(2, end - 2);
    parts.push_back(std::move(part));
    body.remove_prefix(end + line.size());
  }
}

const form_part* form::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const form_part& p) { return p.name == name; });
  return found != parts.end() ? &*found : nullptr;
}

std::string form::get(std::string_view name) const {
  const auto* part = find(name);
  return part != nullptr ? part->content : std::string();
}

form form_of(const request& asked, form_limits limits) {
  const auto field = asked.headers.get("Content-Type");
  if (same_token(type_of(field), "application/x-www-form-urlencoded"))
    return urlencoded(asked.content, limits);
  if (!same_token(type_of(field), "multipart/form-data"))
    throw refusal(415, "A form was expected here.");
  form result;
  switch (parse_multipart(asked.content, parameter_of(field, "boundary").value_or(""), limits,
                          result.parts)) {
    case form_failure::none:
      return result;
    case form_failure::malformed:
      throw refusal(400, "This form cannot be read.");
    case form_failure::too_many_parts:
      throw refusal(413, "This form has too many fields.");
    case form_failure::head_too_large:
      throw refusal(413, "A part of this form has a header that is too large.");
  }
  return result;
}

}  // namespace plait::http
