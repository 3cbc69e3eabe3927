/*
 * store: SQL is made from the column lists in model.h, so that struct, table, save and load cannot disagree
 * (see store.h).
 */
#include "supervisor/store.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/text.h"
#include "proto/messages.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION 1
#define C_COLUMN(kind, name) "\"" #name "\" " SQL_##kind ","
#define C_NAME(kind, name) "\"" #name "\","
#define C_MARK(kind, name) "?,"
#define SQL_text "TEXT"
#define SQL_num "INTEGER NOT NULL DEFAULT 0"

/* One entry per version: what brings the schema from i to i + 1. Never changed once released, only added to.
 */
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE run (" RUN_COLUMNS(
	C_COLUMN) " PRIMARY KEY (id)) WITHOUT ROWID;"
		  "CREATE TABLE task (" TASK_COLUMNS(
		      C_COLUMN) " PRIMARY KEY (id)) WITHOUT ROWID;"
				"CREATE INDEX task_run ON task (run_id);"
				"CREATE TABLE unit (task TEXT PRIMARY KEY, pid INTEGER, start_ticks INTEGER, "
				"boot_id TEXT) WITHOUT ROWID;"
				"CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT "
				"NULL, run TEXT, task TEXT,"
				" kind TEXT NOT NULL, state TEXT, text TEXT);"
				"CREATE INDEX event_run ON event (run, seq);",
};

enum statement { ST_SAVE_RUN, ST_SAVE_TASK, ST_SAVE_UNIT, ST_DROP_UNIT, ST_ADD_EVENT, ST_COUNT };

/* The column lists end in a comma each: see without_last_comma(). */
static const char *const statements[ST_COUNT] = {
    [ST_SAVE_RUN] = "REPLACE INTO run VALUES (" RUN_COLUMNS(C_MARK) ")",
    [ST_SAVE_TASK] = "REPLACE INTO task VALUES (" TASK_COLUMNS(C_MARK) ")",
    [ST_SAVE_UNIT] = "REPLACE INTO unit VALUES (?1, ?2, ?3, ?4)",
    [ST_DROP_UNIT] = "DELETE FROM unit WHERE task = ?1",
    [ST_ADD_EVENT] = "INSERT INTO event (at, run, task, kind, state, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[ST_COUNT];
	struct store_event_list noted;
	char *boot_id;
};

static int
to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	}
	return -EIO;
}

static int
db_err(struct store *s, struct err *e, const char *what)
{
	int code = sqlite3_extended_errcode(s->db);

	return err_set(e, to_errno(code), "the store: %s: %s", what, sqlite3_errmsg(s->db));
}

static int
db_exec(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_err(s, e, "exec");
}

static int
db_prepare(struct store *s, sqlite3_stmt **st, const char *sql, struct err *e)
{
	return sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK ? 0 : db_err(s, e, "prepare");
}

/* The C_MARK lists end in a comma: "(?,?,)" -> "(?,?)". The same for C_NAME lists in SELECTs. */
static char *
without_last_comma(const char *sql)
{
	char *copy = xstrdup(sql);
	char *p = strstr(copy, ",)");

	if (p == NULL)
		p = strstr(copy, ", FROM");
	if (p != NULL)
		memmove(p, p + 1, strlen(p));
	return copy;
}

static int
user_version(struct store *s, int *version, struct err *e)
{
	sqlite3_stmt *st;
	int rc = db_prepare(s, &st, "PRAGMA user_version", e);

	if (rc < 0)
		return rc;
	if (sqlite3_step(st) == SQLITE_ROW)
		*version = sqlite3_column_int(st, 0);
	else
		rc = db_err(s, e, "reading its version");
	sqlite3_finalize(st);
	return rc;
}

static int
migrate(struct store *s, const char *path, struct err *e)
{
	int version = 0, rc = user_version(s, &version, e);

	if (rc < 0)
		return rc;
	if (version > SCHEMA_VERSION)
		return err_set(e, -EPROTO,
		    "%s was written by a newer orch (schema %d, this one knows %d): use that version", path,
		    version, SCHEMA_VERSION);
	for (; rc == 0 && version < SCHEMA_VERSION; version++) {
		char *sql = xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;",
		    migrations[version], version + 1);

		rc = db_exec(s, sql, e);
		if (rc < 0)
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		free(sql);
	}
	return rc;
}

