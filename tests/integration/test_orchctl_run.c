/*
 * orchctl run, status, logs and the rest against a fake orchd: what is sent, what is shown, the exit code,
 * and what happens when the connection is lost or Ctrl-C is pressed.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "common/repo.h"
#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/ctlrun.h"
#include "tests/helper/lib/fakeorchd.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the fake does besides answering as usual. */
struct script {
	const char *end;   /* state of the run that STATUS reports last; NULL: it stays running */
	bool hang_up_once; /* the first STATUS is cut off after its first line */
	bool press;        /* SIGINT to the client after STATUS */
	bool stopped;      /* someone else stops the run */
	bool refuse;       /* RUN_SUBMIT gets an ERROR */
	bool no_runs;      /* STATUS has nothing */
	unsigned statuses, submits, shutdowns, events, cancels, retries, resumes, forgets;
	struct peer *watcher; /* of the last STATUS with watch */
	uint32_t watch_request;
	char *base, *head; /* of every task */
	char target[128];
	char submitted[512]; /* title, issue, base branch, options, length of base */
};

static struct testrepo *repo;
static struct fakeorchd *orchd;
static struct script script;

static void
send_run(struct peer *p, uint32_t request, const char *state)
{
	struct msg m = ctlmodel_run(state);

	m.run_info.branch = "cco/m1-x";
	m.run_info.base = "HEAD";
	m.run_info.tasks = 1;
	m.run_info.log_dir = "/logs/m1";
	m.run_info.stopped = script.stopped;
	if (strcmp(state, "running") != 0) {
		m.run_info.integrated = strcmp(state, "failed") != 0;
		m.run_info.ended_at = CTLMODEL_NOW;
	}
	fakeorchd_send(p, request, m);
}

static void
send_task(struct peer *p, uint32_t request, const char *id, const char *state, const char *reason)
{
	struct msg m = ctlmodel_task(id, "Core", state);

	m.task_info.reason = reason;
	m.task_info.base = script.base;
	m.task_info.head = script.head;
	m.task_info.log = "/logs/m1/m1-em1.log";
	fakeorchd_send(p, request, m);
}

static void
send_daemon(struct peer *p, uint32_t request)
{
	struct msg m = {.id = MSG_DAEMON_INFO};

	m.daemon_info.version = ORCH_VERSION;
	m.daemon_info.git_dir = repo->git_dir;
	m.daemon_info.state_dir = repo->git_dir;
	fakeorchd_send(p, request, m);
}

static void
answer_status(struct peer *p, const struct msg *m)
{
	bool first = script.statuses++ == 0;

	send_daemon(p, m->request);
	if (script.no_runs) {
		fakeorchd_end(p, m->request);
		return;
	}
	send_run(p, m->request, m->status.watch || script.end == NULL ? "running" : script.end);
	if (first && script.hang_up_once) {
		fakeorchd_hang_up(p);
		return;
	}
	if (!m->status.all) {
		send_task(p, m->request, "m1", "running", NULL);
		send_task(p, m->request, "m1/em1", "running", NULL);
	}
	fakeorchd_end(p, m->request);
	if (!m->status.watch)
		return;
	script.watcher = p;
	script.watch_request = m->request;
	if (script.press)
		kill(fakeorchd_client_pid(orchd), SIGINT);
	if (script.end == NULL && !script.stopped)
		return;
	send_task(p, m->request, "m1/em1",
	    script.stopped                        ? "queued"
	    : strcmp(script.end, "complete") == 0 ? "integrated"
						  : "failed",
	    strcmp(script.end == NULL ? "complete" : script.end, "complete") == 0 ? NULL : "the gate is red");
	send_run(p, m->request, script.stopped ? "running" : script.end);
}

static void
answer_submit(struct peer *p, const struct msg *m)
{
	struct msg accepted = {.id = MSG_RUN_ACCEPTED};

	script.submits++;
	snprintf(script.submitted, sizeof(script.submitted), "%s|%s|%s|%s|%zu", m->run_submit.title,
	    m->run_submit.issue != NULL ? m->run_submit.issue : "", m->run_submit.base_branch,
	    m->run_submit.options_json, strlen(m->run_submit.base));
	if (script.refuse) {
		peer_error(p, m->request, EBUSY, "issue 25 is being worked on by run 25");
		return;
	}
	accepted.run_accepted.run = "m1";
	fakeorchd_send(p, m->request, accepted);
}

