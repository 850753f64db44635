// The worker's part in workflows: its own tasks, and chords whose last part ends here.
#include <iostream>

#include "celery/worker_engine.hpp"

namespace plait::celery::detail {

const task_entry* worker_engine::find_task(const std::string& name) const {
  for (const task_table* table : {&tasks_, &builtins_})
    if (const auto found = table->find(name); found != table->end()) return found->second.get();
  return nullptr;
}

task<> worker_engine::end_parts(const call_facts& f, call_end& end) {
  while (!end.parts.empty()) {
    const part_end part = std::move(end.parts.back());
    end.parts.pop_back();
    const value entry = list{1, part.task_id, part.state, part.result};
    const auto all = co_await results_.end_chord_part(
        chord_part(part.group, part.task_id, part.index, to_json(entry)));
    if (!all) continue;
    // A second copy of the last part's message, here at the same time: the first sends the body, and if
    // it cannot, it comes back.
    if (!chords_ending_.insert(part.group).second) continue;
    end.held.emplace_back(
        nullptr, [this, group = part.group](std::nullptr_t) { chords_ending_.erase(group); });
    std::optional<result_tree> shape;
    if (const auto text = co_await results_.restore_group(part.group)) {
      try {
        shape = decode_group(*text);
      } catch (const std::exception& e) {
        std::cerr << "plait worker: the saved group " << part.group
                  << " cannot be read: " << e.what() << '\n';
      }
    }
    end_chord(f, part.body, *all, shape, end);
    end.chords.push_back(part.group);
  }
}

// To the dead list; for all others it is a failure like any.
task<> worker_engine::bury(delivery d, const task_message& m, const task_entry* entry,
                           std::string why, exception_info error) {
  ++counts_.buried;
  std::cerr << "plait worker: a message of " << d.queue << " is dead: " << why << '\n';
  outcome o;
  o.error = std::move(error);
  const auto facts = facts_of(m, d, entry);
  auto end = end_of(facts, std::move(o));
  co_await end_parts(facts, end);
  co_await finish(std::move(d.tag), std::move(end), std::move(why));
}

}  // namespace plait::celery::detail
