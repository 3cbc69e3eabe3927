/* power: points, the tally, and the line that repeats a point (see power.h). */
#include "tests/chaos/power/power.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "tests/chaos/power/disk.h"
#include "tests/chaos/power/trace.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BROKEN_MAX 20 /* then it is clear */

static struct power *power; /* of this process: cmocka has no other way in */

struct point {
	size_t n;
	char variant;
	uint64_t seed;
	bool resume;
};

static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* The recording is needed to repeat it: another one has other operations. */
static void
tell_repeat(struct power *p, const struct point *at)
{
	char *file = xasprintf("%s.trace", p->ops.root);

	if (p->trace == NULL && access(file, F_OK) < 0)
		ops_save(&p->ops, file);
	printf("repeat: %s --trace %s --at %zu --variants %c --seed %" PRIu64 "%s\n", p->program,
	    p->trace != NULL ? p->trace : file, at->n, at->variant, at->seed,
	    at->resume ? " --resumes 1" : "");
	fflush(stdout);
	free(file);
}

static void
look_at(struct power *p, const struct point *at)
{
	char *faults = xstrdup("");

	tmp_remove(xstrdup(p->ops.root));
	disk_rebuild(&p->ops, at->n, at->variant, at->seed);
	p->looked++;
	power_look(p, at->n, !at->resume, &faults);
	if (at->resume) {
		p->resumed++;
		if (p->verbose)
			tell_repeat(p, at);
		power_resume(p, at->variant, &faults);
	}
	if (faults[0] != '\0') {
		p->broken++;
		printf("BROKEN: variant %c, before ", at->variant);
		if (at->n < p->ops.n)
			op_print(stdout, &p->ops, at->n);
		printf("%s\n", faults);
		tell_repeat(p, at);
	}
	free(faults);
}

static char
variant_of(const struct power *p, uint64_t chance)
{
	return p->variants[chance % strlen(p->variants)];
}

static void
look_at_some(struct power *p)
{
	size_t span = p->ops.n - p->ops.start + 1;

	for (unsigned i = 0; i < p->looks && p->broken < BROKEN_MAX; i++) {
		uint64_t chance = mix(p->seed + (uint64_t)i * 0x9e3779b97f4a7c15u);

		look_at(p, &(struct point){.n = p->ops.start + chance % span,
			       .variant = variant_of(p, i),
			       .seed = p->seed + i,
			       /* spread over the points, whatever their number */
			       .resume = i * p->resumes / p->looks != (i + 1) * p->resumes / p->looks});
	}
}

static void
look_at_all(struct power *p)
{
	size_t count = (p->ops.n - p->ops.start + 1) * strlen(p->variants), every;

	every = p->resumes == 0 ? count + 1 : count / p->resumes + 1;
	for (size_t i = 0; i < count && p->broken < BROKEN_MAX; i++)
		look_at(p, &(struct point){.n = p->ops.start + i / strlen(p->variants),
			       .variant = variant_of(p, i),
			       .seed = p->seed + i,
			       .resume = i % every == every - 1});
}

static void
print_tally(struct power *p, int64_t ms)
{
	unsigned counts[OP_COUNT] = {0};

	for (size_t i = p->ops.start; i < p->ops.n; i++)
		counts[p->ops.v[i].kind]++;
	printf("%zu operations:", p->ops.n - p->ops.start);
#define O(NAME, name) printf(" %u %s,", counts[OP_##NAME], name);
	OP_KINDS(O)
#undef O
	printf("\n%u points looked at, %u gone on with, %u broken, %.1f s\n", p->looked, p->resumed,
	    p->broken, (double)ms / 1000);
}

/* The recording was of a folder that is gone: everything takes its name. */
static void
take_root(struct power *p)
{
	struct e2e *e = p->e;
	struct testrepo *t = e->repo;
	struct err why = {""};

	tmp_remove(xstrdup(t->root));
	if (access(p->ops.root, F_OK) == 0)
		tmp_remove(xstrdup(p->ops.root));
	disk_rebuild(&p->ops, p->ops.n, 'A', 0);
	xreplace(&t->root, p->ops.root);
	free(t->top);
	free(t->git_dir);
	free(e->scripts);
	free(e->tmp);
	t->top = testrepo_path(t, "repo");
	t->git_dir = testrepo_path(t, "repo/.git");
	git_clear(&t->git);
	git_init(&t->git, &t->loop, t->git_dir);
	e->scripts = testrepo_path(t, "scripts");
	e->tmp = testrepo_path(t, "tmp");
	setenv("TMPDIR", e->tmp, 1);
	setenv("ORCH_AGENT_SCRIPTS", e->scripts, 1);
	setenv("HOME", testrepo_path(t, "home"), 1);
	setenv("XDG_STATE_HOME", testrepo_path(t, "xdg"), 1);
	repo_clear(&e->where);
	if (repo_find(&e->where, t->top, NULL, &why) < 0)
		fail_msg("%s", why.msg);
}

static void
load(struct power *p)
{
	char *tree;

	if (ops_load(&p->ops, p->trace) < 0)
		fail_msg("%s is no recording", p->trace);
	take_root(p);
	tree = e2e_tree(p->e, "m1");
	snprintf(p->tree, sizeof(p->tree), "%s", tree);
	free(tree);
	e2e_ctl_ok(p->e, "stop", NULL);
}

static void
test_power(void **state)
{
	struct power *p = power;
	int64_t begin = clock_now_ms();

	p->e = *state;
	setenv("ORCH_MIN_FREE_MB", "0", 1);
	setenv("ORCH_TREE", "walk", 1);
	if (p->trace != NULL)
		load(p);
	else
		power_record(p);
	printf("recorded: %.1f s\n", (double)(clock_now_ms() - begin) / 1000);
	if (p->at >= 0) {
		look_at(p, &(struct point){.n = (size_t)p->at,
			       .variant = p->variants[0],
			       .seed = p->seed,
			       .resume = p->resumes > 0});
	} else if (p->looks > 0) {
		look_at_some(p);
	} else {
		look_at_all(p);
	}
	print_tally(p, clock_now_ms() - begin);
	/* What e2e's teardown looks at is the run as it was. */
	tmp_remove(xstrdup(p->ops.root));
	disk_rebuild(&p->ops, p->ops.n, 'A', 0);
	ops_clear(&p->ops);
	assert_int_equal(p->broken, 0);
}

int
power_run(struct power *p)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_power, e2e_setup, e2e_teardown)};
	const char *asan = getenv("ASAN_OPTIONS");
	/* The leak checker traces its own process, which has a tracer already. */
	char *options = xasprintf("%s%sdetect_leaks=0", asan == NULL ? "" : asan, asan == NULL ? "" : ":");

	if (!trace_possible()) {
		printf("no user namespace here, and not root: processes cannot be traced\n");
		return 77;
	}
	setenv("ASAN_OPTIONS", options, 1);
	free(options);
	power = p;
	return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