static void
answer_events(struct peer *p, const struct msg *m)
{
	struct msg ev = {.id = MSG_EVENT_INFO};

	script.events++;
	snprintf(script.target, sizeof(script.target), "%s", m->events.task != NULL ? m->events.task : "");
	ev.event_info.seq = 1;
	ev.event_info.at = 3661000;
	ev.event_info.run = "m1";
	ev.event_info.task = "m1/em1";
	ev.event_info.kind = "state";
	ev.event_info.state = "running";
	ev.event_info.text = "started\033[2J";
	fakeorchd_send(p, m->request, ev);
	fakeorchd_end(p, m->request);
	if (!m->events.follow)
		return;
	ev.event_info.seq = 2;
	ev.event_info.kind = "gate";
	ev.event_info.text = "green";
	fakeorchd_send(p, m->request, ev);
	if (m->events.after_seq == 0) { /* a crash; what comes after it begins with what is known */
		fakeorchd_hang_up(p);
		return;
	}
	assert_int_equal(m->events.after_seq, 2);
	ev.event_info.seq = 3;
	ev.event_info.text = "red";
	fakeorchd_send(p, m->request, ev);
	peer_error(p, m->request, ESHUTDOWN, "orchd was stopped");
}

static void
acknowledge(struct peer *p, const struct msg *m, unsigned *count, const char *target)
{
	(*count)++;
	snprintf(script.target, sizeof(script.target), "%s", target == NULL ? "" : target);
	peer_ack(p, m->request, NULL);
}

static void
on_request(struct fakeorchd *f, struct peer *p, const struct msg *m, void *arg)
{
	(void)f;
	(void)arg;
	if (m->id == MSG_STATUS)
		answer_status(p, m);
	else if (m->id == MSG_RUN_SUBMIT)
		answer_submit(p, m);
	else if (m->id == MSG_EVENTS)
		answer_events(p, m);
	else if (m->id == MSG_SHUTDOWN) {
		acknowledge(p, m, &script.shutdowns, m->shutdown.now ? "now" : "grace");
		fakeorchd_hang_up(p);
	} else if (m->id == MSG_CANCEL)
		acknowledge(p, m, &script.cancels, m->cancel.target);
	else if (m->id == MSG_RETRY)
		acknowledge(p, m, &script.retries, m->retry.target);
	else if (m->id == MSG_RESUME)
		acknowledge(p, m, &script.resumes, m->resume.run);
	else if (m->id == MSG_FORGET)
		acknowledge(p, m, &script.forgets, m->forget.run);
	else
		peer_error(p, m->request, ENOSYS, "the fake does not know message %d", (int)m->id);
}

static int
setup(void **state)
{
	char *socket;

	(void)state;
	ctlrun_scrub_environment();
	setenv("MAX_EMS", "2", 1);
	setenv("TZ", "UTC", 1);
	setenv("TERM", "xterm", 1);
	memset(&script, 0, sizeof(script));
	repo = testrepo_new();
	ctlrun_install(repo, ORCH_BIN_DIR);
	ctlrun_accepting_check(repo);
	socket = testrepo_path(repo, "repo/.git/orch/ctl.sock");
	orchd = fakeorchd_new(&repo->loop, socket, on_request, NULL);
	free(socket);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fakeorchd_free(orchd);
	testrepo_free(repo);
	return 0;
}

