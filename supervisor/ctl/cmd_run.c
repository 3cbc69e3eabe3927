/* cmd_run: orchctl run and orchctl plan. Everything that can be wrong is said before anything starts. */
#include "supervisor/ctl/cmds.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/plan.h"
#include "supervisor/ctl/actions.h"
#include "supervisor/ctl/copylist.h"
#include "supervisor/ctl/issue.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/live.h"
#include "supervisor/ctl/preflight.h"
#include "supervisor/ctl/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 30000
#define RESTORE_MAX (16u << 20)
#define FORGET_TRIES 100
#define FORGET_PAUSE_MS 20

struct submission {
	struct issue issue;
	struct preflight check;
	char *options;
	char *plan;
	char run[128];
	uint64_t ahead;
	bool again, restored;
	bool plan_only;
};

static void
submission_clear(struct submission *s)
{
	issue_clear(&s->issue);
	preflight_clear(&s->check);
	free(s->options);
	free(s->plan);
}

static int
read_plan(struct submission *s, const char *path, struct err *e)
{
	struct plan plan;
	size_t size;
	int rc = fd_read_file(path, PLAN_MAX, &s->plan, &size);

	if (rc == -EFBIG)
		return err_set(e, rc, "the plan %s is over %d KiB", path, PLAN_MAX / 1024);
	if (rc < 0)
		return err_sys(e, rc, "cannot read the plan %s", path);
	rc = plan_parse(&plan, PLAN_AREAS, s->plan, size, NULL, e);
	if (rc < 0)
		return err_prefix(e, rc, "the plan %s", path);
	if (plan.question != NULL)
		rc = err_set(e, -EINVAL,
		    "the plan %s asks a question; write the answer into the goals and take \"question\" out: "
		    "%s",
		    path, plan.question);
	plan_clear(&plan);
	return rc;
}

/* In CI nobody looks at who wrote an issue before it costs money. */
static bool
is_ci(void)
{
	static const char *const names[] = {"GITHUB_ACTIONS", "CI"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && strcmp(value, "true") == 0)
			return true;
	}
	return false;
}

/* The token is for runs of issues alone: whoever gives a text has not asked for anything on GitHub. */
static int
find_token(struct submission *s, struct ctl *c, struct err *e)
{
	int rc = 0;

	if (s->issue.number == NULL) {
		configs_wipe_free(c->token);
		c->token = NULL;
		return 0;
	}
	if (c->token == NULL)
		rc = token_read(c, true, e);
	if (rc == 0 && c->token == NULL && s->issue.text == NULL)
		rc = err_set(e, -EINVAL,
		    "cannot read issue %s without a token for GitHub: set GITHUB_TOKEN or log in with gh "
		    "auth login, "
		    "or give the text with ISSUE_TITLE and ISSUE_BODY, -m or --task",
		    s->issue.number);
	return rc;
}

/* What the check found out: the issue's words, and whether anything can be told to GitHub. */
static int
take_check(struct submission *s, struct ctl *c, struct err *e)
{
	if (!s->check.github) {
		configs_wipe_free(c->token);
		c->token = NULL;
	}
	if (s->issue.text != NULL)
		return 0;
	if (s->check.title == NULL || s->check.text == NULL)
		return err_set(e, -EIO, "orch-director --check did not read issue %s", s->issue.number);
	s->issue.title = issue_title(s->check.title);
	s->issue.text = xstrdup(s->check.text);
	return 0;
}

bool
run_was_here(const struct ctl *c)
{
	char *path = xasprintf("%s/orch.db", c->repo.state);
	bool ran = access(path, F_OK) == 0;

	free(path);
	return ran;
}

