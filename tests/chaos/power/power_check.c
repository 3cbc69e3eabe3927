/* power_check: what has to be there after a power cut (see power.h). */
#include "tests/chaos/power/power.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "common/json.h"
#include "supervisor/store.h"
#include "tests/chaos/power/disk.h"
#include "tests/helper/lib/test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Runs git and returns all that it said; *status its exit. */
static char *
ask_git(struct power *p, const char *const *argv, int *status)
{
	struct cmd_spec s = {.argv = argv, .cwd = p->e->repo->top, .out_max = 1 << 20, .err_max = 1 << 14};
	struct cmd_result r;
	struct err e = {""};
	char *said;

	if (cmd_run(&p->e->repo->loop, &s, &r, &e) < 0)
		fail_msg("git %s: %s", argv[1], e.msg);
	*status = cmd_ok(&r) ? 0 : 1;
	said = xasprintf("%s%s", r.out, r.err);
	cmd_result_clear(&r);
	return said;
}

/* The store. */

static void
check_integrity(const char *path, char **faults)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		e2e_faultf(faults, "the store cannot be read: %s", sqlite3_errmsg(db));
	else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		e2e_faultf(faults, "the store is broken: %s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
}

struct told {
	json_t *event;
	bool kept;
};

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
is_kept(void *arg, const struct store_event *ev)
{
	struct told *t = arg;

	t->kept = ev->seq == json_integer_value(json_object_get(t->event, "seq")) &&
		  same(ev->kind, json_str(t->event, "kind")) &&
		  same(ev->state, json_str(t->event, "state")) &&
		  (json_str(t->event, "task") == NULL || same(ev->task, json_str(t->event, "task")));
	return false;
}

/* Every event that a client had been told of by then is in the history. */
static void
check_told(struct power *p, struct store *s, size_t n, char **faults)
{
	size_t size;
	char *text = disk_read(&p->ops, n, POWER_TOLD, &size), *end;
	struct err e = {""};

	for (char *line = text; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		struct told t = {.event = json_loadb(line, (size_t)(end - line), 0, NULL)};

		if (json_object_get(t.event, "seq") == NULL) {
			json_decref(t.event);
			continue; /* what orchctl says itself */
		}
		if (s != NULL)
			store_each_event(s, json_integer_value(json_object_get(t.event, "seq")) - 1, NULL,
			    NULL, 0, is_kept, &t, &e);
		if (!t.kept)
			e2e_faultf(faults, "an event that was told is lost: %.*s", (int)(end - line), line);
		json_decref(t.event);
	}
	free(text);
}

/* The branch that must hold what t handed in: of the first above it that is not itself part of the one above.
 */
static const char *
holder_of(const struct run *r, const struct task *t)
{
	const struct task *up = t->parent;

	while (up != NULL && up->parent != NULL && task_state(up) == TASK_INTEGRATED)
		up = up->parent;
	return up == NULL || up->parent == NULL ? r->branch : up->branch;
}

static void
check_commit(struct power *p, const struct run *r, const struct task *t, char **faults)
{
	const char *list[] = {"git", "rev-list", "--objects", "--quiet", t->head, "--not", "main", NULL};
	int status;
	char *said = ask_git(p, list, &status);

	if (status != 0)
		e2e_faultf(faults, "%s is %s, and its commit %s is not whole: %s", t->id,
		    task_state_name(task_state(t)), t->head, said);
	free(said);
	if (status == 0 && t->parent != NULL && task_state(t) == TASK_INTEGRATED && holder_of(r, t) != NULL) {
		char *ref = xasprintf("refs/heads/%s", holder_of(r, t));
		const char *ancestor[] = {"git", "merge-base", "--is-ancestor", t->head, ref, NULL};

		said = ask_git(p, ancestor, &status);
		if (status != 0)
			e2e_faultf(faults, "%s is integrated, and its commit %s is not part of %s: %s", t->id,
			    t->head, ref, said);
		free(said);
		free(ref);
	}
}

static void
check_tasks(struct power *p, struct store *s, char **faults)
{
	struct err e = {""};
	char **ids = NULL;

	if (store_run_ids(s, &ids, &e) < 0) {
		e2e_faultf(faults, "%s", e.msg);
		return;
	}
	for (size_t i = 0; ids[i] != NULL; i++) {
		struct run *r = NULL;
		struct task *t;

		if (store_load_run(s, ids[i], &r, &e) < 0)
			e2e_faultf(faults, "run %s cannot be loaded: %s", ids[i], e.msg);
		else
			TAILQ_FOREACH (t, &r->tasks, entry)
				if (t->head != NULL &&
				    (task_state(t) == TASK_SUBMITTED || task_state(t) == TASK_INTEGRATED))
					check_commit(p, r, t, faults);
		run_free(r);
		free(ids[i]);
	}
	free(ids);
}