static void
assert_has(const char *text, const char *want)
{
	if (strstr(text, want) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", want, text);
}

static const char *const run_it[] = {"run", "-m", "# Build it\nwith care", NULL};

static void
assert_run_ends(const char *end, int status, const char *want)
{
	struct ctlrun r;

	script.end = end;
	ctlrun(&r, repo, run_it);
	assert_has(r.out, want);
	assert_has(r.out, "tasks     ");
	assert_has(r.out, "next      ");
	assert_has(r.err, "orchctl: note: a note\n");
	assert_has(r.err, "orchctl: run m1: Build it\n");
	assert_null(strchr(r.out, '\033'));
	if (r.status != status)
		fail_msg("status %d, stdout %s, stderr %s", r.status, r.out, r.err);
	assert_int_equal(script.submits, 1);
	assert_string_equal(script.submitted, "Build it||main|{\"max_ems\":2}|40");
	ctlrun_clear(&r);
}

static void
test_complete(void **state)
{
	(void)state;
	assert_run_ends("complete", 0, " m1/em1 integrated\n");
}

static void
test_partial(void **state)
{
	(void)state;
	assert_run_ends("partial", 1, " m1/em1 failed: the gate is red\n");
}

static void
test_failed(void **state)
{
	(void)state;
	assert_run_ends("failed", 1, "missing   m1/em1 failed (Core): the gate is red\n");
}

static void
test_cancelled(void **state)
{
	(void)state;
	assert_run_ends("cancelled", 1, "cancelled: ");
}

/* In a pipe: one plain line per change of state, no line twice. */
static void
test_plain_lines(void **state)
{
	struct ctlrun r;
	unsigned lines = 0;

	(void)state;
	script.end = "complete";
	ctlrun(&r, repo, run_it);
	for (const char *p = r.out; *p != '\0' && *p != '\n'; p = strchr(p, '\n') + 1, lines++)
		assert_true(strspn(p, "0123456789") == 2 && p[2] == ':');
	assert_int_equal(lines, 5); /* the run, two tasks; one is integrated, the run is complete */
	ctlrun_clear(&r);
}

static void
test_stopped_elsewhere(void **state)
{
	struct ctlrun r;

	(void)state;
	script.stopped = true;
	ctlrun(&r, repo, run_it);
	assert_int_equal(r.status, 1);
	assert_has(r.err, "run m1 was stopped; orchctl resume m1 goes on\n");
	ctlrun_clear(&r);
}

static void
test_refused(void **state)
{
	struct ctlrun r;

	(void)state;
	script.refuse = true;
	ctlrun(&r, repo, run_it);
	assert_int_equal(r.status, 1);
	assert_string_equal(r.err, "orchctl: issue 25 is being worked on by run 25\n");
	ctlrun_clear(&r);
}

static void
test_detach(void **state)
{
	static const char *const argv[] = {"run", "-m", "Build it", "--detach", NULL};
	struct ctlrun r;

	(void)state;
	ctlrun(&r, repo, argv);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "m1\n");
	assert_int_equal(script.statuses, 0);
	ctlrun_clear(&r);
}

static void
test_issue_from_environment(void **state)
{
	static const char *const argv[] = {"run", "25", "-d", NULL};
	struct ctlrun r;

	(void)state;
	setenv("ISSUE_TITLE", "Fix the parser", 1);
	setenv("ISSUE_BODY", "It is broken.", 1);
	ctlrun(&r, repo, argv);
	assert_int_equal(r.status, 0);
	assert_string_equal(script.submitted, "Fix the parser|25|main|{\"max_ems\":2}|40");
	ctlrun_clear(&r);
}

static void
test_lost_connection(void **state)
{
	struct ctlrun r;
	const char *once;

	(void)state;
	script.hang_up_once = true;
	script.end = "complete";
	ctlrun(&r, repo, run_it);
	assert_int_equal(r.status, 0);
	once = strstr(r.err, "lost orchd");
	assert_non_null(once);
	assert_null(strstr(once + 1, "lost orchd"));
	assert_has(r.err, "orchctl: connected again\n");
	assert_int_equal(script.submits, 1);
	assert_int_equal(fakeorchd_clients(orchd), 2);
	ctlrun_clear(&r);
}

static void
test_ctrl_c(void **state)
{
	struct ctlrun r;

	(void)state;
	script.press = true;
	ctlrun(&r, repo, run_it);
	assert_int_equal(r.status, 130);
	assert_has(r.err, "detached; press again within 2 s to stop the run\n");
	assert_has(r.err, "orchctl status --watch");
	assert_int_equal(script.shutdowns, 0);
	ctlrun_clear(&r);
}

/* The second press comes as soon as the first one has been answered. */
static void
press_again(struct ctlrun *r, void *arg)
{
	bool *pressed = arg;

	if (*pressed || strstr(r->err, "press again") == NULL)
		return;
	*pressed = true;
	kill(r->pid, SIGINT);
}

static void
test_ctrl_c_twice(void **state)
{
	struct ctlrun r;
	bool pressed = false;

	(void)state;
	script.press = true;
	ctlrun_start(&r, repo, false, run_it, press_again, &pressed);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 130);
	assert_int_equal(script.shutdowns, 1);
	assert_string_equal(script.target, "grace");
	assert_has(r.err, "stopped; orchctl resume goes on");
	ctlrun_clear(&r);
}

/* Looking is not owning: Ctrl-C on a watch just ends it. */
static void
test_ctrl_c_on_watch(void **state)
{
	static const char *const argv[] = {"status", "--watch", NULL};
	struct ctlrun r;

	(void)state;
	script.press = true;
	ctlrun(&r, repo, argv);
	assert_int_equal(r.status, 130);
	assert_string_equal(r.err, "");
	assert_int_equal(script.shutdowns, 0);
	ctlrun_clear(&r);
}

