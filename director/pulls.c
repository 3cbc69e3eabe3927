/* pulls: a run's parts as GitHub has them, brought nearer to what they are to be, deed by deed (see pulls.h).
 */
#include "director/pulls.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "director/pulls_text.h"
#include "director/push_role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 2000
#define RETRY_MS 60000
#define STEP_PATIENCE_MS 2000
#define STEP_PUSH_MS 60000
#define END_PATIENCE_MS 120000
#define END_PUSH_MS 600000
#define END_FAILURES 3 /* after so many in a row that may pass it is given up */
#define END_PAUSE_MS 2000

struct pulls {
	struct role *role;
	struct github *gh;
	uint64_t issue;
	struct push push;
	bool opened;                  /* push is */
	struct push_refs here, there; /* branches in the repository; on GitHub, when they were looked at */
	bool asked;                   /* there was */
	struct pulls_part *parts;     /* grows, and never shrinks; the work branch is the last */
	size_t count;
	int64_t due_ms;
	unsigned failures; /* in a row */
	char *problem;
	unsigned problems; /* parts that were given up */
};

struct pulls *
pulls_new(struct role *r, struct github *gh, uint64_t issue)
{
	struct pulls *p = xcalloc(1, sizeof(*p));

	p->role = r;
	p->gh = gh;
	p->issue = issue;
	return p;
}

static int64_t
in_ms(const struct pulls *p, int64_t ms)
{
	return ms * (int64_t)p->role->conf.github_second_ms / 1000;
}

static void
part_clear(struct pulls_part *part)
{
	free(part->task);
	free(part->branch);
	free(part->title);
	free(part->reason);
	free(part->base);
	free(part->compared);
}

static void
close_push(struct pulls *p)
{
	if (p->opened)
		push_close(&p->push);
	p->opened = false;
}

void
pulls_free(struct pulls *p)
{
	if (p == NULL)
		return;
	close_push(p);
	for (size_t i = 0; i < p->count; i++)
		part_clear(&p->parts[i]);
	free(p->parts);
	push_refs_clear(&p->here);
	push_refs_clear(&p->there);
	free(p->problem);
	free(p);
}

int64_t
pulls_due(const struct pulls *p)
{
	return p->due_ms;
}

const char *
pulls_problem(const struct pulls *p)
{
	return p->problem;
}

int
pulls_look(struct pulls *p, const char *work_branch, struct err *e)
{
	char *own = xasprintf("refs/heads/%s", work_branch),
	     *ems = xasprintf("refs/heads/%s-em*", work_branch);
	struct git_out out = {0};
	int rc = git_run(
	    &p->role->git, 0, &out, e, "for-each-ref", "--format=%(objectname)%09%(refname)", own, ems, NULL);

	if (rc == 0) {
		push_refs_clear(&p->here);
		push_refs_read(&p->here, out.out);
	}
	git_out_clear(&out);
	free(own);
	free(ems);
	return rc;
}

/* What has failed for good is not tried again, and nothing waits for it. */
static void
give_up(struct pulls *p, struct pulls_part *part, const char *why)
{
	char *text;

	part->over = true;
	p->problems++;
	log_warn("GitHub: %s: %s", part->branch, why);
	link_event(p->role->link, "github", "%s: %s", part->branch, why);
	if (p->problems == 1)
		text = xasprintf("not all that prs=all asks for is there: %s: %s", part->branch, why);
	else
		text =
		    xasprintf("not all that prs=all asks for is there: %u of its branches, the last %s: %s",
			p->problems, part->branch, why);
	free(p->problem);
	p->problem = text;
}

static bool
may_pass(enum github_kind kind)
{
	return kind == GITHUB_LIMITED || kind == GITHUB_BROKEN || kind == GITHUB_LOST ||
	       kind == GITHUB_STRANGE;
}

