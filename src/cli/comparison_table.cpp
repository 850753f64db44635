// The article's comparison table: its cells, and beside each what this machine measured.
#include <fmt/format.h>

#include "cli/comparison.hpp"

namespace plait::cli {
namespace {

// The measurements of one model, in the order of model_names.
constexpr std::array<const char*, 3> held{"held-threads", "held-coroutines", "held-workers"};
constexpr std::array<const char*, 3> switched{"switch-threads", "switch-coroutines",
                                              "switch-workers"};

cell text_cell(std::string text) { return {std::move(text), std::nullopt, unit::count, ""}; }

cells text_cells(const char* threads, const char* coroutines, const char* processes) {
  return {text_cell(threads), text_cell(coroutines), text_cell(processes)};
}

cell number_cell(double value, unit u, std::string note = "") {
  return {format(value, u), value, u, std::move(note)};
}

// One side of the table: ours, or Python's.
class column_source {
 public:
  column_source(const outcomes& results, std::string prefix, std::string absent)
      : results_(&results), prefix_(std::move(prefix)), absent_(std::move(absent)) {}

  // The number `key` of three measurements; where there is none, why.
  cells numbers(const std::array<const char*, 3>& names, const char* key, unit u) const {
    cells row;
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = number(names[i], key, u);
    return row;
  }
  cells populations() const {
    cells row;
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = number(held[i], "count", unit::count);
      if (!row[i].value) continue;
      row[i].note = result(held[i])->value("stopped_by", "");
      if (row[i].note == "cap") row[i].text += "+";
    }
    return row;
  }
  cells memory() const {
    cells row = numbers(held, "bytes_each", unit::bytes);
    const auto* threads = result(held[0]);
    const double reserved = threads != nullptr ? threads->value("reserved_each", 0.0) : 0;
    if (reserved > 0) row[0].note = format_bytes(reserved) + " reserved";
    return row;
  }

 private:
  const nlohmann::json* result(const char* name) const {
    const auto found = results_->find(prefix_ + name);
    return found != results_->end() && found->second.ok() ? &found->second.result : nullptr;
  }
  cell number(const char* name, const char* key, unit u) const {
    const auto* measured = result(name);
    if (measured != nullptr && measured->contains(key))
      return number_cell(measured->value(key, 0.0), u);
    const auto found = results_->find(prefix_ + name);
    const bool failed = found != results_->end() && !found->second.ok();
    return {"-", std::nullopt, u, failed ? found->second.error : absent_};
  }
  const outcomes* results_;
  std::string prefix_, absent_;
};

cell speed_up_cell(const std::vector<workload>& workloads, const char* id,
                   measured_run experiment::*side, const char* of) {
  const auto factor = speed_up(workloads, id, side);
  if (!factor) return {"-", std::nullopt, unit::ratio, "not measured"};
  return {fmt::format("{} {}", of, format_ratio(*factor)), *factor, unit::ratio, ""};
}

// What each model is best for, as what it did here.
cells best_for(const comparison_plan& plan, const std::vector<workload>& workloads,
               measured_run experiment::*side) {
  cells row;
  row[0] = speed_up_cell(workloads, "requests-threads", side, "requests");
  const auto& many = find_experiment(workloads, "requests-coroutines")->*side;
  row[1] =
      many.ran
          ? cell{fmt::format("{} in {}", grouped(plan.connections), format_seconds(many.seconds)),
                 many.seconds, unit::seconds, ""}
          : cell{"-", std::nullopt, unit::seconds, "not measured"};
  row[2] = speed_up_cell(workloads, "primes-processes", side, "primes");
  return row;
}

cells lock(const std::vector<workload>& workloads, measured_run experiment::*side) {
  cells row;
  row[0] = speed_up_cell(workloads, "primes-threads", side, "primes");
  row[1] = text_cell("one thread");
  row[2] = speed_up_cell(workloads, "primes-processes", side, "primes");
  return row;
}

}  // namespace

std::vector<table_row> read_table(const comparison_plan& plan, const python_interpreter& python,
                                  const std::vector<workload>& workloads, const outcomes& results) {
  const column_source ours(results, "plait/", "not measured");
  const column_source pythons(results, "python/", python.found() ? "not measured" : python.why_not);
  const auto run_row = [&](auto make) {
    return std::pair{make(&experiment::python), make(&experiment::plait)};
  };
  const auto [best_python, best_plait] =
      run_row([&](auto side) { return best_for(plan, workloads, side); });
  const auto [lock_python, lock_plait] = run_row([&](auto side) { return lock(workloads, side); });
  const auto measured = [&](const char* key) {
    return std::pair{pythons.numbers(switched, key, unit::seconds),
                     ours.numbers(switched, key, unit::seconds)};
  };
  const auto [switch_python, switch_plait] = measured("switch_seconds");
  const auto [call_python, call_plait] = measured("call_seconds");
  const auto [share_python, share_plait] = measured("share_seconds");
  const cells silent = text_cells("", "", "");
  return {
      {"best_for", "best for", text_cells("I/O, moderate", "I/O, many connections", "CPU"),
       best_python, best_plait},
      {"gil", "the GIL", text_cells("released during I/O", "no issue, one thread", "one GIL each"),
       lock_python, lock_plait},
      {"memory", "memory for one more", text_cells("~8 MB", "~1 KB", "a full process"),
       pythons.memory(), ours.memory()},
      {"held", "how many at once", text_cells("~100-1,000", "~10,000+", "~CPU cores"),
       pythons.populations(), ours.populations()},
      {"start", "starting one", silent, pythons.numbers(held, "start_seconds", unit::seconds),
       ours.numbers(held, "start_seconds", unit::seconds)},
      {"switch", "switching to another", silent, switch_python, switch_plait},
      {"call", "a call there and back", silent, call_python, call_plait},
      {"shared_state", "a call with 1 MiB",
       text_cells("shared, easy", "shared, easy", "serialized, hard"), share_python, share_plait},
      {"libraries", "libraries", text_cells("all", "async only", "all"), silent,
       text_cells("all", "awaiting; to_thread", "all")},
      {"debugging", "debugging", text_cells("race conditions", "simpler", "hard"), silent,
       text_cells("races: use TSan", "no data races", "a crash has a name")},
  };
}

}  // namespace plait::cli
