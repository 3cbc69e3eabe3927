/* store_load: reading runs, tasks, processes and the history back, and forgetting a run (see store.h). */
#include "supervisor/store_impl.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
store_load_num(sqlite3_stmt *st, int i, int64_t *n)
{
	*n = sqlite3_column_int64(st, i);
}

static void
store_load_text(sqlite3_stmt *st, int i, char **text)
{
	*text = xstrdup((const char *)sqlite3_column_text(st, i));
}

static int
load_tasks(struct store *s, struct run *r, struct err *e)
{
	char *sql = store_sql("SELECT " TASK_COLUMNS(C_NAME) " FROM task WHERE run_id = ?1"
							     " ORDER BY level, created_at, ordinal");
	sqlite3_stmt *st;
	int rc = store_prepare(s, &st, sql, e), step;

	free(sql);
	if (rc < 0)
		return rc;
	store_bind_text(st, 1, r->id);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		struct task *t;
		int i = 0;

		if (step != SQLITE_ROW) {
			rc = store_db_err(s, e, "loading tasks");
			break;
		}
		t = task_new();
#define C(kind, name) store_load_##kind(st, i++, &t->name);
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
	char *all = store_sql("SELECT " RUN_COLUMNS(C_NAME) " FROM run");
	char *sql = xasprintf("%s %s", all, where);
	sqlite3_stmt *st;
	int rc = store_prepare(s, &st, sql, e), step;

	free(all);
	free(sql);
	if (rc < 0)
		return rc;
	if (id != NULL)
		store_bind_text(st, 1, id);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		struct run *r;
		int i = 0;

		if (step != SQLITE_ROW) {
			rc = store_db_err(s, e, "loading runs");
			break;
		}
		r = run_new();
#define C(kind, name) store_load_##kind(st, i++, &r->name);
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
	int rc = store_prepare(s, &st, "SELECT id FROM run ORDER BY serial", e);

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

	if (store_prepare(s, &st, sql, NULL) < 0)
		return def;
	if (arg != NULL)
		store_bind_text(st, 1, arg);
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
	    "DELETE FROM key_state WHERE run = ?1", "DELETE FROM task WHERE run_id = ?1",
	    "DELETE FROM run WHERE id = ?1"};
	int rc = store_exec(s, "BEGIN IMMEDIATE", e);

	for (size_t i = 0; rc == 0 && i < sizeof(sql) / sizeof(sql[0]); i++) {
		sqlite3_stmt *st;

		rc = store_prepare(s, &st, sql[i], e);
		if (rc < 0)
			break;
		store_bind_text(st, 1, id);
		rc = store_finish(s, st, e, "forgetting a run");
		sqlite3_finalize(st);
	}
	if (rc == 0)
		rc = store_exec(s, "COMMIT", e);
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
	int rc = store_prepare(s, &st, "SELECT task, pid, start_ticks, boot_id FROM unit", e);

	if (rc < 0)
		return rc;
	while (sqlite3_step(st) == SQLITE_ROW) {
		v = xrealloc(v, (n + 1) * sizeof(*v));
		store_load_text(st, 0, &v[n].task);
		v[n].pid = (pid_t)sqlite3_column_int64(st, 1);
		v[n].start_ticks = (uint64_t)sqlite3_column_int64(st, 2);
		store_load_text(st, 3, &v[n].boot_id);
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
	int rc = store_prepare(s, &st,
	    "SELECT * FROM (SELECT seq, at, run, task, kind, state, text FROM event WHERE seq > ?1"
	    " AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR task = ?3 OR substr(task, 1, length(?3) + 1) = "
	    "?3 || '/')"
	    " ORDER BY seq DESC LIMIT ?4) ORDER BY seq",
	    e);
	bool more = true;

	if (rc < 0)
		return rc;
	store_bind_num(st, 1, after_seq);
	store_bind_text(st, 2, run);
	store_bind_text(st, 3, task);
	store_bind_num(st, 4, limit > 0 ? limit : -1);
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
