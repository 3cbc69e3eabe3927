/*
 * run: one run with faults. The event stream is followed; after a change of state a fault may come, at once
 * or a little later. Afterwards the laws are checked: the run is complete with the tree of an undisturbed one
 * (1), every commit that was handed in is in it (1), limits held (4), no task was served twice at once, no
 * attempt was counted that was not the task's own, store and repository are whole; and by e2e's teardown no
 * process (4), worktree or ref is left, nothing of the user's has changed, and no program found a bug in
 * itself.
 */
#include "tests/chaos/lib/run.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/taskid.h"
#include "tests/helper/lib/limits.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tinydisk.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISK_KIB (32 * 1024)
#define RUN_MS 150000 /* for a run with everything that may go wrong in it */
#define DELAY_MS 80   /* between a change and its fault, at most */
#define SEEK_MS 150   /* how long somebody to hit is looked for */
#define FAULTS_MAX 8  /* a run must come to an end */
#define HITS_MAX 3    /* of one task: more deaths would park it for a minute */
#define ATTEMPTS_MAX 2

static const struct shape {
	const char *max_ems, *max_workers; /* of one EM */
	unsigned ems, workers;
	const char *areas;
	const char *tasks[3]; /* of area a, b, c */
} shapes[CHAOS_SHAPES] = {
    {"1", "2", 1, 2, "a b", {"one two:one three", "four", NULL}},
    {"2", "1", 2, 1, "a b c:a", {"one two", "three", "four"}},
    {"2", "2", 2, 2, "a b", {"one", "two three:two", NULL}},
};

#define broken(d, ...)                                                                                       \
	do {                                                                                                 \
		tell(d);                                                                                     \
		fail_msg(__VA_ARGS__);                                                                       \
	} while (0)

struct pending {
	enum fault fault;
	char task[TASKID_MAX];
	uint64_t random;
	int64_t due_ms; /* -1: done with */
};

struct hits {
	char task[TASKID_MAX];
	unsigned count, attempts; /* in all, and those that may cost an attempt */
};

struct driver {
	struct e2e *e;
	struct chaos_run *r;
	struct fault_debts debts;
	struct pending pending[FAULTS_MAX];
	unsigned pending_count;
	struct hits hits[32];
	unsigned hit_count;
	int64_t last_seq;
	char end[32]; /* the run's last state, "" until it has ended */
	struct limits limits;
	bool looking; /* at the limits */
};

static struct driver driver; /* of this process: cmocka has no other way in */

/* All that is known of a run in which a law was broken. */
static void
tell(struct driver *d)
{
	e2e_tell(d->e);
	for (size_t i = 0; i < json_array_size(d->e->events); i++) {
		char *line = json_text(json_array_get(d->e->events, i));

		printf("%s\n", line); /* print_message() would cut it */
		free(line);
	}
}

void
chaos_run_clear(struct chaos_run *r)
{
	memset(r->done, 0, sizeof(r->done));
	memset(r->missed_by, 0, sizeof(r->missed_by));
	r->missed = r->changes = r->faults = r->seen_count = 0;
	r->history[0] = '\0';
}

uint64_t
chaos_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* The same for the same change in a run of the same seed. */
static uint64_t
random_of(const struct driver *d, const char *task, const char *state, size_t nth)
{
	uint64_t x = chaos_mix(d->r->seed) + nth;

	for (const char *p = task; *p != '\0'; p++)
		x = chaos_mix(x ^ (unsigned char)*p);
	for (const char *p = state; *p != '\0'; p++)
		x = chaos_mix(x ^ (unsigned char)*p);
	return x;
}

/* Scripts. */

static void
write_area(struct e2e *e, char area, const char *tasks)
{
	char name[32], *words = xstrdup(tasks), *save, key[64];

	snprintf(name, sizeof(name), "em-%c", area);
	e2e_plan(e, name, "say Thinking\nwait_ms 20\n", tasks);
	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		snprintf(key, sizeof(key), "%c.%.*s", area, (int)strcspn(w, ":"), w);
		e2e_work(e, key, "say Looking\nstray @/stray\nrun sleep 0.06\nwait_ms 20\n");
	}
	free(words);
}

