#include "celery/builtin_tasks.hpp"

#include "celery/wire/exception_info.hpp"
#include "plait/celery/json.hpp"
#include "plait/coroutines/event_loop.hpp"

namespace plait::celery::detail {
namespace {

// Takes what it is given as one list [args, kwargs] and replies on the worker's loop.
class builtin : public task_entry {
 public:
  explicit builtin(std::string name, task_options options = {})
      : task_entry(std::move(name), std::move(options)) {}
  list bind(list args, dict kwargs) const override {
    list both;
    both.push_back(std::move(args));
    both.push_back(std::move(kwargs));
    return both;
  }
  bool runs_in_process(const engines&) const noexcept override { return false; }
  future<std::string> start(const engines& e, call_order order) const override {
    return event_loop::current().spawn(replied(this, e, std::move(order)), {.name = name()});
  }

 protected:
  virtual task<std::string> reply(const engines& e, invocation i, call_order order) const = 0;

 private:
  static task<std::string> replied(const builtin* self, engines e, call_order order) {
    std::string failed;
    try {
      auto i = decode_invocation(order.invocation);
      co_return co_await self->reply(e, std::move(i), std::move(order));
    } catch (const cancelled_error&) {
      throw;
    } catch (...) {
      failed = reply_exception();
    }
    co_return failed;
  }
};

list& args_of(invocation& i) { return *i.args.at(0).get_if<list>(); }
dict& kwargs_of(invocation& i) { return *i.args.at(1).get_if<dict>(); }

[[noreturn]] void missing(const std::string& task, const char* what) {
  throw type_error(task + "() missing 1 required positional argument: '" + what + "'");
}

class map_task final : public builtin {
 public:
  enum class each { one_argument, argument_list };
  map_task(std::string name, each e, const task_table& tasks)
      : builtin(std::move(name)), each_(e), tasks_(tasks) {}

 private:
  // As Celery's: in this one call, one after the other, and the first failure is the whole's.
  task<std::string> reply(const engines& e, invocation i, call_order order) const override {
    auto& args = args_of(i);
    const auto taken = [&](const char* key, std::size_t place) -> value {
      if (auto named = kwargs_of(i).take(key)) return *std::move(named);
      if (place < args.size()) return args[place];
      missing(name(), key);
    };
    const auto what = signature::from_value(taken("task", 0));
    const auto items = celery::from_value<list>(taken("it", 1));
    const auto found = tasks_.find(what.task);
    if (found == tasks_.end()) throw remote_error("celery.exceptions.NotRegistered", what.task);
    list results;
    for (const value& item : items) {
      list given;
      if (each_ == each::one_argument) {
        given.push_back(item);
      } else {
        given = celery::from_value<list>(item);
      }
      invocation one;
      one.args = found->second->bind(std::move(given), {});
      one.facts = i.facts;
      one.facts.task = what.task;
      call_order next;
      next.invocation = encode_invocation(one);
      next.limits = order.limits;
      next.update = order.update;
      auto running = found->second->start(e, std::move(next));
      auto text = co_await running;
      const value replied = parse_json(text);
      const value* const ok = replied.find("ok");
      if (ok == nullptr) {
        if (replied.find("error") != nullptr) co_return text;
        throw type_error("a call within " + name() + " cannot ask for a retry or a replacement");
      }
      results.push_back(*ok);
    }
    co_return reply_value(value(std::move(results)));
  }

  const each each_;
  const task_table& tasks_;
};

class accumulate_task final : public builtin {
 public:
  accumulate_task() : builtin("celery.accumulate") {}

 private:
  task<std::string> reply(const engines&, invocation i, call_order) const override {
    auto& args = args_of(i);
    const value* const index = kwargs_of(i).find("index");
    if (index == nullptr || index->is_null()) co_return reply_value(value(std::move(args)));
    co_return reply_value(args.at(celery::from_value<std::size_t>(*index)));
  }
};

class cleanup_task final : public builtin {
 public:
  cleanup_task() : builtin("celery.backend_cleanup", {.ignore_result = true}) {}

 private:
  task<std::string> reply(const engines&, invocation, call_order) const override {
    co_return reply_value({});
  }
};

class workflow_task final : public builtin {
 public:
  explicit workflow_task(std::string name) : builtin(std::move(name)) {}

 private:
  task<std::string> reply(const engines&, invocation i, call_order) const override {
    signature whole{.task = name(), .kwargs = std::move(kwargs_of(i))};
    co_return to_json(dict{{"replace", whole.to_value()}});
  }
};

}  // namespace

task_table builtin_tasks(const task_table& tasks) {
  task_table all;
  const auto add = [&all](std::unique_ptr<task_entry> one) {
    auto name = one->name();
    all.emplace(std::move(name), std::move(one));
  };
  add(std::make_unique<map_task>("celery.map", map_task::each::one_argument, tasks));
  add(std::make_unique<map_task>("celery.starmap", map_task::each::argument_list, tasks));
  add(std::make_unique<accumulate_task>());
  add(std::make_unique<cleanup_task>());
  for (const char* name : {"celery.chain", "celery.group", "celery.chord", "celery.chunks"})
    add(std::make_unique<workflow_task>(name));
  return all;
}

}  // namespace plait::celery::detail
