// The tree of tasks: each below whoever awaits it.
#include "cli/task_tree.hpp"

#include <fmt/format.h>

#include <set>

namespace plait::cli {
namespace {

using nlohmann::json;

constexpr const char* adapter = "(T) plait::detail::to_task";
constexpr std::size_t deepest = 200;  // levels of a drawing that anybody could read

// What is drawn: a line, and lines below it.
struct node {
  std::string line;
  std::vector<node> below;
};

class forest {
 public:
  explicit forest(const json& loop) : tasks_(loop.at("tasks")) {}

  std::vector<node> roots() {
    std::set<std::size_t> awaited;
    for (const auto& task : tasks_)
      for (const auto& other : task.at("awaits")) awaited.insert(other.get<std::size_t>());
    std::vector<node> found;
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      if (awaited.count(i) == 0) found.push_back(draw(i));
    // Whoever is left is awaited, and by nobody that anybody else awaits: a circle.
    for (std::size_t i = 0; i < tasks_.size(); ++i)
      if (drawn_.count(i) == 0) found.push_back(draw(i));
    return found;
  }

 private:
  node draw(std::size_t index) {
    const json& task = tasks_.at(index);
    const std::string name = task.value("name", "");
    node top{"(T) " + short_name(name), {}};
    if (path_.count(index) != 0) {
      top.line += fmt::format("  [task {}, above: a circle of tasks that await each other]", index);
      return top;
    }
    if (!drawn_.insert(index).second) {
      top.line += fmt::format("  [task {}, shown above]", index);
      return top;
    }
    path_.insert(index);
    node* at = &top;
    bool first = true;
    for (const auto& coroutine : task.at("coroutines")) {
      if (first && short_name(coroutine.value("function", "")) == short_name(name)) {
        top.line = "(T) " + describe_place(coroutine);
      } else {
        at = &at->below.emplace_back(node{describe_place(coroutine), {}});
      }
      if (first && task.value("more_coroutines", 0) != 0)
        at = &at->below.emplace_back(
            node{fmt::format("... {} more", task.value("more_coroutines", 0)), {}});
      first = false;
    }
    add_wait(task, *at);
    path_.erase(index);
    return top;
  }

  // What is awaited beside others without being a task has one around it, which is not told.
  void add_task(std::size_t index, node& at) {
    node below = draw(index);
    if (below.line.starts_with(adapter) && below.below.size() == 1) {
      at.below.push_back(std::move(below.below.front()));
    } else {
      at.below.push_back(std::move(below));
    }
  }

  void add_wait(const json& task, node& at) {
    const std::string wait = wait_of(task);
    const auto& others = task.at("awaits");
    if (task.value("state", "") != "suspended") {
      at.below.push_back({"[" + task.value("state", "") + "]", {}});
      return;
    }
    const bool awaits_task = wait.starts_with("task ") && others.size() == 1;
    node* below = awaits_task ? &at : &at.below.emplace_back(node{"waits for " + wait, {}});
    if (path_.size() > deepest) {
      if (!others.empty()) below->below.push_back({"...", {}});
      return;
    }
    for (const auto& other : others) add_task(other.get<std::size_t>(), *below);
  }

  const json& tasks_;
  std::set<std::size_t> drawn_, path_;
};

void render(const std::vector<node>& nodes, const std::string& indent, const painter& paint,
            std::string& into) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const bool last = i + 1 == nodes.size();
    into += indent;
    into += last ? "└── " : "├── ";
    const bool is_wait = nodes[i].line.starts_with("waits for ") || nodes[i].line[0] == '[';
    into += paint(is_wait ? tone::dim : tone::plain, nodes[i].line) + "\n";
    render(nodes[i].below, indent + (last ? "    " : "│   "), paint, into);
  }
}

std::string run_of(const json& thread) {
  if (!thread.contains("call")) return thread.value("state", "");
  return fmt::format("{} for {:.3g} s", short_name(thread.value("call", "")),
                     thread.value("seconds", 0.0));
}

node loop_node(const json& loop) {
  const int thread = loop.value("thread", 0);
  const std::string state = loop.value("state", "");
  std::string line = thread != 0 ? fmt::format("loop on thread {}: {}", thread, state)
                                 : fmt::format("loop: {}", state);
  if (loop.contains("call")) line += ", has been running " + run_of(loop);
  if (loop.contains("stuck")) line += "; nothing here can wake its tasks";
  node top{line, forest(loop).roots()};
  if (const auto more = loop.value("more_tasks", 0); more != 0)
    top.below.push_back({fmt::format("... and {} more tasks", more), {}});
  return top;
}

}  // namespace

std::string process_tree(const json& report, const terminal& out) {
  std::vector<node> parts;
  for (const auto& loop : report.at("loops")) parts.push_back(loop_node(loop));
  for (const auto& pool : report.at("thread_pools")) {
    node& top = parts.emplace_back(node{
        fmt::format("thread pool {}: {} queued", pool.value("name", ""), pool.value("queued", 0)),
        {}});
    for (const auto& thread : pool.at("threads"))
      top.below.push_back(
          {fmt::format("thread {}: {}", thread.value("thread", 0), run_of(thread)), {}});
  }
  for (const auto& pool : report.at("process_pools")) {
    node& top = parts.emplace_back(
        node{fmt::format("process pool: {} queued", pool.value("queued", 0)), {}});
    for (const auto& worker : pool.at("workers"))
      top.below.push_back(
          {fmt::format("process {}: {}", worker.value("pid", 0), run_of(worker)), {}});
  }
  const painter paint(out);
  const std::string program = report.value("program", "");
  std::string text =
      fmt::format("{} ({})\n", program.substr(program.rfind('/') + 1), report.value("pid", 0));
  render(parts, "", paint, text);
  return text;
}

}  // namespace plait::cli
