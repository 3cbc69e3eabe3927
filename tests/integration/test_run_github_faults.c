/*
 * What GitHub, the network and people do to a run for an issue, a row each: it ends as if nothing had been,
 * with one comment, one label and one pull request; or, where that is not in its power, it says what is
 * missing. Rows that only repeat what others show are left out unless --all is given, which prints a table.
 */
#include "common/alloc.h"
#include "common/json.h"
#include "director/comment.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US FAKEGITHUB_US
#define BRANCH "refs/heads/cco/25-build-it"
#define FAULTS 7

/* A limit that is over two seconds after the server's own time, whatever ours is. */
#define PRIMARY                                                                                              \
	"Date: Mon, 01 Jan 2024 00:00:00 GMT\nX-RateLimit-Limit: 5000\nX-RateLimit-Remaining: 0\n"           \
	"X-RateLimit-Reset: 1704067202\n"
#define SECONDARY "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

enum {
	MORE = 1,       /* only with --all */
	NO_PULL = 2,    /* nothing can be delivered, and that is told */
	NO_LABEL = 4,   /* ... set */
	NO_COMMENT = 8, /* ... written */
	FROZEN = 16,    /* comment and label stay as they were */
};

struct row {
	const char *name;
	unsigned flags;
	const char
	    *told; /* in an event of kind github, and in the comment where there is one; NULL: nothing */
	struct fakegithub_fault faults[FAULTS];
	void (*before)(struct fakegithub *g, const char *method, const char *path, void *arg);
	void (*deed)(struct e2e *e); /* while the worker is at work, the comment and the label being there */
};

static void
delete_comment(struct e2e *e)
{
	(void)e;
	fakegithub_delete_ours(&hub, "25", 0);
}

static void
write_too(struct e2e *e)
{
	(void)e;
	fakegithub_comment(&hub, "25", US, COMMENT_MARKER "\n### orch: another one\n");
	fakegithub_comment(&hub, "25", "ada", COMMENT_MARKER "\n### orch: quoted by a person\n");
}

static void
take_label(struct e2e *e)
{
	(void)e;
	fakegithub_set_label(&hub, "25", "orch:running", false);
	fakegithub_set_label(&hub, "25", "orch:failed", true);
}

static void
all_of_them(struct e2e *e)
{
	delete_comment(e);
	write_too(e);
	take_label(e);
}

static void
revoke(struct e2e *e)
{
	(void)e;
	hub.revoked = true;
}

/* Somebody pushes to the work branch: a commit that nobody here has. */
static void
move_branch(struct fakegithub *g)
{
	char *tree = fakegithub_git(g, "rev-parse", "refs/heads/main^{tree}", NULL);
	char *oid = fakegithub_git(g, "commit-tree", tree, "-p", "refs/heads/main", "-m", "Mine", NULL);

	assert_non_null(oid);
	free(fakegithub_git(g, "update-ref", BRANCH, oid, NULL));
	free(tree);
	free(oid);
}

static void
push_first(struct e2e *e)
{
	(void)e;
	move_branch(&hub);
}

/* ... after we looked where it is, and before our push comes. */
static void
push_in_between(struct fakegithub *g, const char *method, const char *path, void *arg)
{
	(void)arg;
	if (strcmp(method, "POST") == 0 && strstr(path, "git-receive-pack") != NULL)
		move_branch(g);
}

/* Somebody opens the pull request after we looked whether there is one. */
static void
open_first(struct fakegithub *g, const char *method, const char *path, void *arg)
{
	(void)arg;
	if (strcmp(method, "POST") != 0 || strstr(path, "/pulls") == NULL || json_array_size(g->pulls) > 0)
		return;
	json_array_append_new(
	    g->pulls, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:i, s:s}}", "number",
			  (json_int_t)++g->next_number, "title", "Mine", "body", "", "head",
			  "cco/25-build-it", "base", "main", "state", "open", "merged", 0, "draft", 0, "user",
			  "login", "ada", "id", 103, "type", "User"));
}

#define COMMENTS "/issues/25/comments"
#define LABELS "/issues/25/labels"
#define PUSH "git-receive-pack"

