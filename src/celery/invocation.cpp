#include "celery/wire/exception_info.hpp"
#include "plait/celery/json.hpp"
#include "plait/celery/task_entry.hpp"

namespace plait::celery {

std::stop_token context::stop_token() const { return stop_; }

void context::update_state(std::string state, value meta) {
  if (!update_)
    throw invalid_state(
        "update_state() in a context that no worker has made: nothing keeps states");
  update_(std::move(state), std::move(meta));
}

namespace detail {

namespace {

value optional_text(const std::optional<std::string>& text) {
  return text ? value(*text) : value();
}
std::optional<std::string> text_or_nothing(const value* v) {
  const auto* text = v != nullptr ? v->get_if<std::string>() : nullptr;
  return text != nullptr ? std::optional(*text) : std::nullopt;
}

std::string of_failure(const std::exception_ptr& error) {
  return to_json(dict{{"error", describe(error).to_value()}});
}

}  // namespace

std::string encode_invocation(const invocation& i) {
  const auto& f = i.facts;
  return to_json(list{i.args, f.id, f.task, f.root_id, optional_text(f.parent_id),
                      optional_text(f.group), f.retries, f.deliveries, f.headers});
}

invocation decode_invocation(std::string_view text) {
  const value all = parse_json(text);
  const list& parts = *all.get_if<list>();
  const auto number = [&](std::size_t i) { return from_value<unsigned>(parts.at(i)); };
  const auto string = [&](std::size_t i) { return from_value<std::string>(parts.at(i)); };
  return {.args = from_value<list>(parts.at(0)),
          .facts = {.id = string(1),
                    .task = string(2),
                    .root_id = string(3),
                    .parent_id = text_or_nothing(&parts.at(4)),
                    .group = text_or_nothing(&parts.at(5)),
                    .retries = number(6),
                    .deliveries = number(7),
                    .headers = from_value<dict>(parts.at(8))}};
}

// With whose it is: a thread that outlived its call is another call's by the way of its report.
state_update states_by_report(std::string id) {
  return [id = std::move(id)](std::string state, value meta) {
    this_call::report(to_json(list{id, std::move(state), std::move(meta)}));
  };
}
// A task may make reports of its own, which are nobody's.
std::function<void(std::string_view)> to_each_state(std::string id, state_update update) {
  return [id = std::move(id), update = std::move(update)](std::string_view text) {
    value told;
    try {
      told = parse_json(text);
    } catch (const error&) {
      return;
    }
    const auto* parts = told.get_if<list>();
    if (parts == nullptr || parts->size() != 3 || parts->at(0) != value(id)) return;
    const auto* state = parts->at(1).get_if<std::string>();
    if (state != nullptr) update(*state, parts->at(2));
  };
}

std::string reply_value(const value& v) { return to_json(dict{{"ok", v}}); }

std::string reply_exception() noexcept {
  try {
    throw;
  } catch (const retry_request& r) {
    dict how{{"retry", true}};
    if (r.countdown) how.set("countdown", to_value(*r.countdown));
    if (r.max_retries) how.set("max_retries", *r.max_retries);
    return to_json(how);
  } catch (const replace_request& r) {
    return to_json(dict{{"replace", r.by.to_value()}});
  } catch (...) {
    return of_failure(std::current_exception());
  }
}

}  // namespace detail
}  // namespace plait::celery
