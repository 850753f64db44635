// plait/celery/send_within.hpp: a call that is sent if, and only if, the application's own
// transaction is committed.
//
//   sqlite3_exec(db, "BEGIN; INSERT INTO orders ...", ...);
//   plait::celery::send_within(db, mail.signature(order), {.queue = "mail"});
//   sqlite3_exec(db, "COMMIT", ...);
//
// `db` is a connection of the caller's to the file that is the workers' broker (sqlite:FILE).
// Workers that are asleep look within five seconds after the commit, or at the next ring of another.
//
// Threads:  as the connection's.
// Throws:   transport_error, with what SQLite says; the transaction is then as it was.
#pragma once

#include <string>

#include "plait/celery/options.hpp"
#include "plait/celery/signature.hpp"

struct sqlite3;

namespace plait::celery {

// Returns the id of the call.
std::string send_within(sqlite3* db, signature call, send_options options = {});

}  // namespace plait::celery