/* 1: on with the others; 0: later; -ECANCELED. */
static int
heed(struct pulls *p, struct pulls_part *part, int rc, bool passes, const struct err *why)
{
	if (rc == 0) {
		p->failures = 0;
		return 1;
	}
	if (rc == -ECANCELED)
		return rc;
	if (passes) {
		p->failures++;
		p->due_ms = clock_now_ms() + in_ms(p, RETRY_MS);
		log_warn("GitHub: %s", why->msg);
		return 0;
	}
	give_up(p, part, why->msg);
	return 1;
}

static int
heed_github(struct pulls *p, struct pulls_part *part, int rc, const struct err *why)
{
	return heed(p, part, rc, may_pass(github_kind(p->gh)), why);
}

static int
push(struct pulls *p, struct pulls_part *part, const char *oid)
{
	const char *ours = part->ours ? part->there : NULL;
	struct err e = {""};
	enum push_outcome o;

	link_doing(p->role->link, "pushing %.400s", part->branch);
	o = push_from(&p->push, part->branch, oid, part->there, ours, &e);
	if (o == PUSH_DONE) {
		snprintf(part->there, sizeof(part->there), "%s", oid);
		part->ours = true;
	}
	return heed(p, part,
	    o == PUSH_DONE      ? 0
	    : o == PUSH_STOPPED ? -ECANCELED
				: -EIO,
	    o == PUSH_NETWORK, &e);
}

/* A parent's branch as it was before the child's commits: where the child began, or the run. */
static int
make_parent(struct pulls *p, struct pulls_part *part, const char *run_base)
{
	struct pulls_part *parent = &p->parts[part->parent];
	const char *start = parent->base == NULL ? run_base : parent->base;
	struct err e = {""};
	int rc = git_is_ancestor(&p->role->git, part->head, start, &e);

	if (rc < 0)
		return heed(p, parent, rc, false, &e);
	return push(p, parent, rc == 1 ? run_base : start);
}

static int
open_pull(struct pulls *p, struct pulls_part *part, const struct view_run *run)
{
	char *title = pulls_title(part), *text = pulls_text(part, run, p->issue);
	struct github_pull pull = {0};
	struct err e = {""};
	bool made = false;
	int rc;

	link_doing(p->role->link, "opening a pull request for %s", part->task);
	rc = github_pull_open(
	    p->gh, part->branch, p->parts[part->parent].branch, title, text, false, &pull, &made, &e);
	if (rc == 0) {
		part->number = pull.number;
		if (made)
			link_event(p->role->link, "pull", "%s: %s", part->task, pull.url);
	}
	github_pull_clear(&pull);
	free(title);
	free(text);
	return heed_github(p, part, rc, &e);
}

static int
take_number(void *arg, const struct github_pull *pull, struct err *e)
{
	(void)e;
	*(uint64_t *)arg = pull->number;
	return 1;
}

/* With a sentence, which may be lost: what counts is that it is closed. */
static int
close_pull(struct pulls *p, struct pulls_part *part, const char *why)
{
	struct err e = {""};
	uint64_t id;
	int rc = 0;

	if (part->number == 0)
		rc = github_pulls_each(p->gh, part->branch, p->parts[part->parent].branch, "open",
		    take_number, &part->number, &e);
	if (rc >= 0 && part->number != 0) {
		rc = github_comment_create(p->gh, part->number, why, &id, &e);
		if (rc != -ECANCELED)
			rc = github_pull_update(p->gh, part->number, NULL, NULL, NULL, "closed", &e);
	}
	if (rc >= 0) {
		part->over = true;
		part->number = 0;
	}
	return heed_github(p, part, rc < 0 ? rc : 0, &e);
}

static int
drop(struct pulls *p, struct pulls_part *part)
{
	char *why = pulls_why_dropped(part);
	int rc = close_pull(p, part, why);

	free(why);
	return rc;
}