static int
prepare(struct submission *s, struct ctl *c, struct err *e)
{
	struct preflight_question q = {0};
	int rc = issue_read(&s->issue, &c->args, e);

	if (rc == 0)
		rc = keys_read(c, e);
	if (rc == 0)
		rc = find_token(s, c, e);
	configs_wipe_environment(); /* they are in c now: nobody finds them in our /proc */
	if (rc == 0 && c->args.plan_file != NULL)
		rc = read_plan(s, c->args.plan_file, e);
	if (rc < 0)
		return rc;
	rc = copylist_add(&c->conf, c->repo.top, e);
	if (rc < 0)
		return rc;
	s->options = conf_freeze(&c->conf);
	q.options_json = s->options;
	q.issue = s->issue.number;
	q.token = c->token;
	q.fetch = s->issue.text == NULL;
	q.look_for_saved = !s->plan_only && c->then != THEN_FORGET && !run_was_here(c);
	q.forget_saved = c->then == THEN_CANCEL || c->then == THEN_FORGET;
	q.check_author = is_ci() && !c->args.trust && !q.forget_saved && c->token != NULL;
	rc = preflight_run(&s->check, c, &q, e);
	return rc == 0 ? take_check(s, c, e) : rc;
}

static void
on_accepted(void *arg, const struct msg *m)
{
	struct submission *s = arg;

	if (m->id != MSG_RUN_ACCEPTED)
		return;
	snprintf(s->run, sizeof(s->run), "%s", m->run_accepted.run);
	s->ahead = m->run_accepted.ahead;
	s->again = m->run_accepted.again;
}

/* What is wrong with it is said, and the run begins anew. */
static bool
restore(struct submission *s, struct ctl *c)
{
	struct msg m = {.id = MSG_RESTORE};
	struct err e = {""};
	char *text = NULL, *save = NULL;
	int rc;

	if (s->check.restore == NULL)
		return false;
	rc = fd_read_file(s->check.restore, RESTORE_MAX, &text, NULL);
	unlink(s->check.restore);
	if (rc < 0)
		err_sys(&e, rc, "cannot read %s", s->check.restore);
	for (char *row = rc < 0 ? NULL : strtok_r(text, "\n", &save); rc == 0 && row != NULL;
	     row = strtok_r(NULL, "\n", &save)) {
		m.restore.row = row;
		rc = strlen(row) > ROW_MAX ? err_set(&e, -EFBIG, "a line of it is too long")
					   : client_call(c->client, &m, NULL, NULL, ANSWER_MS, &e);
	}
	free(text);
	if (rc < 0)
		ctl_say("note: the run that another machine saved is not used: %s", e.msg);
	return rc == 0;
}

static int
submit(struct submission *s, struct ctl *c)
{
	struct msg m = {.id = MSG_RUN_SUBMIT};
	struct err e = {""};
	int rc = keys_give(c, KEYS_FOR_NEXT, NULL, NULL, &e);

	if (rc < 0)
		return ctl_fail(rc, &e);
	s->restored = restore(s, c);
	if (!s->restored && c->then != THEN_ANYTHING)
		return CTL_FAILED;
	m.run_submit.restored = s->restored;
	m.run_submit.issue = s->issue.number;
	m.run_submit.title = s->issue.title;
	m.run_submit.body = s->issue.text;
	m.run_submit.base = s->check.base;
	m.run_submit.base_branch = s->check.base_branch;
	m.run_submit.plan_json = s->plan;
	m.run_submit.options_json = s->check.options;
	m.run_submit.checkout = c->repo.top;
	m.run_submit.approve = c->args.approve;
	m.run_submit.plan_only = s->plan_only;
	m.run_submit.again = ctl_is_front(); /* a container that was started again */
	rc = ctl_ask(c, &m, on_accepted, s);
	if (rc != CTL_OK || s->run[0] != '\0')
		return rc;
	ctl_say("orchd did not say which run it accepted");
	return CTL_UNREACHABLE;
}

int
run_take_saved(struct ctl *c, const struct preflight *check, char *run, size_t size)
{
	char none[] = ""; /* the saved run brings its own */
	struct submission s = {.issue = {check->issue, none, none}, .check = *check};
	int rc;

	c->then = THEN_RESUME; /* or nothing: it does not begin anew */
	rc = submit(&s, c);
	if (rc == CTL_OK) {
		snprintf(run, size, "%s", s.run);
		ctl_say("run %s goes on from what another machine has saved", run);
	}
	return rc;
}

/* What is to be done with a run that another machine saved, beside going on. */
static int
settle(const struct submission *s, struct ctl *c)
{
	struct msg answer = {.id = MSG_ANSWER, .answer = {.run = s->run, .text = c->answer}};
	struct msg cancel = {.id = MSG_CANCEL, .cancel = {.target = s->run}};

	if (c->then == THEN_ANSWER)
		return ctl_ask(c, &answer, NULL, NULL);
	return c->then == THEN_CANCEL ? ctl_ask(c, &cancel, NULL, NULL) : CTL_OK;
}