static void
write_scripts(struct e2e *e, const struct shape *s)
{
	e2e_plan(e, "director", "say Thinking\nwait_ms 20\n", s->areas);
	for (unsigned i = 0; i < 3; i++)
		if (s->tasks[i] != NULL)
			write_area(e, (char)('a' + i), s->tasks[i]);
}

/* Faults. */

static struct hits *
hits_of(struct driver *d, const char *task)
{
	for (unsigned i = 0; i < d->hit_count; i++)
		if (strcmp(d->hits[i].task, task) == 0)
			return &d->hits[i];
	assert_true(d->hit_count < sizeof(d->hits) / sizeof(d->hits[0]));
	snprintf(d->hits[d->hit_count].task, TASKID_MAX, "%s", task);
	return &d->hits[d->hit_count++];
}

static void
see_change(struct driver *d, const char *task, const char *state, size_t nth)
{
	struct chaos_change *c = &d->r->seen[d->r->seen_count];

	d->r->changes++;
	if (d->r->seen_count == CHAOS_CHANGES_MAX)
		return;
	snprintf(c->task, sizeof(c->task), "%s", task);
	snprintf(c->state, sizeof(c->state), "%s", state);
	c->nth = (unsigned)nth;
	d->r->seen_count++;
}

/* The one of the matrix. */
static void
plan_exact(struct driver *d, const char *task, const char *state, size_t nth)
{
	const struct chaos_change *at = &d->r->at;

	if (strcmp(at->task, task) != 0 || strcmp(at->state, state) != 0 || at->nth != nth ||
	    d->pending_count > 0)
		return;
	d->pending[0] = (struct pending){
	    .fault = d->r->fault, .random = random_of(d, task, state, nth), .due_ms = clock_now_ms()};
	snprintf(d->pending[0].task, TASKID_MAX, "%s", task);
	d->pending_count = 1;
}

static void
plan_fault(struct driver *d, const char *task, const char *state, size_t nth)
{
	uint64_t random = random_of(d, task, state, nth);
	struct pending *p = &d->pending[d->pending_count];

	see_change(d, task, state, nth);
	if (d->r->exact) {
		plan_exact(d, task, state, nth);
		return;
	}
	if (random % 100 >= d->r->percent || d->pending_count == FAULTS_MAX)
		return;
	random = chaos_mix(random);
	p->fault = fault_pick(random, d->r->only);
	random = chaos_mix(random);
	p->random = chaos_mix(random);
	p->due_ms = clock_now_ms() + (random % 2 == 0 ? 0 : (int64_t)(random / 2 % DELAY_MS));
	snprintf(p->task, sizeof(p->task), "%s", task);
	d->pending_count++;
}

static void
note(struct driver *d, const struct pending *p, const char *hit)
{
	size_t used = strlen(d->r->history);
	struct hits *h = hits_of(d, hit[0] == '\0' ? "orchd" : hit);

	snprintf(d->r->history + used, sizeof(d->r->history) - used, "  %s%s%s\n", fault_name(p->fault),
	    hit[0] == '\0' ? "" : ": ", hit);
	h->count++;
	h->attempts += fault_costs_attempt(p->fault);
	d->r->done[p->fault]++;
	d->r->faults++;
}

static bool
has_had_enough(struct driver *d, const struct pending *p)
{
	const struct hits *h = hits_of(d, p->task);

	return h->count >= HITS_MAX || (fault_costs_attempt(p->fault) && h->attempts >= ATTEMPTS_MAX);
}

/* At the task of the event; in the matrix, when nobody of that kind serves it, at another one's. */
static int
strike(struct driver *d, const struct pending *p, char *hit)
{
	int rc = fault_do(d->e, p->fault, p->task, p->random, &d->debts, hit);

	for (unsigned i = 0; rc < 0 && d->r->exact && i < d->r->seen_count; i++)
		rc = fault_do(d->e, p->fault, d->r->seen[i].task, p->random, &d->debts, hit);
	return rc;
}