/* The repository. */

/* Without this it would be the same boot, in which nothing can have been lost. */
static void
boot_anew(struct power *p)
{
	char *path = testrepo_path(p->e->repo, "repo/.git/orch-boot"), *text = NULL;
	struct stat st;

	if (fd_read_file(path, 256, &text, NULL) == 0 && stat(path, &st) == 0) {
		struct timespec times[2] = {st.st_atim, st.st_mtim};

		text[0] = text[0] == '0' ? '1' : '0';
		assert_int_equal(fd_write_file(path, text, strlen(text), 0644), 0);
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	free(text);
	free(path);
}

/*
 * What any ref reaches is there, and the user can work. Beyond that there may be parts of what was under way:
 * objects that nothing reaches, reflogs of branches of ours, the HEAD of a worktree whose branch is made
 * again.
 */
static void
check_repository(struct power *p, char **faults)
{
	static const char *const reach[] = {"git", "rev-list", "--objects", "--all", "--quiet", NULL};
	static const char *const status[] = {"git", "status", "--porcelain", NULL};
	static const char *const *const both[] = {reach, status};

	for (int i = 0; i < 2; i++) {
		int failed;
		char *said = ask_git(p, both[i], &failed);

		if (failed || said[0] != '\0')
			e2e_faultf(faults, "git %s: %s", both[i][1], said);
		free(said);
	}
}

/* As the first role does that works there again. */
static void
heal(struct power *p, char **faults)
{
	struct err e = {""};
	char *found = NULL;

	boot_anew(p);
	if (git_heal(&p->e->repo->git, &found, &e) < 0)
		e2e_faultf(faults, "git_heal: %s", e.msg);
	free(found);
}

void
power_look(struct power *p, size_t n, bool heal_it, char **faults)
{
	char *path = testrepo_path(p->e->repo, "repo/.git/orch/orch.db");
	struct store *s = NULL;
	struct err e = {""};

	if (access(path, F_OK) == 0 && store_open(&s, path, &e) < 0)
		e2e_faultf(faults, "orchd cannot open its store: %s", e.msg);
	check_told(p, s, n, faults);
	if (s != NULL)
		check_tasks(p, s, faults);
	store_close(s);
	if (access(path, F_OK) == 0)
		check_integrity(path, faults);
	if (heal_it) {
		heal(p, faults);
		check_repository(p, faults);
	}
	free(path);
}

/* Going on. */

/* Its state, "" when the store knows of no run. */
static char *
state_of(struct power *p)
{
	struct ctlrun r;
	char *state = xstrdup("");

	if (e2e_ctl(p->e, &r, "status", "--json", "m1", NULL) == 0) {
		json_t *all = json_loads(r.out, 0, NULL);
		const char *is = json_str(json_array_get(json_object_get(all, "runs"), 0), "state");

		xreplace(&state, is == NULL ? "" : is);
		json_decref(all);
	}
	ctlrun_clear(&r);
	return state;
}

static void
await_end(struct e2e *e)
{
	static const char *const ends[] = {"complete", "partial", "failed", "cancelled"};

	for (;;) {
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			if (e2e_find(e, 0, "m1", "state", ends[i]) >= 0)
				return;
		e2e_wait_news(e, "the run's end");
	}
}

void
power_resume(struct power *p, char variant, char **faults)
{
	struct e2e *e = p->e;
	struct ctlrun r;
	char *state, *tree;
	json_t *runs;

	boot_anew(p);
	state = state_of(p);
	if (state[0] == '\0') {
		ctlrun(&r, e->repo, power_arguments);
		if (r.status != 0)
			e2e_faultf(faults, "orchctl run: exit %d: %s%s", r.status, r.out, r.err);
		ctlrun_clear(&r);
	} else {
		e2e_follow(e);
		await_end(e);
	}
	free(state);
	state = state_of(p);
	if (strcmp(state, "complete") != 0) {
		e2e_tell(e);
		e2e_faultf(faults, "the run is %s", state);
	}
	free(state);
	tree = e2e_tree(e, "m1");
	if (strcmp(tree, p->tree) != 0)
		e2e_faultf(faults, "the run's tree is %s, that of the undisturbed one %s", tree, p->tree);
	free(tree);
	runs = json_array();
	json_array_append_new(runs, e2e_status(e, "m1"));
	e2e_ctl_ok(e, "stop", NULL);
	if (variant != 'D') /* there a folder's removed names may be there again */
		e2e_check_leftovers(e, runs, faults);
	e2e_check_logs(e, faults);
	json_decref(runs);
	check_repository(p, faults);
}