static void
announce(const struct submission *s)
{
	for (size_t i = 0; s->check.notes != NULL && s->check.notes[i] != NULL; i++)
		ctl_say("note: %s", s->check.notes[i]);
	if (s->ahead > 0)
		ctl_say(
		    "run %s: %s (queued behind %llu)", s->run, s->issue.title, (unsigned long long)s->ahead);
	else
		ctl_say("run %s: %s", s->run, s->issue.title);
	if (s->restored)
		ctl_say("it goes on from what another machine has saved");
	if (s->again)
		ctl_say("it is there already and goes on, with the options that it began with");
}

/* Hosted jobs end after 6 h, whatever they do. ORCH_JOB_MS: for tests. */
static int64_t
stop_at(const struct ctl *c)
{
	const char *s = getenv("ORCH_JOB_MS"), *why;
	int64_t ms = s == NULL ? 0 : strtonum(s, 1, INT32_MAX, &why);

	if (ms == 0)
		ms = (int64_t)(c->conf.max_job_minutes > 0 ? c->conf.max_job_minutes
			       : actions_on()              ? ACTIONS_JOB_MINUTES
							   : 0) *
		     60000;
	return !ctl_is_front() || ms == 0 ? 0 : clock_now_ms() + ms;
}

int
cmd_run_main(struct ctl *c)
{
	struct submission s = {.run = ""};
	bool stopped = false, asked = false;
	struct live_opts o = {.run = s.run,
	    .owner = true,
	    .print_end = true,
	    .stop_at_ms = stop_at(c),
	    .stop_when_asked = ctl_is_front() && actions_on(),
	    .stopped = &stopped,
	    .asked = &asked};
	struct actions actions;
	struct err e = {""};
	int rc;

	if (c->args.event)
		return cmd_run_event(c);
	rc = prepare(&s, c, &e);
	if (rc < 0) {
		if (rc != -ECANCELED)
			ctl_say("%s", e.msg);
		if (rc != -ECANCELED && actions_on())
			actions_note(stdout, "error", "orch could not start", e.msg);
		submission_clear(&s);
		return rc == -ECANCELED ? CTL_INTERRUPTED : CTL_USAGE;
	}
	if (c->then != THEN_ANYTHING && s.check.restore == NULL) {
		ctl_say("no run of issue %s is here, and none that another machine saved: nothing to do",
		    s.issue.number);
		submission_clear(&s);
		return CTL_OK;
	}
	actions_begin(&actions, c->keys);
	rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = submit(&s, c);
	if (rc == CTL_OK) {
		configs_wipe_environment(); /* orchd has what was in it */
		announce(&s);
		rc = settle(&s, c);
	}
	if (rc == CTL_OK) {
		if (c->args.detach)
			printf("%s\n", s.run);
		else
			rc = live_show(c, &o, NULL);
	}
	if (c->then == THEN_CANCEL && rc == CTL_FAILED)
		rc = CTL_OK; /* it did not end well, and that was asked for */
	if (stopped)
		actions_end_stopped(&actions, asked);
	else
		actions_end(&actions, c, s.run);
	submission_clear(&s);
	return rc;
}

/* The run that makes a plan for orchctl plan, as it is told. */
struct planning {
	struct ctl *ctl;
	const char *run;
	char state[64];
	char *reason, *plan;
	bool news;
};

static void
on_planning(void *arg, const struct msg *m)
{
	struct planning *p = arg;

	if (m->id == MSG_PLAN_INFO)
		xreplace(&p->plan, m->plan_info.plan_json);
	if (m->id != MSG_RUN_INFO || strcmp(m->run_info.run, p->run) != 0)
		return;
	snprintf(p->state, sizeof(p->state), "%s", m->run_info.state);
	xreplace(&p->reason, m->run_info.reason);
	p->news = true;
}

static bool
has_ended(const struct planning *p)
{
	static const char *const ends[] = {"complete", "partial", "failed", "cancelled"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(p->state, ends[i]) == 0)
			return true;
	return false;
}

