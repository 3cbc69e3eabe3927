/* orch-worker, the program, with the scripted agent, real git and an orchd of the test's. */
#include "tests/helper/lib/rolehost.h"
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WRITE_A "write src/a.c <<END\nint a;\nEND\ntokens 100 20 0.5\nsay Wrote a.\n"

static struct rolehost *
new_worker(const char *verify)
{
	struct rolehost *f = host_new(WHO_WORKER, ORCH_BIN_DIR, "25/em1/w2", "core.a", verify);

	testrepo_do(f->repo, NULL, "branch", "parent", NULL);
	host_set(&f->a.branch, "parent-w2");
	host_set(&f->a.parent_branch, "parent");
	return f;
}

static const struct msg *
last(struct rolehost *f, enum msg_id id)
{
	if (f->last[id] == NULL) {
		char *log = testrepo_read(f->repo, "logs/stderr");

		fail_msg("no message %d came; the story:%s; the log:\n%s", id, f->story, log);
	}
	return f->last[id];
}

static void
expect_git(struct rolehost *f, const char *wanted, const char *a, const char *b, const char *c)
{
	char *got = testrepo_git(f->repo, NULL, a, b, c, NULL);

	assert_string_equal(got, wanted);
	free(got);
}

static char *
tree_of(struct rolehost *f, const char *commit)
{
	char *spec = xasprintf("%s^{tree}", commit),
	     *tree = testrepo_git(f->repo, NULL, "rev-parse", spec, NULL);

	free(spec);
	return tree;
}

static void
test_one_task(void **state)
{
	struct rolehost *f = new_worker("test -e src/a.c");
	const struct msg *m;
	char *base = testrepo_git(f->repo, NULL, "rev-parse", "main", NULL), *text;

	(void)state;
	host_script(
	    f, "worker-core.a", "expect_prompt A task\nexpect_prompt The goal of the task.\n" WRITE_A);
	assert_int_equal(host_run(f), 0);
	m = last(f, MSG_SUBMIT);
	/* base, session, usage, head */
	assert_string_equal(f->story, " NOTE NOTE NOTE NOTE SUBMIT");
	assert_string_equal(m->submit.base, base);
	assert_string_equal(m->submit.head, f->a.head);
	assert_int_equal(m->submit.files, 1);
	assert_int_equal(m->submit.insertions, 1);
	assert_string_equal(m->submit.summary, "Wrote a.");
	expect_git(f, f->a.head, "rev-parse", "--verify", "parent-w2");
	text = testrepo_git(f->repo, NULL, "show", "-s", "--format=%B", f->a.head, NULL);
	assert_non_null(strstr(text, "A task\n\nOrch-Task: 25/em1/w2\nOrch-Session: "));
	assert_non_null(strstr(text, f->a.session));
	free(text);
	expect_git(f, "", "status", "--porcelain", "--");
	expect_git(f, base, "rev-parse", "--verify", "main");
	free(base);
	host_free(f);
}

static void
test_changed_nothing_then_resumed_with_the_evidence(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", "say I did it all, trust me.\n");
	host_script(
	    f, "worker-core.a.2", "expect_resumed\nexpect_prompt Nothing in the worktree differs\n" WRITE_A);
	assert_int_equal(host_run(f), 0);
	assert_string_equal(last(f, MSG_REWORK)->rework.reason, "the agent changed nothing");
	assert_null(f->last[MSG_SUBMIT]);
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	host_free(f);
}

static void
test_breach_goes_back(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", WRITE_A "write Makefile <<END\nall:\nEND\n");
	host_script(f, "worker-core.a.2", "expect_resumed\nexpect_prompt Makefile\ndelete Makefile\n");
	assert_int_equal(host_run(f), 0);
	assert_string_equal(
	    last(f, MSG_REWORK)->rework.reason, "changed what the task does not own: Makefile");
	assert_null(f->last[MSG_SUBMIT]);
	assert_int_equal(host_run(f), 0);
	expect_git(f, "src/a.c", "diff", "--name-only", "main..parent-w2");
	last(f, MSG_SUBMIT);
	host_free(f);
}

