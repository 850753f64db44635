// celery/sqlite/tables.hpp: the tables, which may stand beside the application's own in one file.
#pragma once

namespace plait::celery::sqlite {

// A message: state 0 waits; 1 is leased until `due`; 2 is not wanted before `due`. Times are
// milliseconds since 1970. What is restored keeps its number, and so is the next in line.
inline constexpr char tables[] = R"(
CREATE TABLE IF NOT EXISTS plait_messages(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  state INTEGER NOT NULL,
  due INTEGER NOT NULL,
  lease TEXT,
  deliveries INTEGER NOT NULL DEFAULT 0,
  envelope TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS plait_messages_waiting
  ON plait_messages(queue, priority, number) WHERE state = 0;
CREATE INDEX IF NOT EXISTS plait_messages_due ON plait_messages(due) WHERE state <> 0;
CREATE TABLE IF NOT EXISTS plait_dead(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  reason TEXT NOT NULL,
  died INTEGER NOT NULL,
  envelope TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS plait_dead_queue ON plait_dead(queue);
CREATE TABLE IF NOT EXISTS plait_results(
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  meta TEXT NOT NULL,
  expires INTEGER);
CREATE INDEX IF NOT EXISTS plait_results_expires ON plait_results(expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS plait_chords(
  chord TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  begun INTEGER NOT NULL,
  last TEXT);
CREATE TABLE IF NOT EXISTS plait_chord_parts(
  chord TEXT NOT NULL,
  task TEXT NOT NULL,
  place INTEGER,
  entry TEXT NOT NULL,
  PRIMARY KEY(chord, task));
CREATE TABLE IF NOT EXISTS plait_mail(
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  sent INTEGER NOT NULL,
  envelope TEXT NOT NULL);
)";

}  // namespace plait::celery::sqlite