/* The run ends once its first picture has been seen: there are two then. */
static void
end_after_picture(struct ctlrun *r, void *arg)
{
	bool *seen = arg;

	if (*seen || strstr(r->out, "workers 0/9") == NULL)
		return;
	*seen = true;
	send_task(script.watcher, script.watch_request, "m1/em1", "integrated", NULL);
	send_run(script.watcher, script.watch_request, "complete");
}

/* On a terminal the picture is drawn over itself, not on an alternate screen. */
static void
test_terminal(void **state)
{
	struct ctlrun r;
	bool seen = false;

	(void)state;
	ctlrun_start(&r, repo, true, run_it, end_after_picture, &seen);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	assert_has(r.out, "EMs 0/3, workers 0/9, waiting 0");
	assert_has(r.out, "\033[K");
	assert_has(r.out, "\033[5A\r\033[1mm1");
	assert_has(r.out, "\033[32mcomplete\033[0m");
	assert_null(strstr(r.out, "\033[?1049h"));
	ctlrun_clear(&r);
}

static void
test_no_colour(void **state)
{
	struct ctlrun r;

	(void)state;
	setenv("NO_COLOR", "1", 1);
	script.end = "complete";
	ctlrun_start(&r, repo, true, run_it, NULL, NULL);
	ctlrun_wait(&r);
	assert_int_equal(r.status, 0);
	assert_null(strstr(r.out, "\033[32m"));
	ctlrun_clear(&r);
}

static void
assert_command(const char *const *argv, int status, const char *out, const char *err)
{
	struct ctlrun r;

	ctlrun(&r, repo, argv);
	if (r.status != status || strstr(r.out, out) == NULL || strstr(r.err, err) == NULL)
		fail_msg(
		    "orchctl %s: status %d, stdout \"%s\", stderr \"%s\"", argv[0], r.status, r.out, r.err);
	ctlrun_clear(&r);
}

static void
test_status_and_logs(void **state)
{
	static const char *const status[] = {"status", NULL}, *const all[] = {"status", "--all", NULL};
	static const char *const logs[] = {"logs", "1", NULL}, *const follow[] = {"logs", "em1", "-f", NULL};
	static const char *const near[] = {"logs", "em11", NULL}, *const report[] = {"report", "--md", NULL};

	(void)state;
	assert_command(status, 0, "  em1       running", "");
	assert_command(all, 0, "m1      running", "");
	assert_command(logs, 0, "1970-01-01 01:01:01 m1/em1 running: started\n",
	    "full log of m1/em1: /logs/m1/m1-em1.log\n");
	assert_string_equal(script.target, "m1/em1");
	assert_command(
	    follow, 3, "m1/em1 gate: green\n1970-01-01 01:01:01 m1/em1 gate: red\n", "orchd was stopped");
	assert_command(near, 2, "", "there is no task \"em11\"");
	assert_command(report, 0, "| m1/em1 | Core | running |", "");
	script.no_runs = true;
	assert_command(status, 0, "no runs yet\n", "");
	assert_command(logs, 2, "", "no runs yet");
}

static void
test_requests(void **state)
{
	static const char *const cancel[] = {"cancel", "m1", NULL}, *const retry[] = {"retry", "em1", NULL};
	static const char *const resume[] = {"resume", "m1", NULL}, *const stop[] = {"stop", "--now", NULL};
	static const char *const clean[] = {"clean", NULL};

	(void)state;
	assert_command(cancel, 0, "cancelled m1\n", "");
	assert_string_equal(script.target, "m1");
	assert_command(retry, 0, "m1/em1 starts again", "");
	assert_string_equal(script.target, "m1/em1");
	assert_command(resume, 0, "resumed", "");
	assert_string_equal(script.target, "m1");
	assert_command(clean, 0, "nothing to clean\n", "1 unfinished run is kept");
	assert_int_equal(script.forgets, 0);
	script.end = "complete";
	assert_command(clean, 0, "cleaned 1 run; their branches are kept\n", "");
	assert_int_equal(script.forgets, 1);
	assert_command(stop, 0, "stopped", "");
	assert_string_equal(script.target, "now");
}

