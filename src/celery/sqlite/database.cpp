#include "celery/sqlite/database.hpp"

#include <sqlite3.h>

#include <chrono>
#include <thread>

#include "celery/sqlite/tables.hpp"

namespace plait::celery::sqlite {

namespace {

constexpr std::chrono::milliseconds patience(5000);

}  // namespace

statement::~statement() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

statement& statement::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_, ++next_, value);
  return *this;
}
statement& statement::bind(std::string_view text) {
  // Null would be NULL, and not an empty text.
  const char* bytes = text.data() != nullptr ? text.data() : "";
  sqlite3_bind_text64(statement_, ++next_, bytes, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
statement& statement::bind_null() {
  sqlite3_bind_null(statement_, ++next_);
  return *this;
}

bool statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  connection(sqlite3_db_handle(statement_)).fail(code);
}

std::int64_t statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
std::string statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return bytes == nullptr
             ? std::string()
             : std::string(bytes,
                           static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}
bool statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

connection::connection(const std::string& file, const std::string& synchronous) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr);
  try {
    if (code != SQLITE_OK) fail(code);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, static_cast<int>(patience.count()));
    write_ahead();
    execute(("PRAGMA synchronous=" + synchronous).c_str());
    execute("BEGIN IMMEDIATE");
    execute(tables);
    execute("COMMIT");
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

connection::~connection() {
  for (const auto& [sql, prepared] : prepared_) sqlite3_finalize(prepared);
  if (owned_) sqlite3_close_v2(handle_);
}

// The first of several that open a new file turns it into one with a log. SQLite tells the others at
// once that it is busy, whatever the timeout is, for two that wait for each other here would be a deadlock.
void connection::write_ahead() {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const int code = sqlite3_exec(handle_, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return;
    if ((code & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() > give_up) fail(code);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

statement connection::operator()(const char* sql) {
  auto& prepared = prepared_[sql];
  if (prepared == nullptr) {
    const int code =
        sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    if (code != SQLITE_OK) fail(code);
  }
  return statement(prepared);
}

void connection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

std::int64_t connection::changes() const noexcept { return sqlite3_changes64(handle_); }
std::int64_t connection::last_row() const noexcept { return sqlite3_last_insert_rowid(handle_); }
bool connection::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }

void connection::fail(int code) const {
  const char* name = handle_ != nullptr ? sqlite3_db_filename(handle_, "main") : nullptr;
  std::string text = std::string("sqlite: ") + (name != nullptr ? name : "the file") + ": ";
  switch (code & 0xff) {
    case SQLITE_BUSY:
      text += "another process has kept it locked for five seconds";
      break;
    case SQLITE_FULL:
      text += "the disk is full";
      break;
    case SQLITE_READONLY:
      text += "it may only be read";
      break;
    case SQLITE_CANTOPEN:
      text += "it cannot be opened";
      break;
    case SQLITE_NOTADB:
      text += "it is not an SQLite database";
      break;
    default:
      text += handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
      throw transport_error(text);
  }
  throw transport_error(text + " (" + (handle_ != nullptr ? sqlite3_errmsg(handle_) : "") + ")");
}

database::database(std::string file, std::string synchronous, void (*ring)(void*), void* bell)
    : file_(std::move(file)),
      ring_(ring),
      bell_(bell),
      connection_(std::make_unique<connection>(file_, synchronous)),
      thread_([this] { work(*connection_); }) {}

database::~database() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void database::post(std::unique_ptr<call> c) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    first = waiting_.empty();
    waiting_.push_back(std::move(c));
  }
  if (first) wake_.notify_one();
}

void database::work(connection& c) {
  std::vector<std::unique_ptr<call>> batch;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      batch.swap(waiting_);
    }
    carry_out(c, batch);
    batch.clear();
  }
}

void database::carry_out(connection& c, std::vector<std::unique_ptr<call>>& batch) {
  std::exception_ptr failed;
  try {
    bool writes = false;
    for (const auto& one : batch) writes |= one->writes;
    c.execute(writes ? "BEGIN IMMEDIATE" : "BEGIN");
    for (const auto& one : batch) {
      if (one->writes) c.execute("SAVEPOINT one");
      try {
        one->carry_out(c);
      } catch (...) {
        one->error = std::current_exception();
      }
      if (!one->writes) continue;
      // After an error such as a full disk the whole transaction may be gone.
      if (!c.in_transaction()) std::rethrow_exception(one->error);
      if (one->error != nullptr) c.execute("ROLLBACK TO one");
      c.execute("RELEASE one");
    }
    c.execute("COMMIT");
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed != nullptr && c.in_transaction()) {
    try {
      c.execute("ROLLBACK");
    } catch (const transport_error&) {  // nothing of it will be seen: the file is as it was
    }
  }
  const bool rings = c.take_ring();
  if (rings && failed == nullptr) ring_(bell_);
  for (auto& one : batch) {
    const auto error = one->error != nullptr ? one->error : failed;
    if (error != nullptr) {
      one->fail(error);
    } else if (auto next = one->committed()) {
      post(std::move(next));
    }
  }
}

}  // namespace plait::celery::sqlite
