/* publish: see publish.h. */
#include "director/publish.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "director/comment.h"
#include "director/deliver.h"
#include "director/github_api.h"
#include "director/pulls.h"
#include "director/push_role.h"
#include "proto/msg.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 2000 /* orchd is asked so often whether something has changed */
#define TICK_PATIENCE_MS 2000
#define END_PATIENCE_MS 300000 /* the first two of the limits that GitHub gives no time for, 60 and 120 s */
#define EPILOGUE_PATIENCE_MS 90000 /* it may last two minutes in all */
#define LEAVE_PATIENCE_MS 3000
#define INSIST_MS 5000 /* before the second try to write what is last; doubles */

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
	struct pulls *pulls; /* NULL: none but the work branch's */
	char *base;          /* branch that the work is for; NULL: not known yet */
	char *problem;       /* the last thing that did not work; NULL: all is well */
	char *undelivered;   /* why there is no branch or pull request; NULL: there is, or it was not tried */
	bool refused;        /* the problem is none that goes by itself: it is shown */
	char *handed;        /* the head that was delivered; NULL: none was */
};

static int64_t
in_ms(const struct publish *p, int64_t ms)
{
	return ms * (int64_t)p->role->conf.github_second_ms / 1000;
}

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

uint64_t
publish_pull_number(const char *url)
{
	const char *slash = url == NULL ? NULL : strrchr(url, '/');

	return slash == NULL ? 0 : strtoull(slash + 1, NULL, 10);
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
	for (size_t i = 0; comment_labels[i] != NULL && rc == 0; i++) {
		if (strcmp(comment_labels[i], label) != 0 || has[i])
			continue;
		rc = github_label_ensure(p->gh, label, "5319e7", "orch: state of this issue's run", e);
		if (rc == 0)
			rc = github_issue_label_add(p->gh, p->issue, label, e);
	}
	for (size_t i = 0; comment_labels[i] != NULL && rc == 0; i++)
		if (strcmp(comment_labels[i], label) != 0 && has[i])
			rc = github_issue_label_remove(p->gh, p->issue, comment_labels[i], e);
	if (rc == 0)
		p->label = label;
	return rc;
}

/* A person may lock an issue for comments, or give a token that may not set labels: the other one is done
 * all the same. */
static bool
is_refused(enum github_kind kind)
{
	return kind == GITHUB_FORBIDDEN || kind == GITHUB_NOT_FOUND || kind == GITHUB_INVALID;
}

/* 0 when GitHub has what text says. *kind: of what went wrong. */
static int
put(struct publish *p, const struct view_run *r, const char *text, enum github_kind *kind, struct err *e)
{
	int rc = 0;

	if (p->written == NULL || strcmp(p->written, text) != 0) {
		rc = github_comment_put(p->gh, p->issue, COMMENT_MARKER, text, &p->comment, e);
		*kind = github_kind(p->gh);
		if (rc == 0) {
			xreplace(&p->written, text);
			p->writes++;
		} else if (!is_refused(*kind)) {
			return rc;
		}
	}
	if (rc < 0) {
		set_label(p, comment_label(r), NULL);
		return rc;
	}
	rc = set_label(p, comment_label(r), e);
	*kind = github_kind(p->gh);
	return rc;
}

static char *
render(const struct publish *p, const struct view_run *r)
{
	const struct comment_facts facts = {.job_url = p->job_url,
	    .problem = p->undelivered != NULL ? p->undelivered
		       : p->refused           ? p->problem
		       : p->pulls != NULL     ? pulls_problem(p->pulls)
					      : NULL,
	    .branch_url = p->delivery.branch_url,
	    .pull_url = p->delivery.pull_url};

	return comment_render(r, &facts, COMMENT_MAX);
}

/* *kind: of what went wrong. */
static int
write_state(struct publish *p, const struct view_run *r, enum github_kind *kind)
{
	char *text = render(p, r);
	struct err e = {""};
	int rc = 0;

	*kind = GITHUB_FINE;
	p->next_ms = clock_now_ms() + in_ms(p, LOOK_MS);
	if (p->written == NULL || strcmp(p->written, text) != 0 || p->label != comment_label(r)) {
		rc = put(p, r, text, kind, &e);
		if (rc == 0) {
			p->failures = 0;
			xreplace(&p->problem, NULL);
		} else if (rc != -ECANCELED) {
			p->failures++;
			p->refused = is_refused(*kind);
			tell_problem(p, &e);
		}
		p->next_ms = clock_now_ms() + in_ms(p, publish_next(0, p->writes, p->failures));
	}
	free(text);
	return rc;
}