/* Until it has ended. Ctrl-C is its end, too: nobody else waits for it. */
static int
await_plan(struct planning *p)
{
	struct msg watch = {.id = MSG_STATUS, .status = {.run = p->run, .watch = true}};
	struct msg cancel = {.id = MSG_CANCEL, .cancel = {.target = p->run}};
	struct client *k = p->ctl->client;
	struct err e = {""};
	int rc = client_stream(k, &watch, on_planning, p, ANSWER_MS, &e);

	client_on_lost(k, &p->news);
	while (rc == 0 && !has_ended(p) && !client_lost(k)) {
		p->news = false;
		rc = loop_wait(&p->ctl->loop, &p->news, -1);
	}
	client_on_lost(k, NULL);
	if (rc == -ECANCELED) {
		p->ctl->loop.stop = false;
		client_call(k, &cancel, NULL, NULL, ANSWER_MS, &e);
		return CTL_INTERRUPTED;
	}
	if (rc == 0 && !has_ended(p)) {
		ctl_say("orchd left while run %s made the plan: orchctl plan --show %s has it later", p->run,
		    p->run);
		return CTL_UNREACHABLE;
	}
	return rc < 0 ? ctl_fail(rc, &e) : CTL_OK;
}

static int
print_plan(struct ctl *c, const char *run)
{
	struct msg m = {.id = MSG_PLAN_GET, .plan_get = {.run = run}};
	struct planning p = {.ctl = c, .run = ""};
	struct plan plan = {0};
	struct err e = {""};
	json_t *j;
	int rc = ctl_ask(c, &m, on_planning, &p);

	if (rc != CTL_OK)
		return rc;
	j = p.plan == NULL ? NULL : json_parse("plan", p.plan, strlen(p.plan), &e);
	if (j != NULL && json_dumpf(j, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	if (j != NULL && plan_parse(&plan, PLAN_AREAS, p.plan, strlen(p.plan), NULL, &e) == 0 &&
	    plan.question != NULL)
		ctl_say("the plan asks: %s", plan.question);
	plan_clear(&plan);
	json_decref(j);
	free(p.plan);
	return CTL_OK;
}

/* It was only for the plan: its id is free again. Its process may need a moment to be gone. */
static void
forget(struct ctl *c, const char *run)
{
	struct msg m = {.id = MSG_FORGET, .forget = {.run = run}};
	bool never = false;

	for (int i = 0; i < FORGET_TRIES; i++) {
		struct err e = {""};

		if (client_call(c->client, &m, NULL, NULL, ANSWER_MS, &e) != -EREMOTEIO ||
		    loop_wait(&c->loop, &never, clock_now_ms() + FORGET_PAUSE_MS) == -ECANCELED)
			return;
	}
}

static int
make_plan(struct submission *s, struct ctl *c)
{
	struct planning p = {.ctl = c, .run = s->run};
	int rc;

	announce(s);
	rc = await_plan(&p);
	if (rc == CTL_OK && strcmp(p.state, "complete") == 0) {
		rc = print_plan(c, s->run);
		if (rc == CTL_OK)
			forget(c, s->run);
	} else if (rc == CTL_OK) {
		ctl_say("there is no plan: the run %s%s%s; orchctl logs %s", p.state,
		    p.reason == NULL ? "" : ": ", p.reason == NULL ? "" : p.reason, s->run);
		rc = CTL_FAILED;
	}
	free(p.reason);
	return rc;
}

int
cmd_plan(struct ctl *c)
{
	struct submission s = {.run = "", .plan_only = true};
	struct err e = {""};
	int rc;

	if (c->args.show != NULL) {
		rc = ctl_connect_ran(c);
		return rc == CTL_OK ? print_plan(c, c->args.show) : rc;
	}
	rc = prepare(&s, c, &e);
	if (rc < 0) {
		if (rc != -ECANCELED)
			ctl_say("%s", e.msg);
		submission_clear(&s);
		return rc == -ECANCELED ? CTL_INTERRUPTED : CTL_USAGE;
	}
	configs_wipe_free(c->token); /* a plan alone is nothing to tell anybody */
	c->token = NULL;
	rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = submit(&s, c);
	if (rc == CTL_OK)
		rc = make_plan(&s, c);
	submission_clear(&s);
	return rc;
}