/* Does what is due; the earliest time of what is not. */
static int64_t
do_due(struct driver *d)
{
	int64_t now = clock_now_ms(), next = INT64_MAX;
	char hit[TASKID_MAX];

	fault_pay(&d->debts, now, false);
	for (unsigned i = 0; i < d->pending_count; i++) {
		struct pending *p = &d->pending[i];

		if (p->due_ms >= 0 && p->due_ms <= now) {
			if (has_had_enough(d, p) || d->end[0] != '\0') {
				p->due_ms = -1;
			} else if (strike(d, p, hit) == 0) {
				note(d, p, hit);
				p->due_ms = -1;
			} else if (now - p->due_ms >= SEEK_MS) {
				d->r->missed++;
				d->r->missed_by[p->fault]++;
				p->due_ms = -1;
			}
		}
		if (p->due_ms >= 0) {
			int64_t at = p->due_ms > now ? p->due_ms : now + 4;

			next = at < next ? at : next;
		}
	}
	if (d->debts.stopped != 0 && d->debts.continue_at_ms < next)
		next = d->debts.continue_at_ms;
	if (d->debts.filled && d->debts.empty_at_ms < next)
		next = d->debts.empty_at_ms;
	return next;
}

/* Events. */

static size_t
count_same(struct driver *d, size_t upto, const char *task, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < upto; i++) {
		const json_t *ev = json_array_get(d->e->events, i);
		const char *t = json_str(ev, "task"), *s = json_str(ev, "state");

		n += s != NULL && strcmp(s, state) == 0 && t != NULL && strcmp(t, task) == 0;
	}
	return n;
}