/* Whatever way a change takes, what is not owned is refused by its name. */
static void
test_every_way_out_is_refused(void **state)
{
	static const struct {
		const char *script, *reason;
	} ways[] = {
	    {"run mkdir -p src; git mv other.c src/other.c", "changed what the task does not own: other.c"},
	    {"run mkdir -p src; mv other.c src/other.c", "changed what the task does not own: other.c"},
	    {"delete other.c", "changed what the task does not own: other.c"},
	    {"run chmod +x other.c", "changed what the task does not own: other.c"},
	    {"run git update-index --chmod=+x other.c; git commit -q -m x; chmod +x other.c",
		"changed what the task does not own: other.c"},
	    {"run ln -sf src/a.c other.c", "changed what the task does not own: other.c"},
	    {"run mkdir -p src; ln -s ../other.c src/link; echo through > src/link",
		"changed what the task does not own: other.c"},
	    {"run mkdir -p src; ln -s ../../x src/out",
		"left symbolic links that lead out of the repository: src/out"},
	    {"run mkdir -p src; ln -s /etc src/etc",
		"left symbolic links that lead out of the repository: src/etc"},
	    {"run git init -q sub && git -C sub -c user.name=a -c user.email=a@b commit -q --allow-empty -m "
	     "x && "
	     "printf '[submodule \"sub\"]\\n\\tpath = sub\\n\\turl = ./sub\\n' > .gitmodules && git add sub "
	     ".gitmodules",
		"changed what the task does not own: .gitmodules, sub"},
	    {"run echo outside > ../outside", "the agent changed nothing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct rolehost *f = new_worker(NULL);
		char *script = xasprintf("%s\n", ways[i].script);

		testrepo_file(f->repo, "other.c", "int other;\n");
		free(testrepo_commit(f->repo, "other"));
		testrepo_do(f->repo, NULL, "branch", "-q", "-f", "parent", "main", NULL);
		host_script(f, "worker-core.a", script);
		assert_int_equal(host_run(f), 0);
		assert_string_equal(last(f, MSG_REWORK)->rework.reason, ways[i].reason);
		assert_null(f->last[MSG_SUBMIT]);
		free(script);
		host_free(f);
	}
}

static void
test_protected_path_goes_back(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_set(&f->a.owns_json, "[\"**\"]");
	host_script(f, "worker-core.a.1", WRITE_A "write orchestrator.json <<END\n{}\nEND\n");
	host_script(f, "worker-core.a.2",
	    "expect_resumed\nexpect_prompt orchestrator.json\ndelete orchestrator.json\n");
	assert_int_equal(host_run(f), 0);
	assert_string_equal(
	    last(f, MSG_REWORK)->rework.reason, "changed what is protected: orchestrator.json");
	assert_int_equal(host_run(f), 0);
	expect_git(f, "src/a.c", "diff", "--name-only", "main..parent-w2");
	last(f, MSG_SUBMIT);
	host_free(f);
}

/* What the gate leaves behind is not the agent's work, even where the gate failed. */
static void
test_red_gate_goes_back_without_its_droppings(void **state)
{
	struct rolehost *f = new_worker("echo dropped > dropping; echo no ok here; test -e src/ok");

	(void)state;
	host_script(f, "worker-core.a.1", WRITE_A);
	host_script(
	    f, "worker-core.a.2", "expect_resumed\nexpect_prompt no ok here\nwrite src/ok <<END\nok\nEND\n");
	assert_int_equal(host_run(f), 0);
	assert_non_null(strstr(last(f, MSG_REWORK)->rework.evidence, "no ok here"));
	assert_null(f->last[MSG_SUBMIT]);
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	expect_git(f, "src/a.c\nsrc/ok", "diff", "--name-only", "main..parent-w2");
	host_free(f);
}

/* Red as it was on the base: nobody's fault; the parent's entry says so. */
static void
test_gate_that_was_red_before_does_not_judge(void **state)
{
	struct rolehost *f = new_worker("exit 3");

	(void)state;
	host_set(&f->a.gate, "768 768");
	host_script(f, "worker-core.a", "expect_prompt It failed before your work already\n" WRITE_A);
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	assert_null(f->last[MSG_REWORK]);
	host_free(f);
}

/* What an area asks for beside the run's gate, or without one. */
static void
test_gate_of_the_area(void **state)
{
	static const char *const runs_own[] = {NULL, "true"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rolehost *f = new_worker(runs_own[i]);

		host_set(&f->a.verify_json, "[[\"grep\",\"-q\",\"good\",\"src/a.c\"]]");
		host_set(&f->a.guarded_json, "[\"src/judge\"]");
		host_script(f, "worker-core.a.1",
		    "expect_prompt [\"grep\",\"-q\",\"good\",\"src/a.c\"]\nwrite src/judge "
		    "<<END\nx\nEND\n" WRITE_A);
		host_script(f, "worker-core.a.2", "delete src/judge\nexpect_prompt src/judge\n");
		host_script(
		    f, "worker-core.a.3", "expect_prompt grep -q good\nwrite src/a.c <<END\ngood\nEND\n");
		assert_int_equal(host_run(f), 0);
		assert_string_equal(
		    last(f, MSG_REWORK)->rework.reason, "changed what is protected: src/judge");
		assert_int_equal(host_run(f), 0);
		assert_non_null(
		    strstr(last(f, MSG_REWORK)->rework.reason, "the gate (grep -q good src/a.c) exited"));
		assert_null(f->last[MSG_SUBMIT]);
		assert_int_equal(host_run(f), 0);
		last(f, MSG_SUBMIT);
		host_free(f);
	}
}

static void
test_agent_that_commits_and_switches_branches(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a",
	    "write src/a.c <<END\nint a;\nEND\ncommit Mine\nbranch elsewhere\nwrite src/b.c <<END\nint "
	    "b;\nEND\ncommit "
	    "More\nwrite src/c.c <<END\nint c;\nEND\n");
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	expect_git(f, "src/a.c\nsrc/b.c\nsrc/c.c", "diff", "--name-only", "main..parent-w2");
	expect_git(f, "", "branch", "--list", "elsewhere");
	host_free(f);
}

