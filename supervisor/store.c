/*
 * store: SQL is made from the column lists in model.h, so that struct, table, save and load cannot disagree
 * (see store.h).
 */
#include "supervisor/store_impl.h"

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

#define C_MARK(kind, name) "?,"

/* The column lists end in a comma each: see store_sql(). */
static const char *const statements[ST_COUNT] = {
    [ST_SAVE_RUN] = "REPLACE INTO run (" RUN_COLUMNS(C_NAME) ") VALUES (" RUN_COLUMNS(C_MARK) ")",
    [ST_SAVE_TASK] = "REPLACE INTO task (" TASK_COLUMNS(C_NAME) ") VALUES (" TASK_COLUMNS(C_MARK) ")",
    [ST_SAVE_UNIT] = "REPLACE INTO unit VALUES (?1, ?2, ?3, ?4)",
    [ST_DROP_UNIT] = "DELETE FROM unit WHERE task = ?1",
    [ST_ADD_EVENT] = "INSERT INTO event (at, run, task, kind, state, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ST_DROP_EVENTS] = "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?1",
    [ST_SAVE_GATEWAY] = "REPLACE INTO gateway (id, pid, start_ticks, boot_id, port, serial)"
			" VALUES (1, ?1, ?2, ?3, ?4, ?5)",
    [ST_DROP_KEYS] = "DELETE FROM key_state WHERE run = ?1",
    [ST_SAVE_KEY] = "REPLACE INTO key_state (run, name, family, state, until, since, why, organisation)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
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

int
store_db_err(struct store *s, struct err *e, const char *what)
{
	int code = sqlite3_extended_errcode(s->db);

	return err_set(e, to_errno(code), "the store: %s: %s", what, sqlite3_errmsg(s->db));
}

int
store_exec(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_db_err(s, e, "exec");
}

int
store_prepare(struct store *s, sqlite3_stmt **st, const char *sql, struct err *e)
{
	return sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK ? 0 : store_db_err(s, e, "prepare");
}

/* "(?,?,)" -> "(?,?)", and the same before FROM. */
char *
store_sql(const char *sql)
{
	char *copy = xstrdup(sql), *p;

	while ((p = strstr(copy, ",)")) != NULL || (p = strstr(copy, ", FROM")) != NULL)
		memmove(p, p + 1, strlen(p));
	return copy;
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
		rc = store_db_err(s, e, path);
	if (rc == 0)
		rc = store_exec(s,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF;"
		    "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=1048576; PRAGMA busy_timeout=2000;",
		    e);
	if (rc == 0)
		rc = store_migrate(s, path, e);
	if (rc < 0 && strstr(e->msg, path) == NULL)
		err_prefix(e, rc, "%s", path);
	for (int i = 0; rc == 0 && i < ST_COUNT; i++) {
		char *sql = store_sql(statements[i]);

		rc = store_prepare(s, &s->st[i], sql, e);
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
	store_clear_gateway(s);
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

static struct store_event *
add_event(
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
	return ev;
}

void
store_add_event(
    struct store *s, const char *run, const char *task, const char *kind, const char *state, const char *text)
{
	add_event(s, run, task, kind, state, text);
}

void
store_add_remark(struct store *s, const char *run, const char *task, const char *kind, const char *text)
{
	add_event(s, run, task, kind, NULL, text)->remark = true;
}

void
store_bind_text(sqlite3_stmt *st, int i, const char *text)
{
	sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
}

void
store_bind_num(sqlite3_stmt *st, int i, int64_t n)
{
	sqlite3_bind_int64(st, i, n);
}

int
store_finish(struct store *s, sqlite3_stmt *st, struct err *e, const char *what)
{
	int rc = sqlite3_step(st) == SQLITE_DONE ? 0 : store_db_err(s, e, what);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

static int
save_run(struct store *s, const struct run *r, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_SAVE_RUN];
	int i = 1;

#define C(kind, name) store_bind_##kind(st, i++, r->name);
	RUN_COLUMNS(C)
#undef C
	return store_finish(s, st, e, "saving a run");
}

static int
save_task(struct store *s, const struct task *t, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_SAVE_TASK];
	int i = 1;

#define C(kind, name) store_bind_##kind(st, i++, t->name);
	TASK_COLUMNS(C)
#undef C
	return store_finish(s, st, e, "saving a task");
}

static int
save_unit(struct store *s, const struct task *t, struct err *e)
{
	sqlite3_stmt *st = s->st[t->process.pid > 0 ? ST_SAVE_UNIT : ST_DROP_UNIT];

	store_bind_text(st, 1, t->id);
	if (t->process.pid > 0) {
		store_bind_num(st, 2, t->process.pid);
		store_bind_num(st, 3, (int64_t)t->process.start_ticks);
		store_bind_text(st, 4, s->boot_id);
	}
	return store_finish(s, st, e, "saving a process");
}

static int
save_event(struct store *s, struct store_event *ev, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_ADD_EVENT];
	int rc;

	store_bind_num(st, 1, ev->at);
	store_bind_text(st, 2, ev->run);
	store_bind_text(st, 3, ev->task);
	store_bind_text(st, 4, ev->kind);
	store_bind_text(st, 5, ev->state);
	store_bind_text(st, 6, ev->text);
	rc = store_finish(s, st, e, "saving an event");
	ev->seq = sqlite3_last_insert_rowid(s->db);
	return rc;
}

void
store_keep_events(struct store *s, int64_t max)
{
	s->max_events = s->added = max; /* what is there already is looked at with the next commit */
}

/* Now and then: each time costs a look at the index. */
static int
drop_old_events(struct store *s, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_DROP_EVENTS];
	int rc;

	if (s->max_events == 0 || s->added <= s->max_events / 16)
		return 0;
	store_bind_num(st, 1, s->max_events);
	rc = store_finish(s, st, e, "dropping old events");
	if (rc == 0)
		s->added = 0;
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
	TAILQ_FOREACH (ev, &s->noted, entry) {
		if ((rc = save_event(s, ev, e)) < 0)
			return rc;
		s->added++;
	}
	rc = drop_old_events(s, e);
	return rc < 0 ? rc : store_save_gateway(s, e);
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

	if (!TAILQ_EMPTY(&s->noted) || s->gw.dirty || s->gw.run != NULL)
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

/* Anything but which process serves which task, and what became of one. */
static bool
is_promised(const struct store *s, const struct run_list *runs)
{
	const struct store_event *ev;
	const struct run *r;
	const struct task *t;

	if (s->gw.dirty || s->gw.run != NULL)
		return true;
	TAILQ_FOREACH (ev, &s->noted, entry)
		if (!ev->remark)
			return true;
	TAILQ_FOREACH (r, runs, entry) {
		if (r->dirty)
			return true;
		TAILQ_FOREACH (t, &r->tasks, entry)
			if (t->dirty)
				return true;
	}
	return false;
}

/*
 * A commit waits for the disk (synchronous=FULL: SQLite syncs the WAL before COMMIT returns) when it holds
 * the state of a run or task, the gateway's, or an event that somebody was or will be told of: after it orchd
 * acknowledges, and what is acknowledged outlives a power cut. It need not for a process, and for the remark
 * that one has died: those rows are read by the next orchd of the same boot only, for which the kernel's
 * memory is as good as the disk, and after a power cut the processes are gone, too. The WAL is in order: a
 * later commit that waits makes all before it durable, and one that is lost takes nothing before it along, so
 * never a state without what came before it.
 */
static int
choose_sync(struct store *s, const struct run_list *runs, struct err *e)
{
	bool lazy = !is_promised(s, runs);
	int rc = 0;

	if (lazy != s->lazy)
		rc = store_exec(s, lazy ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", e);
	if (rc == 0)
		s->lazy = lazy;
	return rc;
}

int
store_commit(struct store *s, struct run_list *runs, struct store_event_list *done, struct err *e)
{
	int rc;

	if (!store_pending(s, runs))
		return 0;
	rc = choose_sync(s, runs, e);
	if (rc == 0)
		rc = store_exec(s, "BEGIN IMMEDIATE", e);
	if (rc == 0)
		rc = save_all(s, runs, e);
	if (rc == 0)
		rc = store_exec(s, "COMMIT", e);
	if (rc < 0) {
		if (!sqlite3_get_autocommit(s->db))
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		return rc;
	}
	clear_flags(runs);
	s->gw.dirty = false;
	store_clear_gateway(s);
	TAILQ_CONCAT(done, &s->noted, entry);
	return 0;
}