/* The newest commit of the parent's branch that names the task; "" when there is none. */
static void
find_remade(struct pulls *p, const struct pulls_part *part, char oid[GIT_OID_HEX])
{
	char *line = xasprintf("^Orch-Task: %s$", part->task);
	struct git_out out = {0};

	oid[0] = '\0';
	if (git_run(&p->role->git, 0, &out, NULL, "log", "-1", "--format=%H", "--grep", line,
		p->parts[part->parent].head, NULL) == 0)
		snprintf(oid, GIT_OID_HEX, "%.*s", (int)strcspn(out.out, "\n"), out.out);
	git_out_clear(&out);
	free(line);
}

static int
tell_remade(struct pulls *p, struct pulls_part *part)
{
	char oid[GIT_OID_HEX], *why;
	int rc;

	find_remade(p, part, oid);
	why = pulls_why_remade(part, &p->parts[part->parent], oid);
	rc = close_pull(p, part, why);
	free(why);
	return rc;
}

static struct pulls_part *
find_part(struct pulls *p, const char *task)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->parts[i].task, task) == 0)
			return &p->parts[i];
	return NULL;
}

/* Before its parent: a worker's before its EM's, which is the first that is not of another area. */
static struct pulls_part *
insert_part(struct pulls *p, const struct view_task *t, const char *branch)
{
	size_t at = 0;

	if (t->worker == 0)
		at = p->count == 0 ? 0 : p->count - (t->em != 0);
	else
		while (at < p->count && p->parts[at].em != t->em)
			at++;
	p->parts = xrealloc(p->parts, (p->count + 1) * sizeof(*p->parts));
	memmove(&p->parts[at + 1], &p->parts[at], (p->count - at) * sizeof(*p->parts));
	p->count++;
	p->parts[at] = (struct pulls_part){
	    .task = xstrdup(t->info->task), .branch = xstrdup(branch), .em = t->em, .worker = t->worker};
	snprintf(p->parts[at].there, GIT_OID_HEX, "%s", push_refs_find(&p->there, branch));
	return &p->parts[at];
}

static enum pulls_state
state_of(const char *name)
{
	if (strcmp(name, "submitted") == 0)
		return PULLS_READY;
	if (strcmp(name, "integrated") == 0)
		return PULLS_IN;
	return strcmp(name, "failed") == 0 || strcmp(name, "cancelled") == 0 ? PULLS_LOST : PULLS_BUSY;
}

static void
update_part(struct pulls *p, const struct view_run *run, const struct view_task *t)
{
	const char *branch = t->em == 0 ? run->info->branch : t->info->branch, *head;
	enum pulls_state state = state_of(t->info->state);
	struct pulls_part *part;

	if (branch == NULL)
		return;
	part = find_part(p, t->info->task);
	if (part == NULL)
		part = insert_part(p, t, branch);
	if (part->state == PULLS_LOST && state != PULLS_LOST) { /* it was tried again */
		part->over = false;
		part->number = 0;
	}
	part->state = state;
	xreplace(&part->title, t->info->title);
	xreplace(&part->reason, t->info->reason);
	xreplace(&part->base, t->info->base);
	/* A worker's branch moves while it works; what it hands in is its head. A lead's moves by merges. */
	head = t->worker == 0 ? push_refs_find(&p->here, branch) : "";
	if (head[0] == '\0' && t->info->head != NULL)
		head = t->info->head;
	snprintf(part->head, sizeof(part->head), "%s", head);
}

static bool
is_in(struct pulls *p, const char *oid, const char *branch)
{
	return oid[0] != '\0' && branch[0] != '\0' && git_is_ancestor(&p->role->git, oid, branch, NULL) == 1;
}

/* What of a part is in its parent is asked of git only where it may have changed. */
static void
compare(struct pulls *p, struct pulls_part *part)
{
	const struct pulls_part *parent = &p->parts[part->parent];
	char *pair = xasprintf("%s %s %s", part->head, parent->there, parent->head);

	if (part->compared == NULL || strcmp(part->compared, pair) != 0) {
		part->in_there = is_in(p, part->head, parent->there);
		part->in_here = part->in_there || is_in(p, part->head, parent->head);
		free(part->compared);
		part->compared = pair;
		pair = NULL;
	}
	free(pair);
}