int
store_open(struct store **out, const char *path, struct err *e)
{
	struct store *s = xcalloc(1, sizeof(*s));
	int rc = 0;
	size_t n;

	TAILQ_INIT(&s->noted);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		rc = db_err(s, e, path);
	if (rc == 0)
		rc = db_exec(s,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF;"
		    "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=1048576; PRAGMA busy_timeout=2000;",
		    e);
	if (rc == 0)
		rc = migrate(s, path, e);
	if (rc < 0 && strstr(e->msg, path) == NULL)
		err_prefix(e, rc, "%s", path);
	for (int i = 0; rc == 0 && i < ST_COUNT; i++) {
		char *sql = without_last_comma(statements[i]);

		rc = db_prepare(s, &s->st[i], sql, e);
		free(sql);
	}
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	if (fd_read_file("/proc/sys/kernel/random/boot_id", 256, &s->boot_id, &n) < 0)
		s->boot_id = xstrdup("unknown");
	s->boot_id[strcspn(s->boot_id, "\n")] = '\0';
	*out = s;
	return 0;
}

void
store_close(struct store *s)
{
	struct store_event *ev;

	if (s == NULL)
		return;
	while ((ev = TAILQ_FIRST(&s->noted)) != NULL) {
		TAILQ_REMOVE(&s->noted, ev, entry);
		store_event_free(ev);
	}
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s->boot_id);
	free(s);
}

const char *
store_boot_id(const struct store *s)
{
	return s->boot_id;
}

void
store_event_free(struct store_event *ev)
{
	free(ev->run);
	free(ev->task);
	free(ev->kind);
	free(ev->state);
	free(ev->text);
	free(ev);
}

void
store_add_event(
    struct store *s, const char *run, const char *task, const char *kind, const char *state, const char *text)
{
	struct store_event *ev = xcalloc(1, sizeof(*ev));

	ev->at = clock_wall_ms();
	ev->run = xstrdup(run);
	ev->task = xstrdup(task);
	ev->kind = xstrdup(kind);
	ev->state = xstrdup(state);
	if (text != NULL)
		ev->text = text_utf8(text, strlen(text), TEXT_MAX);
	TAILQ_INSERT_TAIL(&s->noted, ev, entry);
}

static void
bind_text(sqlite3_stmt *st, int i, const char *text)
{
	sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

static void
bind_num(sqlite3_stmt *st, int i, int64_t n)
{
	sqlite3_bind_int64(st, i, n);
}

static void
load_text(sqlite3_stmt *st, int i, char **text)
{
	*text = xstrdup((const char *)sqlite3_column_text(st, i));
}

static void
load_num(sqlite3_stmt *st, int i, int64_t *n)
{
	*n = sqlite3_column_int64(st, i);
}

static int
db_finish(struct store *s, sqlite3_stmt *st, struct err *e, const char *what)
{
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : db_err(s, e, what);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

static int
save_run(struct store *s, const struct run *r, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_SAVE_RUN];
	int i = 1;

#define C(kind, name) bind_##kind(st, i++, r->name);
	RUN_COLUMNS(C)
#undef C
	return db_finish(s, st, e, "saving a run");
}

static int
save_task(struct store *s, const struct task *t, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_SAVE_TASK];
	int i = 1;

#define C(kind, name) bind_##kind(st, i++, t->name);
	TASK_COLUMNS(C)
#undef C
	return db_finish(s, st, e, "saving a task");
}

static int
save_unit(struct store *s, const struct task *t, struct err *e)
{
	sqlite3_stmt *st = s->st[t->pid > 0 ? ST_SAVE_UNIT : ST_DROP_UNIT];

	bind_text(st, 1, t->id);
	if (t->pid > 0) {
		bind_num(st, 2, t->pid);
		bind_num(st, 3, (int64_t)t->start_ticks);
		bind_text(st, 4, s->boot_id);
	}
	return db_finish(s, st, e, "saving a process");
}

static int
save_event(struct store *s, struct store_event *ev, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_ADD_EVENT];
	int rc;

	bind_num(st, 1, ev->at);
	bind_text(st, 2, ev->run);
	bind_text(st, 3, ev->task);
	bind_text(st, 4, ev->kind);
	bind_text(st, 5, ev->state);
	bind_text(st, 6, ev->text);
	rc = db_finish(s, st, e, "saving an event");
	ev->seq = sqlite3_last_insert_rowid(s->db);
	return rc;
}

