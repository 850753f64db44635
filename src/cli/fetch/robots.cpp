#include "cli/fetch/robots.hpp"

#include <algorithm>

#include "plait/http/errors.hpp"
#include "plait/http/headers.hpp"

namespace plait::cli::fetch {
namespace {

constexpr std::size_t largest_file = 500 * 1024;  // RFC 9309, 2.5
constexpr std::size_t most_sites = 20'000;

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blank = " \t\r";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// '*' stands for anything, '$' at the end for the end. Linear: what '*' takes only ever grows.
bool matches(std::string_view pattern, std::string_view target) noexcept {
  const bool to_the_end = pattern.ends_with('$');
  if (to_the_end) pattern.remove_suffix(1);
  std::size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < target.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && pattern[p] == target[t]) {
      ++p;
      ++t;
    } else if (p == pattern.size() && !to_the_end) {
      return true;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

robots_rules::robots_rules(std::string_view text, std::string_view product) {
  text = text.substr(0, largest_file);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<rule> ours, everybodys;
  bool has_ours = false, in_names = false, group_is_ours = false, group_is_everybodys = false;
  while (!text.empty()) {
    const auto whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(whole.size() + 1, text.size()));
    const auto line = trimmed(whole.substr(0, whole.find('#')));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto key = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
    if (http::same_token(key, "user-agent")) {
      if (!std::exchange(in_names, true)) group_is_ours = group_is_everybodys = false;
      if (value == "*") {
        group_is_everybodys = true;
      } else if (!product.empty() && http::same_token(value, product)) {
        group_is_ours = has_ours = true;
      }
      continue;
    }
    const bool allow = http::same_token(key, "allow");
    if (!allow && !http::same_token(key, "disallow")) continue;
    in_names = false;
    if (value.empty()) continue;  // forbids nothing
    if (group_is_ours) ours.push_back({std::string(value), allow});
    if (group_is_everybodys) everybodys.push_back({std::string(value), allow});
  }
  rules_ = has_ours ? std::move(ours) : std::move(everybodys);
}

bool robots_rules::allows(std::string_view target) const {
  if (target == "/robots.txt") return true;
  const rule* decides = nullptr;
  for (const rule& r : rules_) {
    if (!matches(r.pattern, target)) continue;
    const bool longer = decides == nullptr || r.pattern.size() > decides->pattern.size();
    if (longer || (r.pattern.size() == decides->pattern.size() && r.allows)) decides = &r;
  }
  return decides == nullptr || decides->allows;
}

task<bool> robots::allow(const http::url& to) {
  const std::string name = to.scheme() + "://" + to.authority();
  if (sites_.size() >= most_sites && !sites_.contains(name)) sites_.clear();
  auto& entry = sites_[name];
  if (entry == nullptr) {
    entry = std::make_shared<site>();
    const auto asked = entry;  // the table may move on meanwhile
    const struct tell {
      event& known;
      ~tell() { known.set(); }
    } scope{asked->known};
    asked->rules = co_await ask(to);
    co_return asked->rules.allows(to.target());
  }
  const auto known = entry;
  co_await known->known.wait();
  co_return known->rules.allows(to.target());
}

task<robots_rules> robots::ask(const http::url& to) {
  bool failed = false;
  http::response answer;
  try {
    auto download = co_await session_.stream("GET", to.resolve("/robots.txt").to_string());
    answer = download.head();
    if (answer.ok()) {
      answer.content.clear();
      while (answer.content.size() < largest_file) {
        const std::string piece = co_await download.read_some();
        if (piece.empty()) break;
        answer.content += piece;
      }
    }
  } catch (const http::error&) {
    failed = true;
  } catch (const timeout_error&) {
    failed = true;
  }
  if (failed || answer.status_code >= 500) co_return robots_rules::allow_nothing();
  if (!answer.ok()) co_return robots_rules::allow_all();
  co_return robots_rules(answer.content, product_);
}

}  // namespace plait::cli::fetch