static const struct row rows[] = {
    {"much of the following at once", 0, NULL,
	{{FAKEGITHUB_RESET, "POST", COMMENTS, .times = 1}, {FAKEGITHUB_LOST, "POST", COMMENTS, .times = 1},
	    {FAKEGITHUB_LOST, "POST", PUSH, .times = 1}, {FAKEGITHUB_LOST, "POST", "/pulls", .times = 1},
	    {FAKEGITHUB_ANSWER, "PATCH", NULL, .times = 1, .status = 403, .headers = PRIMARY,
		.message = "API rate limit exceeded"},
	    {FAKEGITHUB_ANSWER, "PATCH", NULL, .times = 1, .status = 403, .headers = "Retry-After: 3\n",
		.message = SECONDARY},
	    {FAKEGITHUB_SLOW, "GET", COMMENTS, .times = 8}},
	open_first, all_of_them},
    {"nothing", MORE, NULL, {{0}}, NULL, NULL},
    {"answer to POST comment reset, then lost", MORE, NULL,
	{{FAKEGITHUB_RESET, "POST", COMMENTS, .times = 1}, {FAKEGITHUB_LOST, "POST", COMMENTS, .times = 1}},
	NULL, NULL},
    {"answer to POST pull request lost", MORE, NULL, {{FAKEGITHUB_LOST, "POST", "/pulls", .times = 1}}, NULL,
	NULL},
    {"answers to POST and DELETE label lost", MORE, NULL,
	{{FAKEGITHUB_LOST, "POST", LABELS, .times = 2}, {FAKEGITHUB_LOST, "POST", "hello/labels", .times = 2},
	    {FAKEGITHUB_LOST, "DELETE", LABELS, .times = 2}},
	NULL, NULL},
    {"answer to PATCH comment lost, three times", MORE, NULL, {{FAKEGITHUB_LOST, "PATCH", NULL, .times = 3}},
	NULL, NULL},
    {"answer to git push lost", MORE, NULL, {{FAKEGITHUB_LOST, "POST", PUSH, .times = 1}}, NULL, NULL},
    {"git push reset, then 502", MORE, NULL,
	{{FAKEGITHUB_RESET, "POST", PUSH, .times = 1},
	    {FAKEGITHUB_ANSWER, NULL, "info/refs", .times = 1, .status = 502}},
	NULL, NULL},
    {"primary limit: 403, remaining 0, reset in 2 s", MORE, NULL,
	{{FAKEGITHUB_ANSWER, "GET", COMMENTS, .times = 1, .status = 403, .headers = PRIMARY,
	     .message = "API rate limit exceeded"},
	    {FAKEGITHUB_ANSWER, "PATCH", NULL, .times = 1, .status = 403, .headers = PRIMARY,
		.message = "API rate limit exceeded"}},
	NULL, NULL},
    {"secondary limit: 403 with retry-after", MORE, NULL,
	{{FAKEGITHUB_ANSWER, "POST", NULL, .times = 2, .status = 403, .headers = "Retry-After: 3\n",
	    .message = SECONDARY}},
	NULL, NULL},
    {"secondary limit: 429 and 403 without any header", MORE, NULL,
	{{FAKEGITHUB_ANSWER, "POST", "/pulls", .times = 1, .status = 429},
	    {FAKEGITHUB_ANSWER, "POST", "/pulls", .times = 1, .status = 403, .message = SECONDARY}},
	NULL, NULL},
    {"first three requests reset", MORE, NULL, {{FAKEGITHUB_RESET, NULL, NULL, .times = 3}}, NULL, NULL},
    {"every third request reset, ten times", MORE, NULL,
	{{FAKEGITHUB_RESET, NULL, NULL, .skip = 2, .times = 1},
	    {FAKEGITHUB_RESET, "GET", NULL, .skip = 5, .times = 4},
	    {FAKEGITHUB_RESET, "PATCH", NULL, .times = 4}},
	NULL, NULL},
    {"bodies that break off", MORE, NULL,
	{{FAKEGITHUB_CUT, "GET", NULL, .times = 2}, {FAKEGITHUB_CUT, "POST", NULL, .times = 3}}, NULL, NULL},
    {"slow bodies", MORE, NULL, {{FAKEGITHUB_SLOW, NULL, NULL, .times = 8}}, NULL, NULL},
    {"503 to the last words", MORE, NULL, {{FAKEGITHUB_ANSWER, "PATCH", NULL, .times = 7, .status = 503}},
	NULL, NULL},
    {"422: a pull request was opened in between", MORE, NULL, {{0}}, open_first, NULL},
    {"the comment is deleted by a person", MORE, NULL, {{0}}, NULL, delete_comment},
    {"a second writer of the comment", MORE, NULL, {{0}}, NULL, write_too},
    {"the label is removed by a person, and another of ours set", MORE, NULL, {{0}}, NULL, take_label},
    {"the work branch was pushed to before", MORE | NO_PULL, "has commits on GitHub", {{0}}, NULL,
	push_first},
    {"the work branch is pushed to in between", NO_PULL, "cannot push the branch", {{0}}, push_in_between,
	NULL},
    {"401: the token is revoked", FROZEN, "401", {{0}}, NULL, revoke},
    {"403: it may not set labels", NO_LABEL, "label",
	{{FAKEGITHUB_ANSWER, "POST", "labels", .times = 1000, .status = 403,
	    .headers = "X-Accepted-GitHub-Permissions: issues=write\n",
	    .message = "Resource not accessible by integration"}},
	NULL, NULL},
    {"403: the issue is locked", MORE | NO_COMMENT, "comment on issue 25",
	{{FAKEGITHUB_ANSWER, "POST", COMMENTS, .times = 1000, .status = 403,
	    .message = "Unable to create comment because issue is locked."}},
	NULL, NULL},
    {"404: no pull requests here", MORE | NO_PULL, "pull request",
	{{FAKEGITHUB_ANSWER, "POST", "/pulls", .times = 1000, .status = 404, .message = "Not Found"}}, NULL,
	NULL},
};