static void
update(struct pulls *p, const struct view_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		update_part(p, run, &run->tasks[i]);
	for (size_t i = 0; i < p->count; i++) {
		struct pulls_part *part = &p->parts[i];

		part->parent = -1;
		for (size_t k = i + 1; k < p->count && part->parent < 0 && part->em != 0; k++)
			if (p->parts[k].em == (part->worker != 0 ? part->em : 0) && p->parts[k].worker == 0)
				part->parent = (int)k;
		if (part->parent >= 0)
			compare(p, part);
	}
}

/* What an earlier life of this director has done is there. 1, 0 (later), -ECANCELED. */
static int
ask_github(struct pulls *p, const char *branch)
{
	char *ems = xasprintf("%s-em*", branch);
	struct err e = {""};
	enum push_outcome o = PUSH_BROKEN;

	if (!p->opened && push_open_role(&p->push, p->role, PUSH_PARTS, &e) == 0)
		p->opened = true;
	if (p->opened)
		o = push_list(&p->push, branch, ems, &p->there, &e);
	free(ems);
	p->asked = o == PUSH_DONE;
	if (o == PUSH_DONE)
		return 1;
	if (o == PUSH_STOPPED)
		return -ECANCELED;
	p->failures++;
	p->due_ms = clock_now_ms() + in_ms(p, RETRY_MS);
	log_warn("GitHub: %s", e.msg);
	return 0;
}

static int
act(struct pulls *p, const struct view_run *run)
{
	size_t i;
	enum pulls_deed deed = pulls_next(p->parts, p->count, &i);

	switch (deed) {
	case PULLS_NOTHING:
		return 0;
	case PULLS_MAKE:
		return make_parent(p, &p->parts[i], run->info->base);
	case PULLS_PUSH:
		return push(p, &p->parts[i], p->parts[i].head);
	case PULLS_OPEN:
		return open_pull(p, &p->parts[i], run);
	case PULLS_DROP:
		return drop(p, &p->parts[i]);
	case PULLS_REMADE:
		return tell_remade(p, &p->parts[i]);
	}
	return 0;
}

static int
step(struct pulls *p, const struct view_run *run)
{
	int rc = 1;

	p->due_ms = clock_now_ms() + LOOK_MS;
	if (run->info->branch == NULL)
		return 0;
	if (!p->opened || !p->asked)
		rc = ask_github(p, run->info->branch);
	if (rc != 1)
		return rc;
	update(p, run);
	rc = act(p, run);
	if (rc == 1)
		p->due_ms = clock_now_ms();
	return rc;
}

int
pulls_step(struct pulls *p, const struct view_run *run)
{
	github_set_patience(p->gh, in_ms(p, STEP_PATIENCE_MS));
	if (p->opened)
		p->push.timeout_ms = STEP_PUSH_MS;
	return step(p, run);
}

int
pulls_finish(struct pulls *p, const struct view_run *run)
{
	const bool never = false;
	int rc = 1;

	p->failures = 0;
	while (rc == 1) {
		unsigned before = p->failures;

		github_set_patience(p->gh, in_ms(p, END_PATIENCE_MS));
		if (p->opened)
			p->push.timeout_ms = END_PUSH_MS;
		rc = step(p, run);
		if (rc != 0 || p->failures == before || p->failures == END_FAILURES)
			continue;
		rc = loop_wait(&p->role->loop, &never, clock_now_ms() + in_ms(p, END_PAUSE_MS));
		rc = rc == -ETIMEDOUT ? 1 : rc;
	}
	if (rc == 0 && p->failures > 0 && p->problem == NULL)
		p->problem = xstrdup("not all that prs=all asks for is there: GitHub was not reached");
	close_push(p);
	return rc < 0 ? rc : 0;
}