static void
test_bad_end_keeps_the_work_for_the_next_attempt(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", "write src/a.c <<END\nint a;\nEND\nerror the model is tired\n");
	host_script(f, "worker-core.a.2",
	    "expect_resumed\nexpect_prompt interrupted\nwrite src/b.c <<END\nint b;\nEND\n");
	assert_int_equal(host_run(f), 0);
	assert_non_null(strstr(last(f, MSG_ATTEMPT_FAILED)->attempt_failed.reason, "the model is tired"));
	assert_null(f->last[MSG_SUBMIT]);
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	expect_git(f, "src/a.c\nsrc/b.c", "diff", "--name-only", "main..parent-w2");
	host_free(f);
}

/* A new session knows nothing: it is told what the lost one left. */
static void
test_successor_of_a_lost_session_is_told_what_is_there(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", "write src/a.c <<END\nint a;\nEND\nerror the model is tired\n");
	host_script(f, "worker-core.a",
	    "expect_fresh\nexpect_prompt Another agent has begun\nexpect_prompt src/a.c\n"
	    "write src/b.c <<END\nint b;\nEND\n");
	assert_int_equal(host_run(f), 0);
	last(f, MSG_ATTEMPT_FAILED);
	host_set(&f->a.session, "11111111-2222-4333-8444-555555555555");
	f->a.attempt = 2;
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	expect_git(f, "src/a.c\nsrc/b.c", "diff", "--name-only", "main..parent-w2");
	host_free(f);
}

/* A limit is waited for until it resets, or a while; no attempt is used up by it. */
static void
test_rate_limit_is_a_reason_to_wait(void **state)
{
	struct rolehost *f = new_worker(NULL);
	uint64_t reset_s = (uint64_t)clock_wall_ms() / 1000 + 7200, now = (uint64_t)clock_wall_ms();
	char *script = xasprintf("raw <<END\n{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":"
				 "\"rejected\",\"resetsAt\":%llu}}\nEND\napi_error 429 slow down\n",
	    (unsigned long long)reset_s);

	(void)state;
	host_script(f, "worker-core.a.1", script);
	host_script(f, "worker-core.a", "api_error 429 slow down\n");
	assert_int_equal(host_run(f), 0);
	assert_in_range(last(f, MSG_WAIT)->wait.until, reset_s * 1000, reset_s * 1000 + 800000);
	assert_non_null(strstr(f->last[MSG_WAIT]->wait.reason, "slow down"));
	assert_null(f->last[MSG_ATTEMPT_FAILED]);
	assert_int_equal(host_run(f), 0);
	assert_in_range(last(f, MSG_WAIT)->wait.until, now + 60000, now + 600000);
	free(script);
	host_free(f);
}