static int
save_all(struct store *s, struct run_list *runs, struct err *e)
{
	struct store_event *ev;
	struct run *r;
	struct task *t;
	int rc = 0;

	TAILQ_FOREACH (r, runs, entry) {
		if (r->dirty)
			rc = save_run(s, r, e);
		TAILQ_FOREACH (t, &r->tasks, entry) {
			if (rc == 0 && t->dirty)
				rc = save_task(s, t, e);
			if (rc == 0 && t->unit_dirty)
				rc = save_unit(s, t, e);
		}
		if (rc < 0)
			return rc;
	}
	TAILQ_FOREACH (ev, &s->noted, entry)
		if ((rc = save_event(s, ev, e)) < 0)
			return rc;
	return 0;
}

static void
clear_flags(struct run_list *runs)
{
	struct run *r;
	struct task *t;

	TAILQ_FOREACH (r, runs, entry) {
		r->dirty = false;
		TAILQ_FOREACH (t, &r->tasks, entry)
			t->dirty = t->unit_dirty = false;
	}
}

bool
store_pending(const struct store *s, const struct run_list *runs)
{
	struct run *r;
	struct task *t;

	if (!TAILQ_EMPTY(&s->noted))
		return true;
	TAILQ_FOREACH (r, runs, entry) {
		if (r->dirty)
			return true;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->dirty || t->unit_dirty)
				return true;
	}
	return false;
}

int
store_commit(struct store *s, struct run_list *runs, struct store_event_list *done, struct err *e)
{
	int rc;

	if (!store_pending(s, runs))
		return 0;
	rc = db_exec(s, "BEGIN IMMEDIATE", e);
	if (rc == 0)
		rc = save_all(s, runs, e);
	if (rc == 0)
		rc = db_exec(s, "COMMIT", e);
	if (rc < 0) {
		if (!sqlite3_get_autocommit(s->db))
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return rc;
	}
	clear_flags(runs);
	TAILQ_CONCAT(done, &s->noted, entry);
	return 0;
}

static int
load_tasks(struct store *s, struct run *r, struct err *e)
{
	char *sql = without_last_comma("SELECT " TASK_COLUMNS(C_NAME) " FROM task WHERE run_id = ?1"
								      " ORDER BY level, created_at, ordinal");
	sqlite3_stmt *st;
	int rc = db_prepare(s, &st, sql, e), step;

	free(sql);
	if (rc < 0)
		return rc;
	bind_text(st, 1, r->id);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		struct task *t;
		int i = 0;

		if (step != SQLITE_ROW) {
			rc = db_err(s, e, "loading tasks");
			break;
		}
		t = task_new();
#define C(kind, name) load_##kind(st, i++, &t->name);
		TASK_COLUMNS(C)
#undef C
		rc = run_add_task(r, t, e);
	}
	sqlite3_finalize(st);
	if (rc == 0 && r->director == NULL)
		rc = err_set(e, -EINVAL, "the store: run %s has no task of its own", r->id);
	return rc;
}

static int
load_runs(struct store *s, struct run_list *runs, const char *where, const char *id, struct err *e)
{
	char *all = without_last_comma("SELECT " RUN_COLUMNS(C_NAME) " FROM run");
	char *sql = xasprintf("%s %s", all, where);
	sqlite3_stmt *st;
	int rc = db_prepare(s, &st, sql, e), step;

	free(all);
	free(sql);
	if (rc < 0)
		return rc;
	if (id != NULL)
		bind_text(st, 1, id);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		struct run *r;
		int i = 0;

		if (step != SQLITE_ROW) {
			rc = db_err(s, e, "loading runs");
			break;
		}
		r = run_new();
#define C(kind, name) load_##kind(st, i++, &r->name);
		RUN_COLUMNS(C)
#undef C
		TAILQ_INSERT_TAIL(runs, r, entry);
		rc = run_thaw(r, e);
		if (rc == 0)
			rc = load_tasks(s, r, e);
	}
	sqlite3_finalize(st);
	return rc;
}

int
store_load_unfinished(struct store *s, struct run_list *runs, struct err *e)
{
	return load_runs(s, runs, "WHERE ended_at = 0 ORDER BY serial", NULL, e);
}

