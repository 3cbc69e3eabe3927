/*
 * store: what is committed comes back, column by column; what cannot be committed stays noted; a kill between
 * commits loses nothing that was committed. Real SQLite in a folder of the test's own.
 */
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "proto/messages.h"
#include "supervisor/store.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char *dir, *path;
	struct run_list runs;
	struct store_event_list done;
	struct store *s;
};

static struct store *
open_store(const char *path)
{
	struct store *s = NULL;
	struct err e = {""};

	if (store_open(&s, path, &e) < 0)
		fail_msg("%s", e.msg);
	return s;
}

static void
drop_events(struct fixture *f)
{
	struct store_event *ev;

	while ((ev = TAILQ_FIRST(&f->done)) != NULL) {
		TAILQ_REMOVE(&f->done, ev, entry);
		store_event_free(ev);
	}
}

static void
drop_runs(struct fixture *f)
{
	struct run *r;

	while ((r = TAILQ_FIRST(&f->runs)) != NULL) {
		TAILQ_REMOVE(&f->runs, r, entry);
		run_free(r);
	}
}

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = tmp_make();
	f->path = tmp_path(f->dir, "orch.db");
	TAILQ_INIT(&f->runs);
	TAILQ_INIT(&f->done);
	f->s = open_store(f->path);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	drop_runs(f);
	drop_events(f);
	store_close(f->s);
	tmp_remove(f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void
commit(struct fixture *f)
{
	struct err e = {""};

	if (store_commit(f->s, &f->runs, &f->done, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(store_pending(f->s, &f->runs));
}

/* Every column gets a value of its own, which check_* compute again. */
static void
fill_text(char **slot, const char *name, int n)
{
	free(*slot);
	*slot = xasprintf("%s %d: \xc3\xa9'\";--\n\t%%", name, n);
}

static void
fill_num(int64_t *slot, const char *name, int n)
{
	uint64_t v = (uint64_t)n;

	for (; *name != '\0'; name++)
		v = v * 31 + (unsigned char)*name;
	*slot = (int64_t)(v & INT64_MAX) | (1ll << 62); /* all 64 bits come back, not a double's 53 */
}

static void
check_text(char *got, const char *name, int n)
{
	char *want = NULL;

	fill_text(&want, name, n);
	assert_non_null(got);
	assert_string_equal(got, want);
	free(want);
}

static void
check_num(int64_t got, const char *name, int n)
{
	int64_t want;

	fill_num(&want, name, n);
	if (got != want)
		fail_msg("%s: %lld, not %lld", name, (long long)got, (long long)want);
}

static void
set_text(char **slot, const char *value)
{
	xreplace(slot, value);
}

/* A run with its director's task; in what the loader itself reads the values have to make sense. */
static struct run *
add_run(struct fixture *f, const char *id, int64_t serial)
{
	struct run *r = run_new();
	struct task *t = task_new();
	struct err e = {""};

#define C(kind, name) fill_##kind(&r->name, #name, 1);
	RUN_COLUMNS(C)
#undef C
	set_text(&r->id, id);
	set_text(&r->options, "{\"max_ems\":5}");
	r->serial = serial;
	r->ended_at = 0;
	r->dirty = true;
	TAILQ_INSERT_TAIL(&f->runs, r, entry);
#define C(kind, name) fill_##kind(&t->name, #name, 2);
	TASK_COLUMNS(C)
#undef C
	set_text(&t->id, id);
	set_text(&t->run_id, id);
	set_text(&t->parent_id, NULL);
	set_text(&t->needs, NULL);
	set_text(&t->after, NULL);
	t->level = 0;
	t->dirty = true;
	assert_int_equal(run_add_task(r, t, &e), 0);
	return r;
}

static struct task *
add_task(struct run *r, const char *parent, const char *id, int level)
{
	struct task *t = task_new();
	struct err e = {""};

	t->id = xstrdup(id);
	t->run_id = xstrdup(r->id);
	t->parent_id = xstrdup(parent);
	t->key = xstrdup("key");
	t->level = level;
	t->dirty = true;
	assert_int_equal(run_add_task(r, t, &e), 0);
	return t;
}

static void
test_every_column_comes_back(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};
	struct run *r;
	struct task *t;

	add_run(f, "25", 3);
	commit(f);
	store_close(f->s);
	drop_runs(f);
	f->s = open_store(f->path);
	assert_int_equal(store_load_unfinished(f->s, &f->runs, &e), 0);
	r = TAILQ_FIRST(&f->runs);
	assert_non_null(r);
	assert_null(TAILQ_NEXT(r, entry));
	assert_string_equal(r->id, "25");
	assert_int_equal(r->serial, 3);
	assert_int_equal(r->ended_at, 0);
	assert_int_equal(r->conf.max_ems, 5);
	t = r->director;
	assert_string_equal(t->id, "25");
	assert_null(t->parent_id);
	set_text(&r->id, "id 1: \xc3\xa9'\";--\n\t%");
	set_text(&r->options, "options 1: \xc3\xa9'\";--\n\t%");
	fill_num(&r->serial, "serial", 1);
	fill_num(&r->ended_at, "ended_at", 1);
#define C(kind, name) check_##kind(r->name, #name, 1);
	RUN_COLUMNS(C)
#undef C
	/* What add_run set by hand was compared above. */
	fill_text(&t->id, "id", 2);
	fill_text(&t->run_id, "run_id", 2);
	fill_text(&t->parent_id, "parent_id", 2);
	fill_text(&t->needs, "needs", 2);
	fill_text(&t->after, "after", 2);
	fill_num(&t->level, "level", 2);
#define C(kind, name) check_##kind(t->name, #name, 2);
	TASK_COLUMNS(C)
#undef C
}

static void
test_changes_replace_what_was_there(void **state)
{
	struct fixture *f = *state;
	struct run *r = add_run(f, "m1", 1), *loaded;
	struct err e = {""};

	commit(f);
	set_text(&r->reason, NULL);
	r->files = -1;
	r->dirty = true;
	set_text(&r->director->session, "not saved");
	commit(f); /* the task is not dirty */
	assert_int_equal(store_load_run(f->s, "m1", &loaded, &e), 0);
	assert_null(loaded->reason);
	assert_int_equal(loaded->files, -1);
	assert_string_not_equal(loaded->director->session, "not saved");
	run_free(loaded);
}

static void
test_tasks_are_loaded_parents_first(void **state)
{
	struct fixture *f = *state;
	struct run *r = add_run(f, "m1", 1), *loaded;
	struct task *t;
	struct err e = {""};
	char ids[200] = "";

	add_task(r, "m1", "m1/em2", 1)->created_at = 50;
	add_task(r, "m1/em2", "m1/em2/w1", 2)->created_at = 10;
	add_task(r, "m1", "m1/em1", 1)->created_at = 60;
	set_text(&r->tasks.tqh_first->plan, NULL);
	commit(f);
	assert_int_equal(store_load_run(f->s, NULL, &loaded, &e), 0);
	TAILQ_FOREACH (t, &loaded->tasks, entry) {
		strcat(ids, t->id);
		strcat(ids, " ");
	}
	assert_string_equal(ids, "m1 m1/em2 m1/em1 m1/em2/w1 ");
	assert_string_equal(run_find_task(loaded, "m1/em2/w1")->parent->id, "m1/em2");
	run_free(loaded);
}

static void
test_which_runs_are_loaded(void **state)
{
	struct fixture *f = *state;
	struct run *a = add_run(f, "m1", 1), *b = add_run(f, "25", 2), *r = NULL;
	struct err e = {""};
	char **ids;

	assert_int_equal(store_load_run(f->s, NULL, &r, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "no run"));
	add_run(f, "m2", 3);
	a->ended_at = 99;
	commit(f);
	(void)b;
	drop_runs(f);
	assert_int_equal(store_load_unfinished(f->s, &f->runs, &e), 0);
	assert_string_equal(TAILQ_FIRST(&f->runs)->id, "25");
	assert_string_equal(TAILQ_LAST(&f->runs, run_list)->id, "m2");
	assert_int_equal(store_next_serial(f->s), 4);
	assert_true(store_has_run(f->s, "m1"));
	assert_false(store_has_run(f->s, "m9"));
	assert_int_equal(store_run_ids(f->s, &ids, &e), 0);
	assert_string_equal(ids[0], "m1");
	assert_string_equal(ids[1], "25");
	assert_string_equal(ids[2], "m2");
	assert_null(ids[3]);
	for (size_t i = 0; ids[i] != NULL; i++)
		free(ids[i]);
	free(ids);
	assert_int_equal(store_load_run(f->s, NULL, &r, &e), 0);
	assert_string_equal(r->id, "m2");
	run_free(r);
	assert_int_equal(store_load_run(f->s, "m9", &r, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "m9"));
}

static void
test_processes_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct run *r = add_run(f, "m1", 1);
	struct task *em = add_task(r, "m1", "m1/em1", 1);
	struct store_unit *units;
	size_t count;
	struct err e = {""};

	em->process.pid = 4711;
	em->process.start_ticks = 1ull << 40;
	em->unit_dirty = r->director->unit_dirty = true;
	commit(f);
	assert_int_equal(store_load_units(f->s, &units, &count, &e), 0);
	assert_int_equal(count, 1);
	assert_string_equal(units[0].task, "m1/em1");
	assert_int_equal(units[0].pid, 4711);
	assert_true(units[0].start_ticks == 1ull << 40);
	assert_string_equal(units[0].boot_id, store_boot_id(f->s));
	store_units_free(units, count);
	em->process.pid = 0;
	em->unit_dirty = true;
	commit(f);
	assert_int_equal(store_load_units(f->s, &units, &count, &e), 0);
	assert_int_equal(count, 0);
	store_units_free(units, count);
}

/* Events. */

struct heard {
	char text[400];
	int stop_after;
};

static bool
hear(void *arg, const struct store_event *ev)
{
	struct heard *h = arg;

	strcat(h->text, ev->text);
	strcat(h->text, " ");
	return --h->stop_after != 0;
}

static void
expect_events(
    struct fixture *f, int64_t after, const char *run, const char *task, int64_t limit, const char *want)
{
	struct heard h = {.stop_after = 0};
	struct err e = {""};

	assert_int_equal(store_each_event(f->s, after, run, task, limit, hear, &h, &e), 0);
	assert_string_equal(h.text, want);
}

static void
test_events_are_filtered(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.stop_after = 2};
	struct err e = {""};
	int64_t third;

	store_add_event(f->s, "m1", NULL, "state", "queued", "a");
	store_add_event(f->s, "m1", "m1/em1", "state", NULL, "b");
	store_add_event(f->s, "m1", "m1/em1/w1", "x", NULL, "c");
	store_add_event(f->s, "m1", "m1/em10", "x", NULL, "d");
	store_add_event(f->s, "m10", "m10/em1", "x", NULL, "e");
	assert_true(store_pending(f->s, &f->runs));
	expect_events(f, 0, NULL, NULL, 0, ""); /* not before it is committed */
	commit(f);
	third = TAILQ_NEXT(TAILQ_NEXT(TAILQ_FIRST(&f->done), entry), entry)->seq;
	assert_true(third > 0);
	expect_events(f, 0, NULL, NULL, 0, "a b c d e ");
	expect_events(f, third, NULL, NULL, 0, "d e ");
	expect_events(f, 0, "m1", NULL, 0, "a b c d ");
	expect_events(f, 0, "m1", "m1/em1", 0, "b c ");
	expect_events(f, 0, NULL, "m10/em1", 0, "e ");
	expect_events(f, 0, NULL, NULL, 2, "d e ");
	expect_events(f, 0, "m1", NULL, 2, "c d ");
	expect_events(f, 0, "m1%", NULL, 0, "");
	expect_events(f, 0, NULL, "m1/em_", 0, "");
	assert_int_equal(store_each_event(f->s, 0, NULL, NULL, 0, hear, &h, &e), 0);
	assert_string_equal(h.text, "a b ");
}

