#include "http/route_tree.hpp"

#include <algorithm>
#include <set>

#include "http/percent.hpp"

namespace plait::http {
namespace {

[[noreturn]] void refuse(std::string_view pattern, const std::string& why) {
  throw invalid_route("the pattern '" + std::string(pattern) + "' " + why);
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

pattern_segment parse_segment(std::string_view pattern, std::string_view text) {
  if (text.find_first_of("{}") == std::string_view::npos)
    return {segment_kind::literal, percent_decoded(text, plus_sign::is_itself)};
  if (text.front() != '{' || text.back() != '}')
    refuse(pattern, "has braces within a segment: {name} stands for all of it");
  std::string_view name = text.substr(1, text.size() - 2);
  const bool rest = name.ends_with("...");
  if (rest) name.remove_suffix(3);
  if (!is_name(name)) refuse(pattern, "has a name that is not made of letters, digits and _");
  return {rest ? segment_kind::rest : segment_kind::one, std::string(name)};
}

}  // namespace

std::vector<pattern_segment> parse_pattern(std::string_view pattern) {
  if (!pattern.starts_with('/')) refuse(pattern, "does not begin with a slash");
  if (pattern.find_first_of("?#") != std::string_view::npos)
    refuse(pattern, "has a query: patterns are of paths");
  std::vector<pattern_segment> segments;
  std::set<std::string> names;
  for (std::string_view left = pattern.substr(1);;) {
    const auto slash = left.find('/');
    auto segment = parse_segment(pattern, left.substr(0, slash));
    if (segment.kind != segment_kind::literal && !names.insert(segment.text).second)
      refuse(pattern, "has {" + segment.text + "} twice");
    if (segment.kind == segment_kind::rest && slash != std::string_view::npos)
      refuse(pattern, "goes on behind {" + segment.text + "...}, which takes everything");
    segments.push_back(std::move(segment));
    if (slash == std::string_view::npos) return segments;
    left.remove_prefix(slash + 1);
  }
}

std::optional<std::vector<std::string>> path_segments(std::string_view raw_path) {
  if (!raw_path.starts_with('/')) return std::nullopt;
  std::vector<std::string> segments;
  for (raw_path.remove_prefix(1);;) {
    const auto slash = raw_path.find('/');
    const auto raw = raw_path.substr(0, slash);
    segments.push_back(raw.find('%') == std::string_view::npos
                           ? std::string(raw)
                           : percent_decoded(raw, plus_sign::is_itself));
    if (segments.back().find('\0') != std::string::npos) return std::nullopt;
    if (slash == std::string_view::npos) return segments;
    raw_path.remove_prefix(slash + 1);
  }
}

void route_tree::add(std::string_view method, route added) {
  const auto segments = parse_pattern(added.pattern);
  node* at = &root_;
  std::vector<std::string> names;
  for (const auto& segment : segments) {
    auto& next = segment.kind == segment_kind::literal ? at->literals[segment.text]
                 : segment.kind == segment_kind::one   ? at->one
                                                       : at->rest;
    if (next == nullptr) next = std::make_unique<node>();
    at = next.get();
    if (segment.kind != segment_kind::literal) names.push_back(segment.text);
  }
  if (const auto there = at->routes.find(method); there != at->routes.end())
    refuse(added.pattern, "asks for the same as '" + there->second.pattern + "', which was added " +
                              "for " + std::string(method == "*" ? "any method" : method) +
                              " before");
  added.names = std::make_shared<const std::vector<std::string>>(std::move(names));
  at->routes.emplace(method, std::move(added));
}

template <class F>
bool route_tree::descend(const node& at, const path_type& path, std::size_t depth,
                         path_type& values, const F& f) {
  if (depth == path.size()) return !at.routes.empty() && f(at);
  const std::string& segment = path[depth];
  if (const auto found = at.literals.find(segment);
      found != at.literals.end() && descend(*found->second, path, depth + 1, values, f))
    return true;
  if (at.one != nullptr && !segment.empty()) {
    values.push_back(segment);
    if (descend(*at.one, path, depth + 1, values, f)) return true;
    values.pop_back();
  }
  if (at.rest != nullptr) {
    std::string all = segment;
    for (std::size_t i = depth + 1; i < path.size(); ++i) all.append("/").append(path[i]);
    values.push_back(std::move(all));
    if (f(*at.rest)) return true;
    values.pop_back();
  }
  return false;
}

route_tree::match route_tree::find(std::string_view method, const path_type& path) const {
  match result;
  descend(root_, path, 0, result.values, [&](const node& at) {
    auto found = at.routes.find(method);
    if (found == at.routes.end() && method == "HEAD") found = at.routes.find("GET");
    if (found == at.routes.end()) found = at.routes.find("*");
    if (found == at.routes.end()) return false;
    result.found = &found->second;
    return true;
  });
  return result;
}

std::string route_tree::allowed(const path_type& path) const {
  std::set<std::string> methods;
  path_type values;
  descend(root_, path, 0, values, [&](const node& at) {
    for (const auto& [method, answer] : at.routes) methods.insert(method);
    return false;
  });
  if (methods.empty()) return {};
  if (methods.contains("GET")) methods.insert("HEAD");
  methods.insert("OPTIONS");
  methods.erase("*");
  std::string text;
  for (const auto& method : methods) text.append(text.empty() ? "" : ", ").append(method);
  return text;
}

}  // namespace plait::http
