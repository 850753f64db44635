// src/http/route_tree.hpp: patterns of paths, and the most specific one that a path fits.
//
// A tree by segments. A look-up goes down the literal child first, then {name}, then {name...}, and
// back where a branch ends without an answer: it visits each node once at most.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plait/http/router.hpp"

namespace plait::http {

enum class segment_kind : std::uint8_t { literal, one, rest };

struct pattern_segment {
  segment_kind kind;
  std::string text;  // the literal, or the name
};

// "/users/{id}" as segments; "/" is one empty literal. Throws invalid_route.
std::vector<pattern_segment> parse_pattern(std::string_view pattern);
// "/a/b%2Fc" as "a", "b/c"; nothing for what does not begin with a slash, or has a NUL.
std::optional<std::vector<std::string>> path_segments(std::string_view raw_path);

struct route {
  router::handler answer;
  route_options options;
  std::string pattern;
  std::shared_ptr<const std::vector<std::string>> names;
};

class route_tree {
 public:
  // Throws invalid_route.
  void add(std::string_view method, route added);

  struct match {
    const route* found = nullptr;
    std::vector<std::string> values;
  };
  match find(std::string_view method, const std::vector<std::string>& path) const;
  // "GET, HEAD, OPTIONS"; empty if no pattern fits.
  std::string allowed(const std::vector<std::string>& path) const;
  template <class F>
  void for_each(const F& f) const {
    visit(root_, f);
  }

 private:
  struct node {
    std::map<std::string, std::unique_ptr<node>, std::less<>> literals;
    std::unique_ptr<node> one, rest;
    std::map<std::string, route, std::less<>> routes;  // by method
  };
  using path_type = std::vector<std::string>;
  // Calls `f` with each node that fits, the most specific first, until it returns true.
  template <class F>
  static bool descend(const node& at, const path_type& path, std::size_t depth, path_type& values,
                      const F& f);
  template <class F>
  static void visit(const node& at, const F& f) {
    for (const auto& [method, one] : at.routes) f(method, one);
    for (const auto& [text, child] : at.literals) visit(*child, f);
    if (at.one) visit(*at.one, f);
    if (at.rest) visit(*at.rest, f);
  }
  node root_;
};

}  // namespace plait::http
