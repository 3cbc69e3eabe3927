/*
 * Many children's commits at once: one run of the gate where all is well, about log2(n) where one is to
 * blame, and every place of the branch green. The gate counts its runs.
 */
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/testrepo.h"

#include "common/alloc.h"
#include "common/integrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ok testrepo_ok
#define PARENT "cco/1-em1"
#define N_MAX 16

static const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};

struct fixture {
	struct testrepo *t;
	struct integrate_spec s;
	struct integrate_item items[N_MAX];
	enum integrate_verdict verdicts[N_MAX];
	bool told[N_MAX];
	char base[GIT_OID_HEX], *worktree, *heads[N_MAX], *evidence;
	size_t unwanted;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->t = testrepo_new();
	testrepo_file(f->t, "file", "1\n2\n3\n");
	free(testrepo_commit(f->t, "base"));
	testrepo_write(f->t, "runs", "");
	ok(f->t, git_resolve(&f->t->git, "main", f->base, &f->t->e));
	ok(f->t, git_update_branch(&f->t->git, PARENT, f->base, "", &f->t->e));
	testrepo_do(f->t, NULL, "config", "core.logAllRefUpdates", "always", NULL);
	f->worktree = testrepo_path(f->t, "wt/1-em1");
	f->s = (struct integrate_spec){.git = &f->t->git,
	    .branch = PARENT,
	    .worktree = f->worktree,
	    .gate_env = env,
	    .gate_timeout_ms = 60000};
	f->unwanted = N_MAX;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < N_MAX; i++)
		free(f->heads[i]);
	json_decref((json_t *)f->s.verify);
	free(f->evidence);
	free(f->worktree);
	testrepo_free(f->t);
	free(f);
	return 0;
}

static void
gate_is(struct fixture *f, const char *command)
{
	char *whole = xasprintf("echo >> %s/runs; n=$(wc -l < %s/runs); %s", f->t->root, f->t->root, command);

	json_decref((json_t *)f->s.verify);
	f->s.verify = json_string(whole);
	free(whole);
}

static size_t
runs(struct fixture *f)
{
	char *text = testrepo_read(f->t, "runs");
	size_t n = strlen(text);

	free(text);
	testrepo_write(f->t, "runs", "");
	return n;
}

/* Item i is a commit on base that writes name. */
static void
item(struct fixture *f, size_t i, const char *name, const char *text)
{
	testrepo_do(f->t, NULL, "checkout", "-q", "--detach", f->base, NULL);
	testrepo_file(f->t, name, text);
	free(f->heads[i]);
	f->heads[i] = testrepo_commit(f->t, name);
	testrepo_do(f->t, NULL, "checkout", "-q", "main", NULL);
	f->items[i] = (struct integrate_item){f->heads[i], "Merge a child\n"};
}

/* n items; those in bad (bits) write a file that the gate does not like. */
static void
make_items(struct fixture *f, size_t n, unsigned bad)
{
	for (size_t i = 0; i < n; i++) {
		char *name = xasprintf("%s%zu", bad & 1u << i ? "bad" : "good", i);

		item(f, i, name, "x\n");
		free(name);
	}
}

/* The rounds of a lead until all have been answered. */
static int
merge_all(struct fixture *f, size_t n)
{
	struct integrate *in = integrate_new(&f->s, f->items, n);
	struct integrate_result r;
	int rc;

	memset(f->told, 0, sizeof(f->told));
	while ((rc = integrate_next(in, &r, &f->t->e)) == 1) {
		assert_false(f->told[r.item]);
		f->told[r.item] = true;
		f->verdicts[r.item] = r.verdict;
		if (r.evidence != NULL)
			xreplace(&f->evidence, r.evidence);
		integrate_result_clear(&r);
	}
	integrate_free(in);
	return rc;
}

static void
start_again(struct fixture *f)
{
	ok(f->t, git_update_branch(&f->t->git, PARENT, f->base, NULL, &f->t->e));
	runs(f);
}

/* Every commit that the branch has ever been at holds nothing bad. */
static void
expect_never_red(struct fixture *f)
{
	char *log = testrepo_git(f->t, NULL, "log", "-g", "--format=%H", PARENT, NULL), *save;

	for (char *c = strtok_r(log, "\n", &save); c != NULL; c = strtok_r(NULL, "\n", &save)) {
		char *tree = testrepo_git(f->t, NULL, "ls-tree", "--name-only", c, NULL);

		assert_null(strstr(tree, "bad"));
		free(tree);
	}
	free(log);
}

static void
all_good_is_one_run(void **state)
{
	struct fixture *f = *state;
	char *moves;

	gate_is(f, "! ls bad* 2>/dev/null");
	make_items(f, 8, 0);
	ok(f->t, merge_all(f, 8));
	for (size_t i = 0; i < 8; i++)
		assert_true(f->told[i] && f->verdicts[i] == INTEGRATE_MERGED);
	assert_int_equal(runs(f), 1);
	/* In the branch already: nothing is to be tried, nothing moves. */
	moves = testrepo_git(f->t, NULL, "log", "-g", "--format=%H", PARENT, NULL);
	ok(f->t, merge_all(f, 8));
	assert_true(f->told[7] && f->verdicts[7] == INTEGRATE_MERGED);
	assert_int_equal(runs(f), 0);
	free(moves);
}