/* A sequence number is never given twice: who asks for "after 5" must not miss a later 5. */
static void
test_forget(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};
	struct run *r;
	int64_t last;

	add_run(f, "m1", 1);
	add_run(f, "m2", 2);
	store_add_event(f->s, "m2", NULL, "x", NULL, "b");
	store_add_event(f->s, "m1", NULL, "x", NULL, "a");
	commit(f);
	last = TAILQ_LAST(&f->done, store_event_list)->seq;
	drop_events(f);
	assert_int_equal(store_forget_run(f->s, "m1", &e), 0);
	assert_false(store_has_run(f->s, "m1"));
	assert_int_equal(store_load_run(f->s, "m1", &r, &e), -ENOENT);
	expect_events(f, 0, NULL, NULL, 0, "b ");
	assert_int_equal(store_load_run(f->s, "m2", &r, &e), 0);
	run_free(r);
	store_add_event(f->s, NULL, NULL, "x", NULL, "c");
	commit(f);
	assert_true(TAILQ_FIRST(&f->done)->seq > last);
}

/* Text that cannot travel in one message would end the stream of events for whoever asks: it is cut. */
static void
test_long_text_is_cut_to_fit_a_message(void **state)
{
	struct fixture *f = *state;
	char *big = xmalloc(3 * TEXT_MAX + 1);

	for (size_t i = 0; i < TEXT_MAX; i++)
		memcpy(big + 3 * i, "\xe2\x82\xac", 3);
	big[3 * TEXT_MAX] = '\0';
	store_add_event(f->s, "m1", NULL, "x", NULL, big);
	commit(f);
	assert_in_range(strlen(TAILQ_FIRST(&f->done)->text), TEXT_MAX - 16, TEXT_MAX);
	free(big);
}

