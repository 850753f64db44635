#include "plait/celery/send_within.hpp"

#include <algorithm>

#include "celery/client.hpp"
#include "celery/sqlite/store.hpp"
#include "celery/sqlite/tables.hpp"

namespace plait::celery {

std::string send_within(sqlite3* db, signature call, send_options options) {
  detail::outgoing_call sent{std::move(call.task), std::move(call.args), std::move(call.kwargs),
                             std::move(options)};
  const std::string queue = sent.options.queue.empty() ? "celery" : sent.options.queue;
  const int priority = std::clamp(sent.options.priority, 0, 9);
  const auto m = detail::message_of(sent);
  sqlite::connection c(db);
  c.execute(sqlite::tables);
  sqlite::insert(c, detail::parcel_of(m, queue, priority));
  return m.id;
}

}  // namespace plait::celery
