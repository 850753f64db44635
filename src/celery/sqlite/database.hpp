// celery/sqlite/database.hpp: one SQLite file, one connection, and the thread that may block on it.
//
// Calls that arrive while a transaction is under way are carried out together in the next one: each
// in a savepoint of its own, so that one that fails takes nothing with it, and all of them with one
// commit (one fsync). Their futures are done after the commit.
//
// Threads:  read and write from any thread; the calls run on the thread of the database.
// Stops:    a call whose future was cancelled is carried out all the same.
// Throws:   transport_error, with what SQLite says: busy for five seconds, full, read-only, no database.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plait/celery/errors.hpp"
#include "plait/core/future.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace plait::celery::sqlite {

// A prepared statement in use; reset when it goes.
class statement {
 public:
  explicit statement(sqlite3_stmt* s) noexcept : statement_(s) {}
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement();

  // In the order of the question marks.
  statement& bind(std::int64_t value);
  statement& bind(std::string_view text);
  statement& bind_null();
  template <class... Values>
  statement& with(const Values&... values) {
    (bind(values), ...);
    return *this;
  }
  // True: there is a row.
  bool step();
  void run() {
    while (step()) {
    }
  }
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  sqlite3_stmt* statement_;
  int next_ = 0;
};

// A connection, on the one thread that uses it. Owned by the database, or the caller's own.
class connection {
 public:
  explicit connection(sqlite3* of_another) noexcept : handle_(of_another), owned_(false) {}
  connection(const std::string& file, const std::string& synchronous);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  // Prepared once for each text.
  statement operator()(const char* sql);
  void execute(const char* sql);
  std::int64_t changes() const noexcept;
  std::int64_t last_row() const noexcept;
  bool in_transaction() const noexcept;
  // Something was written that others wait for: the bell rings after the commit.
  void ring_after_commit() noexcept { rings_ = true; }
  bool take_ring() noexcept { return std::exchange(rings_, false); }
  [[noreturn]] void fail(int code) const;

 private:
  void write_ahead();

  sqlite3* handle_ = nullptr;
  bool owned_ = true;
  bool rings_ = false;
  std::unordered_map<const char*, sqlite3_stmt*> prepared_;
};

class database {
 public:
  // Creates the file and the tables if they are not there. `ring` is called after commits.
  database(std::string file, std::string synchronous, void (*ring)(void*), void* bell);
  ~database();  // carries out what was asked, then ends the thread

  // f(connection&), in a transaction. `undo`, if it is given, is called with the result, in another
  // transaction, if nobody wants it any more.
  template <class F>
  auto write(F f) {
    return post<true>(std::move(f), [](connection&, const auto&...) {});
  }
  template <class F, class Undo>
  auto write(F f, Undo undo) {
    return post<true>(std::move(f), std::move(undo));
  }
  // The same, of calls that change nothing.
  template <class F>
  auto read(F f) {
    return post<false>(std::move(f), [](connection&, const auto&...) {});
  }

  const std::string& file() const noexcept { return file_; }

 private:
  struct call {
    explicit call(bool w) : writes(w) {}
    virtual ~call() = default;
    virtual void carry_out(connection& c) = 0;
    virtual void fail(std::exception_ptr error) noexcept = 0;
    // After the commit; a call that is to be done next because nobody wanted the result, or null.
    virtual std::unique_ptr<call> committed() noexcept = 0;
    const bool writes;
    std::exception_ptr error;
  };
  template <class R, class F, class Undo>
  struct typed_call;
  template <bool Writes, class F, class Undo>
  auto post(F f, Undo undo);
  void post(std::unique_ptr<call> c);
  void work(connection& c);
  void carry_out(connection& c, std::vector<std::unique_ptr<call>>& batch);

  std::string file_;
  void (*ring_)(void*);
  void* bell_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<call>> waiting_;
  bool closing_ = false;
  std::unique_ptr<connection> connection_;
  std::thread thread_;
};

template <class R, class F, class Undo>
struct database::typed_call final : call {
  typed_call(bool w, F given, Undo u) : call(w), f(std::move(given)), undo(std::move(u)) {}
  void carry_out(connection& c) override {
    if constexpr (std::is_void_v<R>) {
      f(c);
    } else {
      result.emplace(f(c));
    }
  }
  void fail(std::exception_ptr e) noexcept override { promise.set_exception(std::move(e)); }
  std::unique_ptr<call> committed() noexcept override {
    if constexpr (std::is_void_v<R>) {
      promise.set_value();
    } else {
      if (!promise.cancelled()) {
        auto kept = *result;
        if (promise.set_value(*std::move(result))) return nullptr;
        result.emplace(std::move(kept));
      }
      auto undoing = [u = std::move(undo), r = *std::move(result)](connection& c) { u(c, r); };
      auto nothing = [](connection&, const auto&...) {};
      return std::make_unique<typed_call<void, decltype(undoing), decltype(nothing)>>(
          true, std::move(undoing), nothing);
    }
    return nullptr;
  }
  F f;
  Undo undo;
  std::conditional_t<std::is_void_v<R>, bool,
                     std::optional<std::conditional_t<std::is_void_v<R>, int, R>>>
      result{};
  plait::promise<R> promise;
};

template <bool Writes, class F, class Undo>
auto database::post(F f, Undo undo) {
  using result = std::invoke_result_t<F&, connection&>;
  auto made = std::make_unique<typed_call<result, F, Undo>>(Writes, std::move(f), std::move(undo));
  auto future = made->promise.get_future();
  post(std::move(made));
  return future;
}

}  // namespace plait::celery::sqlite
