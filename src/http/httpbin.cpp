#include "plait/http/httpbin.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "http/json_text.hpp"
#include "plait/coroutines/timer.hpp"

namespace plait::http {
namespace {

struct visit {
  const httpbin_options& options;
  const request& asked;
  std::string_view argument;  // what follows the route's name in the path
};

response plain(int code, std::string_view content, std::string_view type) {
  response answer{.status_code = code};
  answer.headers.add_checked("Content-Type", type);
  answer.content = content;
  return answer;
}

response not_found() {
  return plain(404,
               "There is no such page here: see /get, /delay/1, /bytes/100, /status/404, "
               "/redirect/3\n",
               "text/plain");
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::string_view query_value(const std::vector<std::pair<std::string, std::string>>& query,
                             std::string_view name) {
  const auto found = std::find_if(query.begin(), query.end(),
                                  [&](const auto& pair) { return pair.first == name; });
  return found != query.end() ? std::string_view(found->second) : std::string_view();
}

// "X-Forwarded-For", however it was written.
std::string title_case(std::string_view name) {
  std::string result(name);
  bool begins = true;
  for (char& c : result) {
    if (begins && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (!begins && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    begins = c == '-';
  }
  return result;
}

void append_args(std::string& to, const request& asked) {
  std::map<std::string, std::vector<std::string>> args;
  for (auto& [name, value] : asked.query()) args[name].push_back(value);
  to += '{';
  for (const auto& [name, values] : args) {
    if (to.back() != '{') to += ',';
    append_json_string(to, name);
    to += ':';
    if (values.size() > 1) to += '[';
    for (const auto& value : values) {
      if (to.back() != ':' && to.back() != '[') to += ',';
      append_json_string(to, value);
    }
    if (values.size() > 1) to += ']';
  }
  to += '}';
}

// In the order of their names; repeats are joined with commas.
void append_headers(std::string& to, const headers& fields) {
  std::vector<std::pair<std::string, std::string>> sorted;
  for (const auto field : fields) {
    auto name = title_case(field.name);
    const auto same = std::find_if(sorted.begin(), sorted.end(),
                                   [&](const auto& other) { return other.first == name; });
    if (same != sorted.end()) {
      same->second.append(",").append(field.value);
    } else {
      sorted.emplace_back(std::move(name), field.value);
    }
  }
  std::sort(sorted.begin(), sorted.end());
  to += '{';
  for (const auto& [name, value] : sorted) {
    if (to.back() != '{') to += ',';
    append_json_string(to, name);
    to += ':';
    append_json_string(to, value);
  }
  to += '}';
}

enum class form { left_out, empty };

response description(const request& asked, form body) {
  response answer;
  answer.headers.add_checked("Content-Type", "application/json");
  std::string& json = answer.content;
  json.reserve(256 + asked.headers.text().size() + asked.target.size());
  json += "{\"args\":";
  append_args(json, asked);
  if (body == form::empty) json += ",\"data\":\"\",\"files\":{},\"form\":{}";
  json += ",\"headers\":";
  append_headers(json, asked.headers);
  json += ",\"origin\":";
  append_json_string(json, asked.peer.address());
  json += ",\"url\":";
  append_json_string(json, "http://" + std::string(asked.headers.get("Host")) + asked.target);
  json += "}\n";
  return answer;
}

task<response> get_page(visit v) {
  if (!v.argument.empty()) co_return not_found();
  co_return description(v.asked, form::left_out);
}

task<response> delay_page(visit v) {
  const auto seconds = number<double>(v.argument);
  if (!seconds || !std::isfinite(*seconds))
    co_return plain(400, "A delay is a number of seconds\n", "text/plain");
  const std::chrono::duration<double> longest = v.options.max_delay;
  co_await sleep(std::min(std::chrono::duration<double>(*seconds), longest));
  co_return description(v.asked, form::empty);
}

task<response> bytes_page(visit v) {
  const auto wanted = number<std::uint64_t>(v.argument);
  if (!wanted) co_return not_found();
  const auto query = v.asked.query();
  const auto seed = number<std::uint64_t>(query_value(query, "seed"));
  std::mt19937_64 random(seed ? *seed : std::random_device{}());
  response answer;
  answer.headers.add_checked("Content-Type", "application/octet-stream");
  answer.content.resize(std::min<std::uint64_t>(*wanted, v.options.max_bytes));
  for (std::size_t i = 0; i < answer.content.size(); i += 8) {
    std::uint64_t word = random();
    for (std::size_t j = i; j < std::min(i + 8, answer.content.size()); ++j, word >>= 8)
      answer.content[j] = static_cast<char>(word & 0xff);
  }
  co_return answer;
}

task<response> status_page(visit v) {
  const auto code = number<int>(v.argument);
  // Below 200 no answer would follow what the client takes for an announcement.
  if (!code || *code < 200 || *code > 999)
    co_return plain(400, "Invalid status code", "text/plain");
  response answer = plain(*code, {}, "text/html; charset=utf-8");
  if (reason_of(*code).empty()) answer.reason = "UNKNOWN";
  const bool redirects =
      (*code >= 301 && *code <= 303) || *code == 305 || *code == 307 || *code == 308;
  if (redirects) answer.headers = {{"Location", "/redirect/1"}};
  if (*code == 401) answer.headers = {{"WWW-Authenticate", "Basic realm=\"Fake Realm\""}};
  co_return answer;
}

task<response> redirect_page(visit v) {
  const auto left = number<unsigned>(v.argument);
  if (!left || *left == 0) co_return not_found();
  response answer = plain(302, {}, "text/html; charset=utf-8");
  answer.headers.add_checked("Location",
                             *left == 1 ? "/get" : "/redirect/" + std::to_string(*left - 1));
  co_return answer;
}

struct route {
  std::string_view path;  // with a slash at the end: an argument follows
  std::string_view methods;
  task<response> (*answer)(visit);
};
constexpr route routes[] = {
    {"/get", "GET, HEAD, OPTIONS", get_page},
    {"/delay/", "GET, HEAD, OPTIONS", delay_page},
    {"/bytes/", "GET, HEAD, OPTIONS", bytes_page},
    {"/status/", "GET, HEAD, OPTIONS, DELETE, PATCH, POST, PUT, TRACE", status_page},
    {"/redirect/", "GET, HEAD, OPTIONS", redirect_page},
};

bool allows(const route& r, std::string_view method) {
  for (std::string_view rest = r.methods; !rest.empty();) {
    const auto one = rest.substr(0, rest.find(','));
    if (one == method) return true;
    rest.remove_prefix(std::min(one.size() + 2, rest.size()));
  }
  return false;
}

task<response> find_answer(const httpbin_options& options, request asked) {
  const std::string path = asked.path();
  const auto* found = std::find_if(std::begin(routes), std::end(routes), [&](const route& r) {
    return r.path.back() == '/' ? path.starts_with(r.path) : path == r.path;
  });
  response answer;
  if (found == std::end(routes)) {
    answer = not_found();
  } else if (!allows(*found, asked.method)) {
    answer = plain(405, "The method is not allowed for the requested URL.\n", "text/plain");
    answer.headers.add_checked("Allow", found->methods);
  } else if (asked.method == "OPTIONS") {
    answer = plain(200, {}, "text/html; charset=utf-8");
    answer.headers.add_checked("Allow", found->methods);
  } else {
    answer =
        co_await found->answer({options, asked, std::string_view(path).substr(found->path.size())});
  }
  answer.headers.add_checked("Server", "plait");
  answer.headers.add_checked("Access-Control-Allow-Origin", "*");
  answer.headers.add_checked("Access-Control-Allow-Credentials", "true");
  co_return answer;
}

}  // namespace

server::handler httpbin(httpbin_options options) {
  // The server keeps the handler, and with it the options, for as long as it answers.
  return [options](request asked) { return find_answer(options, std::move(asked)); };
}

}  // namespace plait::http