static void
test_refused_key_is_not_tried_again(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a", "api_error 401 invalid x-api-key\n");
	assert_int_equal(host_run(f), 0);
	assert_non_null(strstr(last(f, MSG_FAIL)->fail.reason, "log the agent in again"));
	assert_null(f->last[MSG_ATTEMPT_FAILED]);
	host_free(f);
}

static void
test_agent_that_is_too_old_gets_no_work(void **state)
{
	struct rolehost *f = new_worker(NULL);
	char *path = testrepo_path(f->repo, "old-agent"), *options = xasprintf("{\"agent\":\"%s\"}", path);

	(void)state;
	testrepo_write(f->repo, "old-agent", "#!/bin/sh\necho '1.0.3 (Claude Code)'\n");
	assert_int_equal(chmod(path, 0700), 0);
	host_set(&f->a.options_json, options);
	assert_int_equal(host_run(f), 0);
	assert_non_null(strstr(last(f, MSG_FAIL)->fail.reason, "1.0.3, and orch needs"));
	free(path);
	free(options);
	host_free(f);
}

/* The agent counts over its session: what sessions before it cost is added, what this one has told is not. */
static void
test_cost_is_of_the_task(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", "tokens 100 10 0.5\nerror the model is tired\n");
	host_script(
	    f, "worker-core.a.2", "expect_resumed\ntokens 20 2 0.1\nwrite src/a.c <<END\nint a;\nEND\n");
	f->a.cost_uusd = 1000000;
	f->a.tokens_in = 7;
	assert_int_equal(host_run(f), 0);
	assert_int_equal(f->a.cost_uusd, 1500000);
	assert_int_equal(f->a.tokens_in, 107);
	assert_int_equal(host_run(f), 0);
	assert_int_equal(f->a.cost_uusd, 1600000);
	host_free(f);
}

static void
test_missing_agent_is_not_tried_again(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_set(&f->a.options_json, "{\"agent\":\"/nonexistent/agent\"}");
	assert_int_equal(host_run(f), 0);
	assert_string_equal(last(f, MSG_FAIL)->fail.task, "25/em1/w2");
	assert_non_null(strstr(f->last[MSG_FAIL]->fail.reason, "/nonexistent/agent"));
	host_free(f);
}

static void
test_lost_session_starts_afresh(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_set(&f->a.session, "11111111-2222-4333-8444-555555555555");
	host_script(f, "worker-core.a", "expect_fresh\nexpect_prompt The goal of the task.\n" WRITE_A);
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	assert_string_not_equal(f->a.session, "11111111-2222-4333-8444-555555555555");
	host_free(f);
}

static void
test_strangers_branch_is_left_alone(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	testrepo_do(f->repo, NULL, "branch", "parent-w2", NULL);
	assert_int_equal(host_run(f), 0);
	assert_non_null(strstr(last(f, MSG_FAIL)->fail.reason, "parent-w2"));
	expect_git(f, "  parent-w2", "branch", "--list", "parent-w2");
	host_free(f);
}

/* The parent has moved on and its work conflicts with ours. */
static void
send_back_with_conflict(struct rolehost *f)
{
	testrepo_do(f->repo, NULL, "switch", "-q", "parent", NULL);
	testrepo_file(f->repo, "src/a.c", "int parent;\n");
	testrepo_file(f->repo, "other", "of a sibling\n");
	free(testrepo_commit(f->repo, "A sibling's work"));
	testrepo_do(f->repo, NULL, "switch", "-q", "main", NULL);
	free((char *)f->a.merge_from);
	f->a.merge_from = testrepo_git(f->repo, NULL, "rev-parse", "parent", NULL);
	host_set(&f->a.evidence, "src/a.c: both sides changed it");
	host_set(&f->a.head, NULL);
	f->a.rework++;
	f->a.attempt++;
}

