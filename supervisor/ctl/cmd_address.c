/*
 * cmd_address: orchctl address: what people say of a run's pull request is done and answered. Whether there
 * is anything is asked first, so that a run with nothing to do stays as it is.
 */
#include "supervisor/ctl/cmds.h"

#include "common/alloc.h"
#include "common/conf.h"
#include "proto/view.h"
#include "supervisor/ctl/actions.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/live.h"
#include "supervisor/ctl/preflight.h"
#include "supervisor/ctl/request.h"
#include "supervisor/ctl/token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "7", "#7", or the pull request's page. 0: none of these. */
static uint64_t
pull_number(const char *word)
{
	const char *slash = strrchr(word, '/');
	char *end;
	unsigned long long n;

	word = slash != NULL && strstr(word, "/pull/") != NULL ? slash + 1 : word + (word[0] == '#');
	if (*word < '1' || *word > '9')
		return 0;
	n = strtoull(word, &end, 10);
	return *end == '\0' && n <= 999999999 ? n : 0;
}

static int
prepare(struct ctl *c, uint64_t pull, struct preflight *check, struct err *e)
{
	struct preflight_question q = {
	    .pull = pull, .trust = c->args.trust, .look_for_saved = !run_was_here(c)};
	char *options;
	int rc = keys_read(c, e);

	if (rc == 0 && c->token == NULL)
		rc = token_read(c, true, e);
	if (rc < 0)
		return rc;
	if (c->token == NULL)
		return err_set(e, -EINVAL,
		    "cannot read pull request %" PRIu64
		    " without a token for GitHub: set GITHUB_TOKEN or log in "
		    "with gh auth login",
		    pull);
	options = conf_freeze(&c->conf);
	q.options_json = options;
	q.token = c->token;
	rc = preflight_run(check, c, &q, e);
	free(options);
	return rc;
}

struct search {
	const char *branch;
	uint64_t pull;
	char run[NAME_MAX_BYTES];
};

/* The newest is the last one that is told. */
static void
on_run(void *arg, const struct msg *m)
{
	struct search *s = arg;
	const struct msg_run_info *r = &m->run_info;

	if (m->id == MSG_RUN_INFO && ((r->branch != NULL && strcmp(r->branch, s->branch) == 0) ||
					 (r->pull_url != NULL && pull_number(r->pull_url) == s->pull)))
		snprintf(s->run, sizeof(s->run), "%s", r->run);
}

static int
find_run(struct ctl *c, const struct preflight *check, struct search *s)
{
	struct msg m = {.id = MSG_STATUS, .status = {.all = true}};
	int rc = CTL_OK;

	if (!ctl_never_ran(c)) {
		rc = ctl_connect(c);
		if (rc == CTL_OK)
			rc = ctl_ask(c, &m, on_run, s);
	}
	if (rc != CTL_OK || s->run[0] != '\0')
		return rc;
	if (check->restore != NULL && c->client == NULL)
		rc = ctl_connect(c);
	if (check->restore != NULL)
		return rc == CTL_OK ? run_take_saved(c, check, s->run, sizeof(s->run)) : rc;
	ctl_say("no run that is known here made pull request %" PRIu64 " (its branch is %.200s)", s->pull,
	    s->branch);
	return c->args.event ? CTL_OK
			     : CTL_FAILED; /* in a workflow somebody else's pull request is no failure */
}

static void
on_question(void *arg, const struct msg *m)
{
	if (m->id == MSG_RUN_INFO && m->run_info.question != NULL && m->run_info.ended_at != 0)
		xreplace(arg, m->run_info.question);
}

/* What was left to a person is not done, whatever became of the run. */
static int
tell_left(struct ctl *c, const char *run)
{
	struct msg m = {.id = MSG_STATUS, .status = {.run = run}};
	char *question = NULL;
	int rc;

	client_free(c->client); /* it still tells of changes, to what is gone */
	c->client = NULL;
	rc = ctl_connect(c);
	if (rc == CTL_OK)
		rc = ctl_ask(c, &m, on_question, &question);
	if (rc == CTL_OK && question != NULL) {
		ctl_say("%s", question);
		rc = CTL_FAILED;
	}
	free(question);
	return rc;
}

static int
ask_orchd(struct ctl *c, const struct search *s)
{
	struct msg m = {.id = MSG_ADDRESS,
	    .address = {.run = s->run,
		.pull = s->pull,
		.rounds = c->args.rounds,
		.trust = c->args.trust,
		.keyed = c->args.keys_file != NULL}};
	struct live_opts o = {.run = s->run, .print_end = true};
	struct err e = {""};
	int rc = keys_give(c, KEYS_FOR_NEXT, NULL, NULL, &e);

	if (rc < 0)
		return ctl_fail(rc, &e);
	rc = request_send(c, &m, "");
	if (rc != CTL_OK || c->args.detach)
		return rc;
	rc = live_show(c, &o, NULL);
	return rc == CTL_OK ? tell_left(c, s->run) : rc;
}

int
cmd_address(struct ctl *c)
{
	struct search s = {.pull = pull_number(c->args.words[0])};
	struct preflight check = {0};
	struct actions actions;
	struct err e = {""};
	int rc;

	if (s.pull == 0) {
		ctl_say("\"%.60s\" is no pull request: give its number", c->args.words[0]);
		return CTL_USAGE;
	}
	rc = prepare(c, s.pull, &check, &e);
	if (rc < 0) {
		if (rc != -ECANCELED)
			ctl_say("%s", e.msg);
		preflight_clear(&check);
		return rc == -ECANCELED ? CTL_INTERRUPTED : CTL_USAGE;
	}
	actions_begin(&actions, c->keys);
	for (size_t i = 0; check.notes != NULL && check.notes[i] != NULL; i++)
		ctl_say("note: %s", check.notes[i]);
	s.branch = check.head_branch == NULL ? "" : check.head_branch;
	if (check.remarks == 0)
		printf("nothing new on pull request %" PRIu64 ": nothing to do\n", s.pull);
	else
		rc = find_run(c, &check, &s);
	if (s.run[0] != '\0')
		rc = ask_orchd(c, &s);
	actions_end(&actions, c, s.run);
	preflight_clear(&check);
	return rc;
}
