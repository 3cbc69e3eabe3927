/* publish: see publish.h. */
#include "director/publish.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "director/comment.h"
#include "director/deliver.h"
#include "director/github_api.h"
#include "proto/msg.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 2000 /* orchd is asked so often whether something has changed */
#define TICK_PATIENCE_MS 2000
#define END_PATIENCE_MS 120000

struct publish {
	struct role *role;
	struct github *gh;
	struct view view;
	uint64_t issue, comment; /* comment 0: not found or made yet */
	char *written;           /* the comment as it is there; NULL: unknown */
	const char *label;       /* that the issue has of ours; NULL: unknown */
	int64_t next_ms;
	unsigned writes, failures;
	char *job_url;
	struct delivery delivery;
	char *problem; /* the last thing that did not work; NULL: all is well */
};

uint64_t
publish_issue(const char *run)
{
	char *end;
	unsigned long long n;

	if (!isdigit((unsigned char)run[0]))
		return 0;
	n = strtoull(run, &end, 10);
	return *end == '\0' || *end == '-' ? n : 0;
}

int64_t
publish_next(int64_t now_ms, unsigned writes, unsigned failures)
{
	int64_t gap = PUBLISH_GAP_MS + (int64_t)writes * 50;

	if (gap > PUBLISH_GAP_MAX_MS)
		gap = PUBLISH_GAP_MAX_MS;
	if (failures > 0)
		gap = failures > 4 ? 10 * PUBLISH_BACKOFF_MS : PUBLISH_BACKOFF_MS << (failures - 1);
	return now_ms + (gap > 10 * PUBLISH_BACKOFF_MS ? 10 * PUBLISH_BACKOFF_MS : gap);
}

/* Once for each thing that goes wrong, not for each time. */
static void
tell_problem(struct publish *p, const struct err *e)
{
	if (p->problem != NULL && strcmp(p->problem, e->msg) == 0)
		return;
	xreplace(&p->problem, e->msg);
	log_warn("GitHub: %s", e->msg);
	link_event(p->role->link, "github", "%s", e->msg);
}

static const struct view_run *
ask_orchd(struct publish *p)
{
	const struct msg m = {.id = MSG_STATUS};

	if (link_call(p->role->link, &m, NULL, NULL) < 0)
		return NULL;
	return view_run(&p->view, p->role->assign->run);
}

static int
on_label(void *arg, const char *name, struct err *e)
{
	bool *has = arg;

	(void)e;
	for (size_t i = 0; comment_labels[i] != NULL; i++)
		has[i] |= strcmp(comment_labels[i], name) == 0;
	return 0;
}

/* The new one first: at no moment is an issue of ours without any. */
static int
set_label(struct publish *p, const char *label, struct err *e)
{
	bool has[16] = {false};
	int rc;

	if (p->label == label)
		return 0;
	rc = github_issue_labels_each(p->gh, p->issue, on_label, has, e);
	if (rc == 0)
		rc = github_label_ensure(p->gh, label, "5319e7", "orch: state of this issue's run", e);
	for (size_t i = 0; comment_labels[i] != NULL && rc == 0; i++)
		if (strcmp(comment_labels[i], label) == 0 && !has[i])
			rc = github_issue_label_add(p->gh, p->issue, label, e);
	for (size_t i = 0; comment_labels[i] != NULL && rc == 0; i++)
		if (strcmp(comment_labels[i], label) != 0 && has[i])
			rc = github_issue_label_remove(p->gh, p->issue, comment_labels[i], e);
	if (rc == 0)
		p->label = label;
	return rc;
}

/* 0 when GitHub has what text says. */
static int
put(struct publish *p, const struct view_run *r, const char *text, struct err *e)
{
	int rc = 0;

	if (p->written == NULL || strcmp(p->written, text) != 0) {
		rc = github_comment_put(p->gh, p->issue, COMMENT_MARKER, text, &p->comment, e);
		if (rc == 0) {
			xreplace(&p->written, text);
			p->writes++;
		}
	}
	return rc == 0 ? set_label(p, comment_label(r), e) : rc;
}

static int
write_state(struct publish *p, const struct view_run *r)
{
	const struct comment_facts facts = {.job_url = p->job_url,
	    .problem = p->problem,
	    .branch_url = p->delivery.branch_url,
	    .pull_url = p->delivery.pull_url};
	char *text = comment_render(r, &facts, COMMENT_MAX);
	struct err e = {""};
	int rc = 0;

	p->next_ms = clock_now_ms() + LOOK_MS;
	if (p->written == NULL || strcmp(p->written, text) != 0 || p->label != comment_label(r)) {
		rc = put(p, r, text, &e);
		if (rc == 0) {
			p->failures = 0;
			xreplace(&p->problem, NULL);
		} else if (rc != -ECANCELED) {
			p->failures++;
			tell_problem(p, &e);
		}
		p->next_ms = publish_next(clock_now_ms(), p->writes, p->failures);
	}
	free(text);
	return rc;
}