static void
test_conflict_is_resolved_by_the_agent(void **state)
{
	struct rolehost *f = new_worker(NULL);
	char *text, *parent;

	(void)state;
	host_script(f, "worker-core.a.1", WRITE_A);
	host_script(
	    f, "worker-core.a.2", "expect_resumed\nexpect_prompt src/a.c\nwrite src/b.c <<END\nb\nEND\n");
	host_script(
	    f, "worker-core.a.3", "expect_prompt markers\nwrite src/a.c <<END\nint a, parent;\nEND\n");
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	send_back_with_conflict(f);
	parent = xstrdup(f->a.merge_from);
	assert_int_equal(host_run(f), 0);
	assert_string_equal(last(f, MSG_REWORK)->rework.reason, "conflict markers were left in src/a.c");
	assert_null(f->a.merge_from);
	assert_string_equal(f->a.base, parent);
	assert_int_equal(host_run(f), 0);
	assert_string_equal(last(f, MSG_SUBMIT)->submit.base, parent);
	text = testrepo_git(f->repo, NULL, "show", "parent-w2:src/a.c", NULL);
	assert_string_equal(text, "int a, parent;");
	free(text);
	expect_git(f, "src/a.c\nsrc/b.c", "diff", "--name-only", "parent..parent-w2");
	assert_int_equal(
	    testrepo_try(f->repo, NULL, "merge-base", "--is-ancestor", parent, "parent-w2", NULL), 0);
	free(parent);
	host_free(f);
}

/* No commit with conflict markers stays in the history. */
static void
test_resolution_and_merge_are_one_commit(void **state)
{
	struct rolehost *f = new_worker(NULL);
	char *first, *want, *got;

	(void)state;
	host_script(f, "worker-core.a.1", WRITE_A);
	host_script(f, "worker-core.a.2", "expect_resumed\nwrite src/a.c <<END\nint a, parent;\nEND\n");
	assert_int_equal(host_run(f), 0);
	first = xstrdup(f->a.head);
	send_back_with_conflict(f);
	want = xasprintf("%s %s", first, f->a.merge_from);
	assert_int_equal(host_run(f), 0);
	got = testrepo_git(f->repo, NULL, "show", "-s", "--format=%P", "parent-w2", NULL);
	assert_string_equal(got, want);
	assert_string_equal(last(f, MSG_SUBMIT)->submit.head, f->a.head);
	free(first);
	free(want);
	free(got);
	host_free(f);
}

/* Killed in the middle of a rework with a conflict: one merge, one resolution, whatever happens. */
static bool
killed_in_conflict_at(unsigned n, bool after)
{
	struct rolehost *f = new_worker(NULL);
	char *text;
	bool was_killed;

	host_script(f, "worker-core.a", WRITE_A);
	assert_int_equal(host_run(f), 0);
	send_back_with_conflict(f);
	host_script(f, "worker-core.a", "write src/a.c <<END\nint a, parent;\nEND\n");
	f->kill_at = n;
	f->kill_after = after;
	was_killed = host_run(f) == -SIGKILL;
	f->kill_at = 0;
	if (was_killed)
		assert_int_equal(host_run(f), 0);
	text = testrepo_git(f->repo, NULL, "show", "parent-w2:src/a.c", NULL);
	assert_string_equal(text, "int a, parent;");
	free(text);
	assert_string_equal(f->a.head, last(f, MSG_SUBMIT)->submit.head);
	expect_git(f, "src/a.c", "diff", "--name-only", "parent..parent-w2");
	text = testrepo_git(f->repo, NULL, "rev-list", "--count", "--merges", "main..parent-w2", NULL);
	assert_string_equal(text, "1");
	free(text);
	host_free(f);
	return was_killed;
}

static void
test_killed_in_a_conflict(void **state)
{
	unsigned n = 1;

	(void)state;
	for (; n < 20 && killed_in_conflict_at(n, false); n++)
		killed_in_conflict_at(n, true);
	assert_in_range(n, 4, 8);
}

static void
stop_when_ready(struct rolehost *f, const struct msg *m)
{
	const struct msg stop = {.id = MSG_STOP, .stop = {.reason = "orchctl stop"}};

	if (m->id == MSG_PROGRESS && strcmp(m->progress.doing, "ready") == 0)
		host_send(f, &stop);
}