/* What may be over in a minute is tried again: nobody writes after this. */
static void
insist(struct publish *p, const struct view_run *r, int64_t patience_ms)
{
	const bool never = false;
	int64_t ends = clock_now_ms() + in_ms(p, patience_ms), pause = in_ms(p, INSIST_MS);
	enum github_kind kind;

	for (;; pause *= 2) {
		int64_t left = ends - clock_now_ms();

		github_set_patience(p->gh, left > 0 ? left : 0);
		if (write_state(p, r, &kind) == 0 || (kind != GITHUB_BROKEN && kind != GITHUB_LOST) ||
		    clock_now_ms() + pause > ends ||
		    loop_wait(&p->role->loop, &never, clock_now_ms() + pause) == -ECANCELED)
			return;
	}
}

/* Others may have changed or deleted what was written, and written the like. */
static void
look_anew(struct publish *p)
{
	p->comment = 0;
	p->label = NULL;
	xreplace(&p->written, NULL);
}

static void
on_idle(void *arg)
{
	struct publish *p = arg;
	const struct view_run *r;
	enum github_kind kind;

	if (clock_now_ms() < p->next_ms)
		return;
	r = ask_orchd(p);
	if (r == NULL)
		return;
	github_set_patience(p->gh, in_ms(p, TICK_PATIENCE_MS));
	write_state(p, r, &kind);
}

/* The tick must not come in between: it speaks to GitHub, too, and takes a new view of the run. */
int64_t
publish_spare(void *arg)
{
	struct publish *p = arg;
	const struct view_run *r;
	struct err e = {""};

	if (p == NULL || p->pulls == NULL)
		return -1;
	if (clock_now_ms() < pulls_due(p->pulls))
		return pulls_due(p->pulls);
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	r = ask_orchd(p);
	if (r != NULL && r->info->branch != NULL) {
		int rc = pulls_look(p->pulls, r->info->branch, &e);

		if (rc < 0 && rc != -ECANCELED)
			tell_problem(p, &e);
		if (rc == 0 && (r = ask_orchd(p)) != NULL)
			pulls_step(p->pulls, r);
	}
	on_idle(p);
	publish_resume(p);
	return pulls_due(p->pulls);
}

