#include <nlohmann/json.hpp>

#include "cli/reports.hpp"

namespace plait::cli {
namespace {

using json = nlohmann::ordered_json;

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json run_json(const measured_run& r) {
  if (!r.ran) return {{"seconds", nullptr}, {"why_not", r.why_not}};
  json result{{"seconds", r.seconds},
              {"cpu_seconds", r.cpu_seconds},
              {"starved_seconds", r.starved_seconds},
              {"cpu_share", r.cpu_share()},
              {"count", r.count},
              {"failed", r.failed_requests}};
  if (!r.endpoint.empty()) result["with"] = r.endpoint;
  if (!r.rounds.empty()) result["rounds"] = r.rounds;
  return result;
}

json decision_json(const decision& d) {
  if (!d.made) return nullptr;
  return {
      {"bottleneck", d.io ? "I/O" : "CPU"}, {"model", d.model}, {"why", d.why}, {"rule", d.rule}};
}

json target_json(const target_check& t) {
  json result{{"text", or_null(t.text)}, {"met", t.met ? json(*t.met) : json(nullptr)}};
  if (!t.reached.empty()) result["reached"] = t.reached;
  if (!t.why_unchecked.empty()) result["why_unchecked"] = t.why_unchecked;
  return result;
}

json experiment_json(const experiment& e) {
  json article{{"seconds", e.article_seconds}, {"note", or_null(e.article_note)}};
  return {{"id", e.id},
          {"title", e.title},
          {"ran", e.ran},
          {"article", std::move(article)},
          {"python", run_json(e.python)},
          {"plait", run_json(e.plait)},
          {"target", target_json(e.target)},
          {"decision", decision_json(e.verdict)}};
}

json workload_json(const workload& w) {
  json result{{"id", w.id},
              {"title", w.title},
              {"experiments", json::array()},
              {"decision", decision_json(w.verdict)}};
  for (const auto& e : w.experiments) result["experiments"].push_back(experiment_json(e));
  return result;
}

json side_json(const cells& side) {
  json result = json::object();
  for (std::size_t i = 0; i < side.size(); ++i) {
    const cell& c = side[i];
    json one{{"text", c.text}, {"value", c.value ? json(*c.value) : json(nullptr)}};
    if (c.value) one["unit"] = name_of(c.of);
    if (!c.note.empty()) one["note"] = c.note;
    result[model_names[i]] = std::move(one);
  }
  return result;
}

json sizes_json(const comparison_plan& p) {
  return {{"quick", p.quick},
          {"server", p.own_server ? json("embedded") : json(p.url)},
          {"delay_seconds", p.delay_seconds},
          {"requests", p.requests},
          {"connections", p.connections},
          {"primes", p.primes()},
          {"most_threads", p.most_threads},
          {"most_coroutines", p.most_coroutines},
          {"most_workers", p.most_workers}};
}

}  // namespace

json json_report(const comparison& c) {
  json result{{"schema", "plait-compare/1"},
              {"version", PLAIT_VERSION},
              {"seconds", c.seconds},
              {"machine",
               {{"system", c.machine.system},
                {"processor", or_null(c.machine.processor)},
                {"cpus", c.machine.cpus},
                {"memory_bytes", c.machine.memory_bytes}}},
              {"limits",
               {{"open_files", c.descriptors.now},
                {"open_files_before", c.descriptors.before},
                {"open_files_hard", c.descriptors.hard},
                {"open_files_needed", c.plan.descriptors()}}},
              {"ran", sizes_json(c.plan)}};
  if (c.python.found()) {
    result["python"] = {{"path", c.python.path},
                        {"version", c.python.version},
                        {"aiohttp", or_null(c.python.aiohttp)},
                        {"requests", or_null(c.python.requests)}};
  } else {
    result["python"] = {{"path", nullptr}, {"why_not", c.python.why_not}};
  }
  result["workloads"] = json::array();
  for (const auto& w : c.workloads) result["workloads"].push_back(workload_json(w));
  result["table"] = json::array();
  for (const auto& row : c.table)
    result["table"].push_back({{"id", row.id},
                               {"feature", row.feature},
                               {"article", side_json(row.article)},
                               {"python", side_json(row.python)},
                               {"plait", side_json(row.plait)}});
  result["failures"] = c.failures;
  return result;
}

}  // namespace plait::cli