static void
one_culprit_among(struct fixture *f, size_t n, size_t most)
{
	size_t worst = 0;

	for (size_t bad = 1; bad < n; bad += n / 2) {
		size_t took;

		make_items(f, n, 1u << bad);
		ok(f->t, merge_all(f, n));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(f->verdicts[i], i == bad ? INTEGRATE_RED : INTEGRATE_MERGED);
		assert_non_null(strstr(f->evidence, "bad"));
		took = runs(f);
		assert_in_range(took, 2, most);
		worst = took > worst ? took : worst;
		expect_never_red(f);
		start_again(f);
	}
	print_message(
	    "one culprit among %zu: at most %zu runs of the gate, one by one %zu\n", n, worst, n + 1);
}

static void
one_culprit_is_found_in_log_n(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "! ls bad* 2>/dev/null");
	one_culprit_among(f, 8, 3 + 3);
	one_culprit_among(f, 16, 4 + 3);
}

static void
several_culprits(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "! ls bad* 2>/dev/null");
	make_items(f, 8, 0x92);
	ok(f->t, merge_all(f, 8));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(f->verdicts[i], 0x92 & 1u << i ? INTEGRATE_RED : INTEGRATE_MERGED);
	expect_never_red(f);
}

/* Green alone, red together: the later one is to blame, for it came second. */
static void
who_came_second_is_to_blame(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "! { test -e good2 && test -e good5; }");
	make_items(f, 8, 0);
	ok(f->t, merge_all(f, 8));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(f->verdicts[i], i == 5 ? INTEGRATE_RED : INTEGRATE_MERGED);
}

/* Red once, somewhere in the bisection: nobody is blamed for it. */
static void
flaky_gates_blame_nobody(void **state)
{
	struct fixture *f = *state;

	for (int red = 1; red <= 2; red++) {
		gate_is(f, red == 1 ? "test $n != 1" : "test $n -gt 2");
		make_items(f, 4, 0);
		ok(f->t, merge_all(f, 4));
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(f->verdicts[i], INTEGRATE_MERGED);
		start_again(f);
	}
}

/* A conflict with one of the batch is left for later, and is then a conflict with the branch, or none. */
static void
conflicts_within_the_batch(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "! grep bad file");
	item(f, 0, "file", "1\nfirst\n3\n");
	item(f, 1, "other", "x\n");
	item(f, 2, "file", "1\nsecond\n3\n");
	item(f, 3, "more", "x\n");
	ok(f->t, merge_all(f, 4));
	assert_int_equal(f->verdicts[2], INTEGRATE_CONFLICT);
	assert_non_null(strstr(f->evidence, "- file\n"));
	assert_int_equal(f->verdicts[3], INTEGRATE_MERGED);
	assert_int_equal(runs(f), 1);
	start_again(f);
	/* The one that it conflicts with is not kept: no conflict. */
	item(f, 0, "file", "1\nbad\n3\n");
	ok(f->t, merge_all(f, 4));
	assert_int_equal(f->verdicts[0], INTEGRATE_RED);
	assert_int_equal(f->verdicts[2], INTEGRATE_MERGED);
}

static bool
wanted(void *arg, size_t i)
{
	struct fixture *f = arg;

	return i != f->unwanted;
}

/* Cancelled while the gate ran: it is not kept, the others are. */
static void
unwanted_ones_are_left_out(void **state)
{
	struct fixture *f = *state;
	char *tree;

	gate_is(f, "true");
	make_items(f, 4, 0);
	f->unwanted = 2;
	f->s.wanted = wanted;
	f->s.arg = f;
	ok(f->t, merge_all(f, 4));
	assert_false(f->told[2]);
	assert_true(f->told[3]);
	tree = testrepo_git(f->t, NULL, "ls-tree", "--name-only", PARENT, NULL);
	assert_string_equal(tree, "README\nfile\ngood0\ngood1\ngood3");
	free(tree);
}

/* What is red before cannot tell one from another: they go one by one, and what cures it counts at once. */
static void
a_red_base_takes_them_one_by_one(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "test -e good1 && ! ls bad*");
	f->s.gate_known = 1 << 8;
	make_items(f, 4, 1u << 2);
	ok(f->t, merge_all(f, 4));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(f->verdicts[i], i == 2 ? INTEGRATE_RED : INTEGRATE_MERGED);
}

/* Stopped in the middle of a bisection, or its process killed: the next one does what is left. */
static void
interrupted_anywhere(void **state)
{
	struct fixture *f = *state;

	gate_is(f, "! ls bad* 2>/dev/null");
	make_items(f, 8, 1u << 5);
	for (unsigned stop_after = 1; stop_after < 8; stop_after += 3) {
		struct integrate *in = integrate_new(&f->s, f->items, 8);
		struct integrate_result r;

		for (unsigned i = 0; i < stop_after && integrate_next(in, &r, &f->t->e) == 1; i++)
			integrate_result_clear(&r);
		integrate_free(in);
		ok(f->t, merge_all(f, 8));
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(f->verdicts[i], i == 5 ? INTEGRATE_RED : INTEGRATE_MERGED);
		expect_never_red(f);
		start_again(f);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(all_good_is_one_run),
	    TEST(one_culprit_is_found_in_log_n),
	    TEST(several_culprits),
	    TEST(who_came_second_is_to_blame),
	    TEST(flaky_gates_blame_nobody),
	    TEST(conflicts_within_the_batch),
	    TEST(unwanted_ones_are_left_out),
	    TEST(a_red_base_takes_them_one_by_one),
	    TEST(interrupted_anywhere),
	};

	return cmocka_run_group_tests_name("integrate_batch", tests, NULL, NULL);
}
