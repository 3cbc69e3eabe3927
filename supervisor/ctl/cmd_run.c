/* cmd_run: orchctl run. Everything that can be wrong is said before anything starts. */
#include "supervisor/ctl/cmds.h"

#include "common/fd.h"
#include "common/json.h"
#include "common/plan.h"
#include "supervisor/ctl/actions.h"
#include "supervisor/ctl/copylist.h"
#include "supervisor/ctl/issue.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/live.h"
#include "supervisor/ctl/preflight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct submission {
	struct issue issue;
	struct preflight check;
	char *options;
	char *plan;
	char run[128];
	uint64_t ahead;
	bool again;
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
	plan_clear(&plan);
	return 0;
}

static int
prepare(struct submission *s, struct ctl *c, struct err *e)
{
	int rc = issue_read(&s->issue, &c->args, e);

	if (rc == 0)
		rc = keys_read(c, e);
	if (rc == 0 && c->args.plan_file != NULL)
		rc = read_plan(s, c->args.plan_file, e);
	if (rc < 0)
		return rc;
	rc = copylist_add(&c->conf, c->repo.top, e);
	if (rc < 0)
		return rc;
	s->options = conf_freeze(&c->conf);
	return preflight_run(&s->check, c, s->options, e);
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

static int
submit(struct submission *s, struct ctl *c)
{
	struct msg m = {.id = MSG_RUN_SUBMIT};
	struct err e = {""};
	int rc = keys_give(c, KEYS_FOR_NEXT, NULL, NULL, &e);

	if (rc < 0)
		return ctl_fail(rc, &e);
	m.run_submit.issue = s->issue.number;
	m.run_submit.title = s->issue.title;
	m.run_submit.body = s->issue.text;
	m.run_submit.base = s->check.base;
	m.run_submit.base_branch = s->check.base_branch;
	m.run_submit.plan_json = s->plan;
	m.run_submit.options_json = s->check.options;
	m.run_submit.checkout = c->repo.top;
	m.run_submit.again = ctl_is_front(); /* a container that was started again */
	rc = ctl_ask(c, &m, on_accepted, s);
	if (rc != CTL_OK || s->run[0] != '\0')
		return rc;
	ctl_say("orchd did not say which run it accepted");
	return CTL_UNREACHABLE;
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
	if (s->again)
		ctl_say("it is there already and goes on, with the options that it began with");
}

int
cmd_run_main(struct ctl *c)
{
	struct submission s = {.run = ""};
	struct live_opts o = {.run = s.run, .owner = true, .print_end = true};
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
	actions_begin(&actions, c->keys);
	rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = submit(&s, c);
	if (rc == CTL_OK) {
		announce(&s);
		if (c->args.detach)
			printf("%s\n", s.run);
		else
			rc = live_show(c, &o, NULL);
	}
	actions_end(&actions, c, s.run);
	submission_clear(&s);
	return rc;
}