int
store_load_run(struct store *s, const char *id, struct run **out, struct err *e)
{
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);
	struct run *r;
	int rc = load_runs(s, &runs, id != NULL ? "WHERE id = ?1" : "ORDER BY serial DESC LIMIT 1", id, e);

	r = TAILQ_FIRST(&runs);
	if (rc == 0 && r == NULL)
		rc = id == NULL
			 ? err_set(e, -ENOENT, "there is no run yet")
			 : err_set(e, -ENOENT, "there is no run %s (orchctl status --all lists them)", id);
	if (rc < 0) {
		run_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

int
store_run_ids(struct store *s, char ***ids, struct err *e)
{
	sqlite3_stmt *st;
	size_t n = 0;
	char **v = xcalloc(1, sizeof(*v));
	int rc = db_prepare(s, &st, "SELECT id FROM run ORDER BY serial", e);

	if (rc < 0) {
		free(v);
		return rc;
	}
	while (sqlite3_step(st) == SQLITE_ROW) {
		v = xrealloc(v, (n + 2) * sizeof(*v));
		v[n++] = xstrdup((const char *)sqlite3_column_text(st, 0));
		v[n] = NULL;
	}
	sqlite3_finalize(st);
	*ids = v;
	return 0;
}

/* The first column of the only row, or def. */
static int64_t
query_num(struct store *s, const char *sql, const char *arg, int64_t def)
{
	sqlite3_stmt *st;

	if (db_prepare(s, &st, sql, NULL) < 0)
		return def;
	if (arg != NULL)
		bind_text(st, 1, arg);
	if (sqlite3_step(st) == SQLITE_ROW)
		def = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return def;
}

bool
store_has_run(struct store *s, const char *id)
{
	return query_num(s, "SELECT count(*) FROM run WHERE id = ?1", id, 0) > 0;
}

int64_t
store_next_serial(struct store *s)
{
	return query_num(s, "SELECT coalesce(max(serial), 0) + 1 FROM run", NULL, 1);
}

int
store_forget_run(struct store *s, const char *id, struct err *e)
{
	static const char *const sql[] = {"DELETE FROM event WHERE run = ?1",
	    "DELETE FROM task WHERE run_id = ?1", "DELETE FROM run WHERE id = ?1"};
	int rc = db_exec(s, "BEGIN IMMEDIATE", e);

	for (size_t i = 0; rc == 0 && i < sizeof(sql) / sizeof(sql[0]); i++) {
		sqlite3_stmt *st;

		rc = db_prepare(s, &st, sql[i], e);
		if (rc < 0)
			break;
		bind_text(st, 1, id);
		rc = db_finish(s, st, e, "forgetting a run");
		sqlite3_finalize(st);
	}
	if (rc == 0)
		rc = db_exec(s, "COMMIT", e);
	if (rc < 0 && !sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
store_load_units(struct store *s, struct store_unit **units, size_t *count, struct err *e)
{
	sqlite3_stmt *st;
	struct store_unit *v = NULL;
	size_t n = 0;
	int rc = db_prepare(s, &st, "SELECT task, pid, start_ticks, boot_id FROM unit", e);

	if (rc < 0)
		return rc;
	while (sqlite3_step(st) == SQLITE_ROW) {
		v = xrealloc(v, (n + 1) * sizeof(*v));
		load_text(st, 0, &v[n].task);
		v[n].pid = (pid_t)sqlite3_column_int64(st, 1);
		v[n].start_ticks = (uint64_t)sqlite3_column_int64(st, 2);
		load_text(st, 3, &v[n].boot_id);
		n++;
	}
	sqlite3_finalize(st);
	*units = v;
	*count = n;
	return 0;
}

void
store_units_free(struct store_unit *units, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(units[i].task);
		free(units[i].boot_id);
	}
	free(units);
}

int
store_each_event(struct store *s, int64_t after_seq, const char *run, const char *task, int64_t limit,
    bool (*fn)(void *arg, const struct store_event *ev), void *arg, struct err *e)
{
	sqlite3_stmt *st;
	int rc = db_prepare(s, &st,
	    "SELECT * FROM (SELECT seq, at, run, task, kind, state, text FROM event WHERE seq > ?1"
	    " AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR task = ?3 OR substr(task, 1, length(?3) + 1) = "
	    "?3 || '/')"
	    " ORDER BY seq DESC LIMIT ?4) ORDER BY seq",
	    e);
	bool more = true;

	if (rc < 0)
		return rc;
	bind_num(st, 1, after_seq);
	bind_text(st, 2, run);
	bind_text(st, 3, task);
	bind_num(st, 4, limit > 0 ? limit : -1);
	while (more && sqlite3_step(st) == SQLITE_ROW) {
		struct store_event ev = {
		    .seq = sqlite3_column_int64(st, 0),
		    .at = sqlite3_column_int64(st, 1),
		    .run = (char *)sqlite3_column_text(st, 2),
		    .task = (char *)sqlite3_column_text(st, 3),
		    .kind = (char *)sqlite3_column_text(st, 4),
		    .state = (char *)sqlite3_column_text(st, 5),
		    .text = (char *)sqlite3_column_text(st, 6),
		};

		more = fn(arg, &ev);
	}
	sqlite3_finalize(st);
	return 0;
}