static const struct row *row; /* that is tested */

static bool
was_told(struct e2e *e, const char *words)
{
	json_t *ev;
	size_t i;

	json_array_foreach (e->events, i, ev)
		if (strcmp(json_str(ev, "kind"), "github") == 0 && json_str(ev, "text") != NULL &&
		    strstr(json_str(ev, "text"), words) != NULL)
			return true;
	return false;
}

static void
assert_told(struct e2e *e)
{
	if (row->told == NULL)
		return;
	if (!was_told(e, row->told))
		fail_msg("no event of GitHub tells \"%s\"", row->told);
	if ((row->flags & (NO_COMMENT | FROZEN)) == 0) {
		githubrun_assert_says("> **GitHub:** ");
		githubrun_assert_says(row->told);
	}
}

static void
assert_all_said(struct e2e *e)
{
	const char *text = fakegithub_ours(&hub, "25", 0);
	json_t *labels = json_object_get(json_object_get(hub.issues, "25"), "labels");

	assert_told(e);
	if ((row->flags & FROZEN) != 0) {
		assert_non_null(strstr(text, "### orch: running"));
		return;
	}
	if ((row->flags & NO_COMMENT) != 0) {
		assert_null(text);
		assert_true(fakegithub_has_label(&hub, "25", "orch:complete"));
		assert_int_equal(json_array_size(labels), 1);
	} else if ((row->flags & NO_LABEL) != 0) {
		githubrun_assert_says("### orch: complete");
		assert_null(fakegithub_ours(&hub, "25", 1));
	} else {
		githubrun_assert_end("### orch: complete", "orch:complete");
	}
	if (row->told == NULL && strstr(text, "GitHub:") != NULL)
		fail_msg("%s", text);
	if ((row->flags & (NO_PULL | NO_COMMENT)) == 0)
		githubrun_assert_pull(e);
}

static int
set_up(void **state)
{
	struct e2e *e;
	int rc;

	row = *state;
	rc = githubrun_setup(state);
	if (rc != 0)
		return rc;
	e = *state;
	setenv("ORCH_GITHUB_SECOND", "20", 1);
	githubrun_serve_git(e);
	for (size_t i = 0; i < FAULTS; i++)
		if (row->faults[i].times > 0)
			fakegithub_fault(&hub, &row->faults[i]);
	hub.before = row->before;
	e2e_work(e, "a.one", "touch @/at-one\nwait_file @/go\n");
	return 0;
}

static void
test_row(void **state)
{
	struct e2e *e = *state;

	githubrun_begin(e, NULL);
	e2e_await_file(e, "at-one");
	if ((row->flags & NO_COMMENT) == 0)
		githubrun_await_comment(e, "### orch: running");
	if ((row->flags & NO_LABEL) == 0)
		githubrun_await_label(e, "orch:running");
	if (row->deed != NULL)
		row->deed(e);
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	e2e_assert_shows(e, "25", "a/one.txt", "one");
	assert_all_said(e);
	for (size_t i = 0; i < hub.fault_count; i++)
		assert_true(hub.faults[i].met > 0);
}

int
main(int argc, char **argv)
{
	bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
	struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0])];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (all || (rows[i].flags & MORE) == 0)
			tests[n++] = (struct CMUnitTest){
			    rows[i].name, test_row, set_up, githubrun_teardown, (void *)(uintptr_t)&rows[i]};
	return _cmocka_run_group_tests("test_run_github_faults", tests, n, NULL, NULL);
}