static bool
is_end(const char *state)
{
	return strcmp(state, "complete") == 0 || strcmp(state, "partial") == 0 ||
	       strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

/* The stream starts again from the first event when another orchd is asked for it. */
static void
take_events(struct driver *d)
{
	for (size_t i = 0; i < json_array_size(d->e->events); i++) {
		const json_t *ev = json_array_get(d->e->events, i);
		int64_t seq = json_integer_value(json_object_get(ev, "seq"));
		const char *task = json_str(ev, "task"), *state = json_str(ev, "state");

		if (seq <= d->last_seq)
			continue;
		if (seq != d->last_seq + 1)
			broken(d, "event %lld is missing", (long long)d->last_seq + 1);
		d->last_seq = seq;
		if (strcmp(json_str(ev, "kind"), "state") != 0)
			continue;
		if (task == NULL && is_end(state))
			snprintf(d->end, sizeof(d->end), "%s", state);
		else
			plan_fault(d, task == NULL ? "m1" : task, state,
			    count_same(d, i, task == NULL ? "m1" : task, state));
	}
}

static void
drive(struct driver *d)
{
	int64_t deadline = clock_now_ms() + RUN_MS;

	for (;;) {
		int64_t next;

		d->e->news = false;
		take_events(d);
		if (d->end[0] != '\0')
			return;
		next = do_due(d);
		if (clock_now_ms() >= deadline)
			broken(d, "the run has not ended within %d s", RUN_MS / 1000);
		if (d->e->tail.done)
			e2e_follow(d->e); /* whoever asks first starts the next orchd */
		loop_wait(&d->e->repo->loop, &d->e->news, next < deadline ? next : deadline);
	}
}

/* Laws. */

/* Every commit that was handed in is part of the result. */
static void
check_commit(struct driver *d, json_t *t, const char *branch)
{
	const char *head = json_str(t, "head");

	if (json_integer_value(json_object_get(t, "ordinal")) == 0)
		return;
	if (head == NULL)
		broken(d, "%s has no commit", json_str(t, "task"));
	if (testrepo_try(d->e->repo, NULL, "merge-base", "--is-ancestor", head, branch, NULL) != 0)
		broken(d, "the commit %s of %s is lost", head, json_str(t, "task"));
}

static void
check_tasks(struct driver *d)
{
	json_t *run = e2e_status(d->e, "m1"), *tasks = json_object_get(run, "tasks");
	const char *branch = json_str(run, "branch");

	for (size_t i = 0; i < json_array_size(tasks); i++) {
		json_t *t = json_array_get(tasks, i);
		const char *id = json_str(t, "task");
		json_int_t attempt = json_integer_value(json_object_get(t, "attempt"));
		json_int_t rework = json_integer_value(json_object_get(t, "rework"));

		if (strcmp(json_str(t, "state"), "integrated") != 0)
			broken(d, "%s is %s", id, json_str(t, "state"));
		/* A disk that is full is everybody's. */
		if (attempt > 1 + (json_int_t)(hits_of(d, id)->attempts + d->r->done[FAULT_DISK]) ||
		    rework != 0)
			broken(d, "%s is charged with attempt %lld, rework %lld; %u of its agents were hit",
			    id, (long long)attempt, (long long)rework, hits_of(d, id)->attempts);
		check_commit(d, t, branch);
	}
	json_decref(run);
}

static void
check_limits(struct driver *d, const struct shape *s)
{
	const struct limits *l = &d->limits;

	if (l->ems_max > s->ems || l->workers_per_em_max > s->workers)
		broken(d, "%u EMs at once (limit %u), %u workers of one EM (limit %u)", l->ems_max, s->ems,
		    l->workers_per_em_max, s->workers);
	if (l->twice[0] != '\0')
		broken(d, "two at once served %s", l->twice);
}

/* Read beside orchd, as WAL allows. */
static void
check_store(struct driver *d)
{
	char *path = xasprintf("%s/orch.db", d->e->where.state);
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 5000) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		broken(d, "the store cannot be read: %s", sqlite3_errmsg(db));
	if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		broken(d, "the store is broken: %s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	free(path);
}

static void
check_repository(struct driver *d)
{
	char *said = testrepo_git(d->e->repo, NULL, "fsck", "--no-dangling", NULL);

	if (said[0] != '\0')
		broken(d, "git fsck: %s", said);
	free(said);
}

static void
check_tree(struct driver *d)
{
	char *tree = e2e_tree(d->e, "m1"), *known = d->r->trees[d->r->shape];

	if (known[0] == '\0')
		snprintf(known, GIT_OID_HEX, "%s", tree);
	if (strcmp(tree, known) != 0)
		broken(d, "the run's tree is %s, that of an undisturbed one %s", tree, known);
	free(tree);
}

static void
end_disturbance(struct driver *d)
{
	fault_pay(&d->debts, 0, true);
	if (d->looking)
		limits_end(&d->limits);
	d->looking = false;
}

static void
test_run(void **state)
{
	struct driver *d = &driver;
	const struct shape *s = &shapes[d->r->shape];

	d->e = *state;
	setenv("ORCH_HEARTBEAT", "0.5", 1);
	setenv("ORCH_STOP_GRACE", "4", 1);
	setenv("ORCH_MIN_FREE_MB", "0", 1);
	write_scripts(d->e, s);
	limits_begin(&d->limits, d->e->where.instance, "m1", 5);
	d->looking = true;
	e2e_begin(d->e, "--max-ems", s->max_ems, "--max-workers-per-em", s->max_workers, "--max-attempts",
	    "6", "--agent-silence", "3", "--agent-timeout", "8", "--verify", "sleep 0.03", NULL);
	drive(d);
	end_disturbance(d);
	if (strcmp(d->end, "complete") != 0)
		broken(d, "the run is %s", d->end);
	if (e2e_end(d->e) != 0)
		broken(d, "orchctl run: exit %d: %s", d->e->run.status, d->e->run.err);
	check_limits(d, s);
	check_tree(d);
	check_tasks(d);
	check_store(d);
	check_repository(d);
}

static int
tear_down(void **state)
{
	end_disturbance(&driver);
	fault_close_sockets(&driver.debts);
	return e2e_teardown(state);
}

int
chaos_run(struct chaos_run *r)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_run, e2e_setup, tear_down)};
	const char *asan = getenv("ASAN_OPTIONS");
	char *options = xasprintf("%s%shandle_segv=0", asan == NULL ? "" : asan, asan == NULL ? "" : ":");

	setenv("ASAN_OPTIONS", options, 1);
	if (r->disk[0] != '\0' && tinydisk_possible() && tinydisk_mount(r->disk, DISK_KIB)) {
		driver.debts.disk = r->disk;
		setenv("TMPDIR", r->disk, 1);
	}
	free(options);
	driver.r = r;
	return cmocka_run_group_tests_name("chaos", tests, NULL, NULL);
}