/* A task's leftover worktree holds work: it is saved before it goes; --all drops what was saved. */
static void
test_clean_saves(void **state)
{
	static const char *const clean[] = {"clean", NULL}, *const all[] = {"clean", "--all", NULL};
	char *hash, *path, *home;
	struct ctlrun r;
	struct repo found;
	struct err e = {""};

	(void)state;
	assert_int_equal(repo_find(&found, repo->top, NULL, &e), 0);
	path = xasprintf("%s/wt/m1-em1", found.worktrees);
	home = xasprintf("%s/home/m1-em1/cache/x", found.worktrees);
	testrepo_do(repo, NULL, "worktree", "add", "-q", "--detach", path, NULL);
	testrepo_write(repo, home, "cached");
	hash = xasprintf("%s/precious.txt", path);
	testrepo_write(repo, hash, "work");
	script.end = "partial";
	ctlrun(&r, repo, clean);
	if (r.status != 0)
		fail_msg("%s%s", r.out, r.err);
	assert_has(r.out, "saved unfinished work of m1/em1 as refs/orch/wip/m1-em1\n");
	ctlrun_clear(&r);
	assert_false(testrepo_exists(repo, path));
	assert_false(testrepo_exists(repo, home));
	testrepo_do(repo, NULL, "cat-file", "-e", "refs/orch/wip/m1-em1:precious.txt", NULL);
	assert_command(all, 0, "dropped refs/orch/wip/m1-em1", "");
	assert_int_not_equal(
	    testrepo_try(repo, NULL, "rev-parse", "-q", "--verify", "refs/orch/wip/m1-em1", NULL), 0);
	free(hash);
	free(home);
	free(path);
	repo_clear(&found);
}

static void
test_diff(void **state)
{
	static const char *const diff[] = {"diff", "em1", NULL}, *const whole[] = {"diff", "m1", NULL};
	static const char *const names[] = {"diff", "1", "added.txt", "--", "--name-only", NULL};

	(void)state;
	assert_command(diff, 1, "", "m1/em1 has committed nothing yet");
	assert_command(whole, 128, "", "cco/m1-x"); /* git's own words: the fake's branch is not there */
	script.base = testrepo_git(repo, NULL, "rev-parse", "HEAD", NULL);
	testrepo_file(repo, "added.txt", "new\n");
	testrepo_file(repo, "other.txt", "new\n");
	script.head = testrepo_commit(repo, "more");
	assert_command(diff, 0, "+++ b/other.txt", "");
	assert_command(names, 0, "added.txt\n", "");
	free(script.base);
	free(script.head);
}

/* What is written validates against the published schema, by a validator that is not ours. */
static void
test_schema(void **state)
{
	static const char program[] =
	    "import sys, json, jsonschema\n"
	    "s = json.load(open(sys.argv[1])); s.pop('anyOf'); s['$ref'] = '#/$defs/' + sys.argv[2]\n"
	    "jsonschema.Draft202012Validator.check_schema(s)\n"
	    "for line in sys.stdin: jsonschema.Draft202012Validator(s).validate(json.loads(line))\n";
	static const char *const cases[][4] = {{"status", "status", "--json"},
	    {"status", "status", "--json", "--all"}, {"event", "events", "--json"},
	    {"event", "logs", "--json"}, {"report", "report", "--json"}, {"doctor", "doctor", "--json"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const argv[] = {cases[i][1], cases[i][2], cases[i][3], NULL};
		const char *const python[] = {
		    "python3", "-c", program, ORCH_SOURCE_DIR "/docs/status.schema.json", cases[i][0], NULL};
		struct cmd_spec s = {.argv = python, .out_max = 4096, .err_max = 4096};
		struct cmd_result v;
		struct err e = {""};
		struct ctlrun r;

		ctlrun(&r, repo, argv);
		s.in = r.out;
		s.in_size = strlen(r.out);
		assert_true(s.in_size > 2);
		if (cmd_run(&repo->loop, &s, &v, &e) < 0)
			fail_msg("%s (script/bootstrap installs python3-jsonschema)", e.msg);
		if (!cmd_ok(&v))
			fail_msg("%s %s: %s", cases[i][1], r.out, v.err);
		cmd_result_clear(&v);
		ctlrun_clear(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(test_complete),
	    T(test_partial),
	    T(test_failed),
	    T(test_cancelled),
	    T(test_plain_lines),
	    T(test_stopped_elsewhere),
	    T(test_refused),
	    T(test_detach),
	    T(test_issue_from_environment),
	    T(test_lost_connection),
	    T(test_ctrl_c),
	    T(test_ctrl_c_twice),
	    T(test_ctrl_c_on_watch),
	    T(test_terminal),
	    T(test_no_colour),
	    T(test_status_and_logs),
	    T(test_requests),
	    T(test_clean_saves),
	    T(test_diff),
	    T(test_schema),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