static void
on_idle(void *arg)
{
	struct publish *p = arg;
	const struct view_run *r;

	if (clock_now_ms() < p->next_ms)
		return;
	r = ask_orchd(p);
	if (r == NULL)
		return;
	github_set_patience(p->gh, TICK_PATIENCE_MS);
	write_state(p, r);
}

const char *
publish_verdict(const struct msg_run_info *r, const struct publish_end *end)
{
	if (end->cancelled)
		return "cancelled";
	if (end->failed || r->integrated == 0)
		return "failed";
	return r->integrated == r->tasks ? "complete" : "partial";
}

/* The run as it will be, in p's view. */
static void
foresee(struct publish *p, const struct view_run *r, const struct publish_end *end)
{
	struct msg m = {.id = MSG_RUN_INFO, .run_info = *r->info}, *copy;

	m.run_info.state = publish_verdict(r->info, end);
	m.run_info.reason = end->reason;
	m.run_info.question = NULL;
	m.run_info.ended_at = (uint64_t)clock_wall_ms();
	copy = msg_dup(&m); /* m borrows from what view_put is about to free */
	view_put(&p->view, copy, NULL);
	free(copy);
}

static void
hand_over(struct publish *p, const char *head)
{
	const struct view_run *r = view_run(&p->view, p->role->assign->run);
	struct err e = {""};
	int rc;

	link_doing(p->role->link, "pushing the work branch");
	delivery_clear(&p->delivery);
	rc = deliver(p->role, p->gh, r, p->issue, head, &p->delivery, &e);
	if (rc < 0 && rc != -ECANCELED)
		tell_problem(p, &e);
	if (p->delivery.pull_url != NULL)
		link_event(p->role->link, "pull", "%s", p->delivery.pull_url);
}

const char *
publish_last(struct publish *p, const struct publish_end *end)
{
	const struct view_run *r;

	if (p == NULL)
		return NULL;
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	r = ask_orchd(p);
	if (r == NULL)
		return NULL;
	if (end != NULL)
		foresee(p, r, end);
	github_set_patience(p->gh, END_PATIENCE_MS);
	if (end != NULL && end->head != NULL)
		hand_over(p, end->head);
	write_state(p, view_run(&p->view, p->role->assign->run));
	return p->delivery.pull_url;
}

/* $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID */
static char *
find_job_url(const struct conf *c)
{
	const char *id = getenv("GITHUB_RUN_ID");

	if (id == NULL || id[strspn(id, "0123456789")] != '\0' || *id == '\0')
		return NULL;
	return xasprintf("%s/%s/%s/actions/runs/%s",
	    c->github_server_url == NULL ? "https://github.com" : c->github_server_url, c->repo_owner,
	    c->repo_name, id);
}

struct publish *
publish_open(struct role *r)
{
	const struct github_options o = {
	    .base = r->conf.github_api_url,
	    .owner = r->conf.repo_owner,
	    .repo = r->conf.repo_name,
	    .token = r->token,
	    .ca_file = r->conf.github_ca,
	    .write_gap_ms = (int64_t)r->conf.github_write_gap_ms,
	    .patience_ms = TICK_PATIENCE_MS,
	};
	uint64_t issue = publish_issue(r->assign->run);
	struct publish *p;
	struct github *gh;
	struct err e = {""};

	if (issue == 0 || o.token == NULL || o.base == NULL || o.owner == NULL || o.repo == NULL)
		return NULL;
	if (github_open(&gh, &r->loop, &o, &e) < 0) {
		log_warn("GitHub: %s", e.msg);
		link_event(r->link, "github", "nothing is told to GitHub: %s", e.msg);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->role = r;
	p->gh = gh;
	p->issue = issue;
	p->job_url = find_job_url(&r->conf);
	view_init(&p->view);
	r->view = &p->view;
	loop_set_idle(&r->loop, PUBLISH_TICK_MS, on_idle, p);
	return p;
}

void
publish_close(struct publish *p)
{
	const struct github_stats *s;

	if (p == NULL)
		return;
	s = github_stats(p->gh);
	log_info("GitHub: %" PRIu64 " requests, %" PRIu64 " of them writes, %u edits of the comment",
	    s->requests, s->writes, p->writes);
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	p->role->view = NULL;
	github_close(p->gh);
	delivery_clear(&p->delivery);
	view_clear(&p->view);
	free(p->written);
	free(p->job_url);
	free(p->problem);
	free(p);
}
