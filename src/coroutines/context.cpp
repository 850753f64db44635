#include "plait/coroutines/context.hpp"

#include <optional>

#include "coroutines/task_locals.hpp"

namespace plait::detail {

struct context::extras {
  std::optional<std::stop_source> stop;
  std::string name;
  const task_locals* locals = nullptr;
};

const context::extras* context::extras_or_null() const noexcept {
  return (extras_ & only_locals) != 0 ? nullptr : reinterpret_cast<const extras*>(extras_);
}

context::extras& context::make_extras() {
  if (const extras* have = extras_or_null()) return const_cast<extras&>(*have);
  auto* made = new extras;
  made->locals = locals();
  extras_ = reinterpret_cast<std::uintptr_t>(made);
  return *made;
}

void context::drop_extras() noexcept {
  set_locals(nullptr);
  delete extras_or_null();
}

const task_locals* context::locals() const noexcept {
  if ((extras_ & only_locals) != 0)
    return reinterpret_cast<const task_locals*>(extras_ & ~only_locals);
  const extras* have = extras_or_null();
  return have != nullptr ? have->locals : nullptr;
}

void context::set_locals(const task_locals* next) noexcept {
  const task_locals* before = locals();
  if (auto* have = const_cast<extras*>(extras_or_null())) {
    have->locals = next;
  } else {
    extras_ = next != nullptr ? reinterpret_cast<std::uintptr_t>(next) | only_locals : 0;
  }
  if (before != nullptr) before->release();
}

void context::share_locals(const context& creator) noexcept {
  const task_locals* shared = creator.locals();
  if (shared == nullptr) return;
  shared->add_ref();
  set_locals(shared);
}

void context::request_stop() noexcept {
  if (stopping()) return;
  marks_ |= is_stopping;
  if (const extras* have = extras_or_null(); have != nullptr && have->stop.has_value())
    std::stop_source(*have->stop).request_stop();
  if (waiting_ != nullptr) waiting_->stop();
}

std::stop_token context::stop_token() {
  auto& source = make_extras().stop;
  if (!source.has_value()) {
    source.emplace();
    if (stopping()) source->request_stop();
  }
  return source->get_token();
}

std::string_view context::own_name() const noexcept {
  const extras* have = extras_or_null();
  return have != nullptr ? have->name : std::string_view();
}

std::string_view context::name() const noexcept {
  for (const context* c = this; c != nullptr; c = c->parent_)
    if (const auto name = c->own_name(); !name.empty()) return name;
  return {};
}

void context::set_name(std::string_view name) { make_extras().name = name; }

const void* context::where() const noexcept {
  for (const context* c = this; c != nullptr; c = c->parent_)
    if (const auto where = c->marks_ & (is_stopping - 1); where != 0)
      return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(where));
  return nullptr;
}

void waiter::throw_cancelled() { throw cancelled_error(); }

}  // namespace plait::detail