const char *
publish_base(struct publish *p)
{
	const struct view_run *r = p->base == NULL ? ask_orchd(p) : NULL;
	struct github_repository repo;
	struct err e = {""};

	if (r == NULL || strcmp(p->role->conf.prs, "none") == 0)
		return p->base;
	if (r->info->base_branch != NULL && *r->info->base_branch != '\0') {
		p->base = xstrdup(r->info->base_branch);
		return p->base;
	}
	github_set_patience(p->gh, in_ms(p, END_PATIENCE_MS));
	if (github_repository_get(p->gh, &repo, &e) < 0) {
		if (!p->role->loop.stop)
			tell_problem(p, &e);
		return NULL;
	}
	p->base = xstrdup(repo.default_branch);
	github_repository_clear(&repo);
	return p->base;
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

char *
publish_reason(const struct msg_run_info *r, const struct publish_end *end)
{
	if (!end->epilogue || r->reason == NULL)
		return xstrdup(end->reason);
	return xasprintf(
	    "%s%s%s", r->reason, end->reason == NULL ? "" : "; ", end->reason == NULL ? "" : end->reason);
}

/* The run as it will be, in p's view. */
static void
foresee(struct publish *p, const struct msg *m)
{
	struct msg *copy = msg_dup(m); /* m borrows from what view_put is about to free */

	view_put(&p->view, copy, NULL);
	free(copy);
}

static void
foresee_end(struct publish *p, const struct view_run *r, const struct publish_end *end)
{
	struct msg m = {.id = MSG_RUN_INFO, .run_info = *r->info};
	char *reason = publish_reason(r->info, end),
	     *cut = reason == NULL ? NULL : text_line(reason, TEXT_MAX - 1);

	m.run_info.state = publish_verdict(r->info, end);
	m.run_info.reason = cut;
	m.run_info.question = end->question;
	m.run_info.ended_at = (uint64_t)clock_wall_ms();
	foresee(p, &m);
	free(reason);
	free(cut);
}

/* Before the work branch is pushed with everything in it. */
static void
finish_parts(struct publish *p, const struct view_run *r)
{
	struct err e = {""};

	if (p->pulls == NULL || r->info->branch == NULL)
		return;
	link_doing(p->role->link, "opening the parts' pull requests");
	if (pulls_look(p->pulls, r->info->branch, &e) < 0)
		log_warn("%s", e.msg);
	else
		pulls_finish(p->pulls, r);
	github_set_patience(p->gh, in_ms(p, END_PATIENCE_MS));
}

static void
hand_over(struct publish *p, const char *head)
{
	const struct view_run *r = view_run(&p->view, p->role->assign->run);
	struct err e = {""};
	int rc;

	if (p->handed != NULL && strcmp(p->handed, head) == 0)
		return;
	finish_parts(p, r);
	link_doing(p->role->link, "pushing the work branch");
	delivery_clear(&p->delivery);
	xreplace(&p->undelivered, NULL);
	if (strcmp(p->role->conf.prs, "none") != 0 && p->base == NULL)
		rc = err_set(&e, -EREMOTEIO, "the branch that the pull request is for is not known");
	else
		rc = deliver(p->role, p->gh, r, p->issue, head, p->base, &p->delivery, &e);
	if (rc < 0 && rc != -ECANCELED) {
		tell_problem(p, &e);
		xreplace(&p->undelivered, e.msg);
	}
	if (rc == 0)
		xreplace(&p->handed, head);
	if (p->delivery.pull_url != NULL)
		link_event(p->role->link, "pull", "%s", p->delivery.pull_url);
}

bool
publish_hand_over(struct publish *p, const struct publish_end *end)
{
	const struct view_run *r;

	if (p == NULL || end->head == NULL)
		return false;
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	publish_base(p);
	r = ask_orchd(p);
	if (r == NULL)
		return false;
	foresee_end(p, r, end);
	github_set_patience(p->gh, in_ms(p, END_PATIENCE_MS));
	hand_over(p, end->head);
	return p->handed != NULL && strcmp(p->handed, end->head) == 0;
}

void
publish_resume(struct publish *p)
{
	if (p != NULL)
		loop_set_idle(&p->role->loop, in_ms(p, PUBLISH_TICK_MS), on_idle, p);
}

struct github *
publish_github(struct publish *p)
{
	return p->gh;
}

const struct view_run *
publish_view(struct publish *p)
{
	return ask_orchd(p);
}

uint64_t
publish_pull(const struct publish *p)
{
	return publish_pull_number(p->delivery.pull_url);
}

void
publish_problem(struct publish *p, const struct err *e)
{
	tell_problem(p, e);
}

const char *
publish_last(struct publish *p, const struct publish_end *end)
{
	int64_t patience_ms = end != NULL && !end->epilogue ? END_PATIENCE_MS : EPILOGUE_PATIENCE_MS;
	const struct view_run *r;

	if (p == NULL)
		return NULL;
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	if (end != NULL && end->head != NULL)
		publish_base(p);
	r = ask_orchd(p);
	if (r == NULL)
		return NULL;
	if (end != NULL)
		foresee_end(p, r, end);
	github_set_patience(p->gh, in_ms(p, patience_ms));
	if (end != NULL && end->head != NULL)
		hand_over(p, end->head);
	else if (end != NULL)
		finish_parts(p, view_run(&p->view, p->role->assign->run));
	look_anew(p);
	insist(p, view_run(&p->view, p->role->assign->run), patience_ms);
	return p->delivery.pull_url;
}

void
publish_question(struct publish *p, const char *question)
{
	const struct view_run *r = p == NULL ? NULL : ask_orchd(p);
	struct msg m = {.id = MSG_RUN_INFO};

	if (r == NULL)
		return;
	/* Until orchd is told of it, the state that it knows is not written over this. */
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	m.run_info = *r->info;
	m.run_info.question = question;
	foresee(p, &m);
	insist(p, view_run(&p->view, p->role->assign->run), END_PATIENCE_MS);
}

void
publish_leave(struct publish *p)
{
	const struct view_run *r = p == NULL ? NULL : ask_orchd(p);

	if (r == NULL)
		return;
	loop_set_idle(&p->role->loop, 0, NULL, NULL);
	insist(p, r, LEAVE_PATIENCE_MS);
}

/* Of the workflow that orchd was started by: its repository need not be the issue's. */
static char *
find_job_url(const struct conf *c)
{
	const char *id = getenv("GITHUB_RUN_ID"), *name = getenv("GITHUB_REPOSITORY");
	struct github_name n = {0};
	char *url;

	if (id == NULL || id[strspn(id, "0123456789")] != '\0' || *id == '\0')
		return NULL;
	if (name == NULL || github_name_from_parts(&n, NULL, name, NULL) < 0)
		github_name_from_parts(&n, c->repo_owner, c->repo_name, NULL);
	url = n.owner == NULL
		  ? NULL
		  : xasprintf("%s/%s/%s/actions/runs/%s",
			c->github_server_url == NULL ? "https://github.com" : c->github_server_url, n.owner,
			n.repo, id);
	github_name_clear(&n);
	return url;
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
	    .second_ms = (int64_t)r->conf.github_second_ms,
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
	push_sweep_role(r);
	if (strcmp(r->conf.prs, "all") == 0)
		p->pulls = pulls_new(r, gh, issue);
	view_init(&p->view);
	r->view = &p->view;
	loop_set_idle(&r->loop, in_ms(p, PUBLISH_TICK_MS), on_idle, p);
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
	pulls_free(p->pulls);
	github_close(p->gh);
	delivery_clear(&p->delivery);
	view_clear(&p->view);
	free(p->written);
	free(p->job_url);
	free(p->handed);
	free(p->base);
	free(p->problem);
	free(p->undelivered);
	free(p);
}