/* Opening. */

static int64_t
scalar(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	int64_t n = -1;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void
expect_refusal(const char *path, const char *word)
{
	struct store *s = NULL;
	struct err e = {""};

	assert_true(store_open(&s, path, &e) < 0);
	assert_null(s);
	if (strstr(e.msg, word) == NULL || strstr(e.msg, path) == NULL)
		fail_msg("\"%s\" does not name %s and \"%s\"", e.msg, path, word);
}

static void
test_fresh_and_newer_schema(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(scalar(f->path, "PRAGMA user_version"), 17);
	store_close(f->s);
	f->s = open_store(f->path); /* nothing to migrate */
	store_close(f->s);
	f->s = NULL;
	scalar(f->path, "PRAGMA user_version = 999");
	expect_refusal(f->path, "newer");
	assert_int_equal(scalar(f->path, "PRAGMA user_version"), 999);
}

/* A database of the first version is taken over as it is, and its runs had no keys. */
static void
test_version_1_is_brought_up(void **state)
{
	struct fixture *f = *state;
	char *sql = NULL, *path = tmp_path(f->dir, "one.db");
	struct err e = {""};
	struct run *r;
	sqlite3 *db;

	assert_int_equal(fd_read_file(ORCH_SOURCE_DIR "/tests/data/store-1.sql", 1 << 20, &sql, NULL), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	free(sql);
	store_close(f->s);
	f->s = open_store(path);
	assert_int_equal(scalar(path, "PRAGMA user_version"), 17);
	assert_int_equal(scalar(path, "SELECT count(*) FROM event"), 1);
	assert_int_equal(store_load_unfinished(f->s, &f->runs, &e), 0);
	r = TAILQ_FIRST(&f->runs);
	assert_string_equal(r->title, "Build a calculator");
	assert_int_equal(r->serial, 7);
	assert_int_equal(r->files, 3);
	assert_int_equal(r->conf.max_ems, 2);
	assert_int_equal(r->keyed, 0);
	assert_false(run_lacks_keys(r));
	assert_string_equal(run_find_task(r, "25/em1")->title, "Core");
	r->keyed = 1;
	r->dirty = true;
	commit(f);
	drop_runs(f);
	store_close(f->s);
	f->s = open_store(path);
	assert_int_equal(store_load_unfinished(f->s, &f->runs, &e), 0);
	assert_true(run_lacks_keys(TAILQ_FIRST(&f->runs)));
	assert_int_equal(TAILQ_FIRST(&f->runs)->files, 3);
	free(path);
}

static void
test_what_is_no_database_is_named(void **state)
{
	struct fixture *f = *state;
	char *path = tmp_path(f->dir, "other.db"), *folder = tmp_path(f->dir, "folder");

	tmp_write(f->dir, "other.db",
	    "This is not a database, it is a poem that somebody put here, and it is long.\n");
	expect_refusal(path, "not a database");
	tmp_mkdir(f->dir, "folder");
	expect_refusal(folder, "unable to open");
	free(path);
	free(folder);
}

/* A header that is right and pages that are not. */
static void
test_damaged_pages_give_a_sentence(void **state)
{
	struct fixture *f = *state;
	char *data;
	size_t size;
	struct err e = {""};
	int rc;

	for (int i = 0; i < 40; i++)
		store_add_event(f->s, "m1", NULL, "x", NULL, "something that takes some room in the file");
	add_run(f, "m1", 1);
	commit(f);
	store_close(f->s);
	f->s = NULL;
	assert_int_equal(fd_read_file(f->path, 64 << 20, &data, &size), 0);
	memset(data + 4096, 0xa5, size - 4096);
	assert_int_equal(fd_write_file(f->path, data, size, 0600), 0);
	free(data);
	drop_runs(f);
	rc = store_open(&f->s, f->path, &e);
	if (rc == 0)
		rc = store_load_unfinished(f->s, &f->runs, &e);
	assert_true(rc < 0);
	assert_non_null(strstr(e.msg, "malformed"));
}

/* Failing. */

/*
 * The file may not grow: what a full disk does to a write. It holds for this process only, and SIGXFSZ is
 * ignored so that write(2) says EFBIG.
 */
static void
fill_disk(bool full, const char *path)
{
	struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};
	char *wal = xasprintf("%s-wal", path);
	struct stat st;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = l.rlim_max;
	if (full)
		l.rlim_cur = stat(wal, &st) == 0 ? (rlim_t)st.st_size : 0;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
	free(wal);
}

static void
expect_commit_fails(struct fixture *f)
{
	struct err e = {""};

	assert_true(store_commit(f->s, &f->runs, &f->done, &e) < 0);
	assert_true(strlen(e.msg) > 0);
	assert_true(TAILQ_EMPTY(&f->done));
	assert_true(store_pending(f->s, &f->runs));
}

static void
test_a_full_disk_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct run *r = add_run(f, "m1", 1), *loaded;
	struct err e = {""};

	commit(f);
	fill_disk(true, f->path);
	set_text(&r->title, "changed while the disk was full");
	r->dirty = true;
	r->director->process.pid = 12;
	r->director->unit_dirty = true;
	store_add_event(f->s, "m1", NULL, "x", NULL, "a");
	expect_commit_fails(f);
	store_add_event(f->s, "m1", NULL, "x", NULL, "b");
	expect_commit_fails(f);
	assert_true(r->dirty);
	assert_true(r->director->unit_dirty);
	fill_disk(false, f->path);
	commit(f);
	expect_events(f, 0, NULL, NULL, 0, "a b ");
	assert_int_equal(store_load_run(f->s, "m1", &loaded, &e), 0);
	assert_string_equal(loaded->title, "changed while the disk was full");
	run_free(loaded);
}

