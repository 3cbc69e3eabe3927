-- A database as orch 0.1.0 wrote it before there were migrations (user_version 1): one run, two tasks.
CREATE TABLE run (
  id TEXT, serial INTEGER NOT NULL DEFAULT 0, issue TEXT, title TEXT, body
  TEXT, state INTEGER NOT NULL DEFAULT 0, stopped INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT
  NULL DEFAULT 0, question TEXT, reason TEXT, branch TEXT, base_branch TEXT, base TEXT, head TEXT,
  options TEXT, created_at INTEGER NOT NULL DEFAULT 0, started_at INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 0, insertions INTEGER NOT NULL
  DEFAULT 0, deletions INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id)) WITHOUT ROWID;
CREATE TABLE task (
  id TEXT, run_id TEXT, parent_id TEXT, level INTEGER NOT NULL DEFAULT 0,
  ordinal INTEGER NOT NULL DEFAULT 0, key TEXT, title TEXT, goal TEXT, owns TEXT, needs TEXT,
  "after" TEXT, acceptance TEXT, plan TEXT, state INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT
  NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, rework INTEGER NOT NULL DEFAULT 0, doomed
  INTEGER NOT NULL DEFAULT 0, branch TEXT, base TEXT, head TEXT, session TEXT, reason TEXT, evidence
  TEXT, merge_from TEXT, wait_until INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL DEFAULT
  0, started_at INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL DEFAULT 0, submitted_at
  INTEGER NOT NULL DEFAULT 0, ended_at INTEGER NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 0,
  insertions INTEGER NOT NULL DEFAULT 0, deletions INTEGER NOT NULL DEFAULT 0, cost_uusd INTEGER NOT
  NULL DEFAULT 0, tokens_in INTEGER NOT NULL DEFAULT 0, tokens_out INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id)) WITHOUT ROWID;
CREATE INDEX task_run ON task (run_id);
CREATE TABLE unit (
  task TEXT PRIMARY KEY, pid INTEGER, start_ticks INTEGER, boot_id TEXT)
  WITHOUT ROWID;
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, run TEXT, task
  TEXT, kind TEXT NOT NULL, state TEXT, text TEXT);
CREATE INDEX event_run ON event (run, seq);
INSERT INTO run (id, serial, issue, title, body, state, base, options, created_at, files) VALUES
  ('25', 7, '25', 'Build a calculator', 'It adds.', 1, 'cafe', '{"max_ems":2}', 1000, 3);
INSERT INTO task (id, run_id, title, goal, state, attempt, created_at) VALUES
  ('25', '25', 'Build a calculator', 'It adds.', 1, 1, 1000);
INSERT INTO task (id, run_id, parent_id, level, ordinal, key, title, goal, "after", state, attempt, created_at)
  VALUES ('25/em1', '25', '25', 1, 1, 'core', 'Core', 'Adding.', '[]', 0, 1, 1001);
INSERT INTO event (at, run, kind, text) VALUES (1000, '25', 'state', 'queued');
PRAGMA user_version = 1;