static void
test_stop_saves_the_work(void **state)
{
	struct rolehost *f = new_worker(NULL);

	(void)state;
	host_script(f, "worker-core.a.1", "write src/a.c <<END\nint a;\nEND\nsay ready\nhang\n");
	host_script(f, "worker-core.a.2", "expect_resumed\nsay finished\n");
	f->on_report = stop_when_ready;
	assert_int_equal(host_run(f), 0);
	assert_null(f->last[MSG_SUBMIT]);
	expect_git(f, "int a;", "show", "refs/orch/wip/25-em1-w2:src/a.c", "--");
	assert_int_equal(host_run(f), 0);
	last(f, MSG_SUBMIT);
	expect_git(f, "src/a.c", "diff", "--name-only", "main..parent-w2");
	host_free(f);
}

/*
 * Killed at every request it makes, before and after orchd has it, and started again: always the same tree.
 * The script needs a rework, so that both ways through the program are killed.
 */
static bool
killed_at(unsigned n, bool after, const char *wanted)
{
	struct rolehost *f = new_worker("test -e src/ok");
	char *tree;
	unsigned starts = 0;
	bool was_killed = false;

	host_script(f, "worker-core.a", "write src/a.c <<END\nint a;\nEND\n");
	f->kill_at = n;
	f->kill_after = after;
	do {
		if (f->a.rework > 0)
			host_script(f, "worker-core.a",
			    "expect_prompt test -e src/ok\nwrite src/ok <<END\nok\nEND\n");
		assert_true(++starts < 10);
		if (host_run(f) == -SIGKILL) {
			was_killed = true;
			f->kill_at = 0;
		}
	} while (strstr(f->story, "SUBMIT") == NULL);
	tree = tree_of(f, last(f, MSG_SUBMIT)->submit.head);
	assert_string_equal(tree, wanted);
	free(tree);
	host_free(f);
	return was_killed;
}

static void
test_killed_anywhere_ends_in_the_same_tree(void **state)
{
	struct rolehost *f = new_worker(NULL);
	char *wanted;
	unsigned n = 1;

	(void)state;
	host_script(f, "worker-core.a", "write src/a.c <<END\nint a;\nEND\nwrite src/ok <<END\nok\nEND\n");
	assert_int_equal(host_run(f), 0);
	wanted = tree_of(f, last(f, MSG_SUBMIT)->submit.head);
	host_free(f);
	for (; n < 20 && killed_at(n, false, wanted); n++)
		killed_at(n, true, wanted);
	assert_in_range(n, 4, 12);
	free(wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_task),
	    cmocka_unit_test(test_changed_nothing_then_resumed_with_the_evidence),
	    cmocka_unit_test(test_breach_goes_back),
	    cmocka_unit_test(test_every_way_out_is_refused),
	    cmocka_unit_test(test_protected_path_goes_back),
	    cmocka_unit_test(test_red_gate_goes_back_without_its_droppings),
	    cmocka_unit_test(test_gate_that_was_red_before_does_not_judge),
	    cmocka_unit_test(test_gate_of_the_area),
	    cmocka_unit_test(test_agent_that_commits_and_switches_branches),
	    cmocka_unit_test(test_bad_end_keeps_the_work_for_the_next_attempt),
	    cmocka_unit_test(test_successor_of_a_lost_session_is_told_what_is_there),
	    cmocka_unit_test(test_rate_limit_is_a_reason_to_wait),
	    cmocka_unit_test(test_refused_key_is_not_tried_again),
	    cmocka_unit_test(test_agent_that_is_too_old_gets_no_work),
	    cmocka_unit_test(test_cost_is_of_the_task),
	    cmocka_unit_test(test_missing_agent_is_not_tried_again),
	    cmocka_unit_test(test_lost_session_starts_afresh),
	    cmocka_unit_test(test_strangers_branch_is_left_alone),
	    cmocka_unit_test(test_conflict_is_resolved_by_the_agent),
	    cmocka_unit_test(test_resolution_and_merge_are_one_commit),
	    cmocka_unit_test(test_killed_in_a_conflict),
	    cmocka_unit_test(test_stop_saves_the_work),
	    cmocka_unit_test(test_killed_anywhere_ends_in_the_same_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