/* Another program holds the database (somebody's sqlite3 shell): the commit gives up after a while, and is
 * tried again. */
static void
test_a_locked_database_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct err e = {""};
	sqlite3 *db;

	add_run(f, "m1", 1);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_commit(f->s, &f->runs, &f->done, &e), -EBUSY);
	assert_true(store_pending(f->s, &f->runs));
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	commit(f);
	assert_true(store_has_run(f->s, "m1"));
}

/* SQLite's calls come here: how often a commit waited for the disk. */
static unsigned syncs;

int
fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static void
expect_commit_syncs(struct fixture *f, bool wanted)
{
	syncs = 0;
	commit(f);
	assert_int_equal(syncs > 0, wanted);
}

/* Whatever somebody is told of afterwards is on the disk; where a process began or died nobody waits for it.
 */
static void
test_what_is_promised_is_on_the_disk(void **state)
{
	struct fixture *f = *state;
	struct run *r = add_run(f, "m1", 1);
	struct store_gateway g = {.serial = 3};
	struct err e = {""};
	struct store_unit *units;
	size_t count;

	expect_commit_syncs(f, true);
	r->director->process.pid = 12;
	r->director->unit_dirty = true;
	store_add_remark(f->s, "m1", "m1", "death", "its director was killed");
	expect_commit_syncs(f, false);
	r->director->dirty = r->director->unit_dirty = true;
	expect_commit_syncs(f, true);
	store_add_remark(f->s, "m1", "m1", "death", "again");
	expect_commit_syncs(f, false);
	store_add_event(f->s, "m1", "m1", "note", NULL, "a role was told that it is kept");
	store_add_remark(f->s, "m1", "m1", "death", "again");
	expect_commit_syncs(f, true);
	store_note_gateway(f->s, &g);
	expect_commit_syncs(f, true);
	r->dirty = true;
	expect_commit_syncs(f, true);
	assert_int_equal(store_load_units(f->s, &units, &count, &e), 0);
	assert_int_equal(count, 1);
	store_units_free(units, count);
	expect_events(
	    f, 0, "m1", NULL, 0, "its director was killed again a role was told that it is kept again ");
}

/* Commits for ever and says after each which number is safe. */
static void
commit_until_killed(const char *path, int out)
{
	struct store_event_list done = TAILQ_HEAD_INITIALIZER(done);
	struct run_list runs = TAILQ_HEAD_INITIALIZER(runs);
	struct store *s;
	struct err e;

	if (store_open(&s, path, &e) < 0)
		_exit(1);
	for (;;) {
		struct store_event *ev;

		store_add_event(s, "m1", NULL, "x", NULL, "said to be safe");
		if (store_commit(s, &runs, &done, &e) < 0)
			_exit(1);
		while ((ev = TAILQ_FIRST(&done)) != NULL) {
			TAILQ_REMOVE(&done, ev, entry);
			if (fd_write_all(out, &ev->seq, sizeof(ev->seq)) < 0)
				_exit(1);
			store_event_free(ev);
		}
	}
}

static bool
remember_last(void *arg, const struct store_event *ev)
{
	int64_t *last = arg;

	assert_int_equal(ev->seq, *last + 1);
	*last = ev->seq;
	return true;
}

static void
test_a_kill_between_commits_loses_nothing(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	f->s = NULL;
	for (int round = 0; round < 5; round++) {
		int64_t seq, safe = 0, last = 0;
		struct err e = {""};
		int p[2];
		pid_t pid;

		assert_int_equal(fd_pipe(p, false), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			commit_until_killed(f->path, p[1]);
		fd_close(&p[1]);
		for (int n = 0; n < 20 + round * 7; n++)
			assert_int_equal(read(p[0], &seq, sizeof(seq)), sizeof(seq));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		do /* what it said before it died counts as well */
			safe = seq;
		while (read(p[0], &seq, sizeof(seq)) == sizeof(seq));
		fd_close(&p[0]);
		f->s = open_store(f->path);
		assert_int_equal(store_each_event(f->s, 0, NULL, NULL, 0, remember_last, &last, &e), 0);
		assert_in_range(last, safe, safe + 1);
		store_close(f->s);
		f->s = NULL;
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_every_column_comes_back),
	    T(test_changes_replace_what_was_there),
	    T(test_tasks_are_loaded_parents_first),
	    T(test_which_runs_are_loaded),
	    T(test_processes_come_and_go),
	    T(test_events_are_filtered),
	    T(test_forget),
	    T(test_long_text_is_cut_to_fit_a_message),
	    T(test_fresh_and_newer_schema),
	    T(test_version_1_is_brought_up),
	    T(test_what_is_no_database_is_named),
	    T(test_damaged_pages_give_a_sentence),
	    T(test_a_full_disk_loses_nothing),
	    T(test_a_locked_database_loses_nothing),
	    T(test_what_is_promised_is_on_the_disk),
	    T(test_a_kill_between_commits_loses_nothing),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
