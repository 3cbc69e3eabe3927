/* worker: from ASSIGN to SUBMIT (see worker.h). What is decided is in judge.c, what is merged in merge.c. */
#include "worker/worker.h"

#include "common/alloc.h"
#include "common/brief.h"
#include "common/gate.h"
#include "common/json.h"
#include "common/log.h"
#include "common/taskid.h"
#include "common/text.h"
#include "proto/attempt.h"
#include "worker/judge.h"
#include "worker/leak.h"
#include "worker/merge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DONE_MAX 16384 /* bytes of a list of changes that are told */

struct worker {
	struct role *role;
	char base[GIT_OID_HEX], head[GIT_OID_HEX];
	struct merge merge;
	char *summary;
	bool resumed; /* with work that another machine had saved */
	char *denied; /* tools that its agent was not allowed to use */
};

/* Back to the agent: orchd counts it and starts the next process with the evidence. */
static int
send_back(struct worker *w, const char *reason, const char *evidence, struct err *e)
{
	int rc = role_rework(w->role, w->role->assign->task, reason, evidence, NULL, e);

	return rc < 0 ? rc : ROLE_OVER;
}

/* Files as they are in the task's commit; what is ignored stays (it may have been dear to make). */
static int
tidy(struct worker *w, struct err *e)
{
	struct git wt = {0};
	int rc = git_init_worktree(&wt, &w->role->git, w->role->worktree, e);

	if (rc == 0)
		rc = git_run(&wt, 0, NULL, e, "reset", "--hard", "--quiet", w->head, NULL);
	if (rc == 0)
		rc = git_run(&wt, 0, NULL, e, "clean", "-ffdq", NULL);
	git_clear(&wt);
	return rc;
}

/* A commit that holds a key never becomes known to anybody: its files go back to the agent without it. */
static int
refuse_keys(struct worker *w, struct err *e)
{
	const char *from = w->merge.commit[0] != '\0' ? w->merge.commit : w->base;
	char *where = NULL, *evidence;
	int rc = leak_find(w->role, from, w->head, &where, e);

	if (rc < 0 || where == NULL)
		return rc;
	rc = leak_undo(w->role, from, e);
	if (rc == 0) {
		evidence = xasprintf("A key must not be part of a commit, but %s. Take it out of the "
				     "files, and write no file with it.",
		    where);
		rc = send_back(w, "the commit contains a key", evidence, e);
		free(evidence);
	}
	free(where);
	return rc;
}

/* Everything in the worktree becomes the task's commit, and orchd knows it: from here on the agent is not
 * needed. */
static int
commit(struct worker *w, struct err *e)
{
	struct role *r = w->role;
	const struct msg_assign *a = r->assign;
	const struct msg_note note = {.head = w->head};
	char *message = judge_commit_message(a->title, a->task, r->session), *notes = NULL;
	int rc;

	link_doing(r->link, "committing");
	rc = git_commit_all(&r->git, r->worktree, a->branch, w->base, message, w->head, &notes, e);
	free(message);
	if (rc == 0 && notes != NULL)
		link_event(r->link, "commit", "%s", notes);
	free(notes);
	if (rc == 0)
		rc = refuse_keys(w, e);
	if (rc == 0)
		rc = merge_close(r, &w->merge, w->head, e);
	return rc == 0 ? role_note(r, &note, e) : rc;
}

/* Adds what a git command says of the worktree. */
static void
add_output(struct git *wt, char **text, const char *const *argv)
{
	struct git_out out = {0};
	struct err e = {{0}};
	char *some, *longer;

	if (git_runv(wt, 0, &out, &e, argv, NULL, NULL, 0) < 0)
		return; /* the brief is as good without it */
	some = text_utf8(out.out, out.size, DONE_MAX);
	longer = xasprintf("%s%s", *text, some);
	free(*text);
	*text = longer;
	free(some);
	git_out_clear(&out);
}

/* What the worktree holds beyond the base, committed or not; NULL: nothing. */
static char *
done_so_far(struct worker *w)
{
	const char *const changed[] = {"diff", "--stat=100", "--no-ext-diff", "--no-textconv", w->base, NULL};
	const char *const added[] = {"ls-files", "--others", "--exclude-standard", NULL};
	struct git wt = {0};
	struct err e = {{0}};
	char *text = xstrdup("");

	if (git_init_worktree(&wt, &w->role->git, w->role->worktree, &e) == 0) {
		add_output(&wt, &text, changed);
		add_output(&wt, &text, added);
	}
	git_clear(&wt);
	if (*text == '\0') {
		free(text);
		return NULL;
	}
	return text;
}

/* resumed: for a session that knows the task. */
static char *
make_brief(struct worker *w, bool resumed)
{
	struct role *r = w->role;
	const struct msg_assign *a = r->assign;
	char *context = brief_context(r->worktree), *prompt;
	bool first = a->attempt <= 1 && r->session[0] == '\0' && !w->resumed;
	char *done = resumed || first ? NULL : done_so_far(w);
	char *verify = gate_text(r->conf.verify, r->areas);
	const struct brief b = {
	    .run_title = a->run_title,
	    .title = a->title,
	    .goal = a->goal,
	    .acceptance = a->acceptance,
	    .owns = (const char *const *)r->owns,
	    .guarded = (const char *const *)r->guarded,
	    .branch = a->branch,
	    .verify = verify,
	    .red = r->known.now != 0,
	    .context = context,
	    .done = done,
	    .evidence = a->rework > 0 ? a->evidence : NULL,
	    .setback = a->setback,
	    .conflicts = w->merge.unresolved ? (const char *const *)w->merge.conflicts : NULL,
	    .resumed = resumed,
	};

	prompt = brief_worker(&b);
	free(context);
	free(done);
	free(verify);
	return prompt;
}

/* What the worktree holds and no commit does gets a ref. False: there is nothing, or it cannot be saved,
 * which is logged: it stays in the worktree. */
static bool
save_work(struct role *r, char flat[TASKID_MAX], struct err *e)
{
	bool saved = false;

	if (access(r->worktree, F_OK) < 0)
		return false;
	taskid_flat(flat, r->assign->task);
	if (git_save_wip(&r->git, r->worktree, flat, NULL, &saved, NULL, e) < 0)
		log_warn("the uncommitted work stays in %s, not saved in git: %s", r->worktree, e->msg);
	return saved;
}

/* Before anything else is done about an attempt that ended badly, or a process that died: whatever follows,
 * its work is known and in git. */
static int
secure(struct role *r, const char *what, struct err *e)
{
	char flat[TASKID_MAX], *ref, *text;
	struct err why = {{0}};
	int rc;

	if (!save_work(r, flat, &why))
		return r->loop.stop && r->loop.stop_masked == 0 ? err_set(e, -ECANCELED, "asked to stop") : 0;
	ref = xasprintf("refs/orch/wip/%s", flat);
	text = xasprintf("%s: its uncommitted work is also kept in %s", what, ref);
	rc = role_saved(r, r->assign->task, ref, text, e);
	free(ref);
	free(text);
	return rc;
}

static int
run_agent(struct worker *w, struct err *e)
{
	struct role *r = w->role;
	char *fresh = make_brief(w, false), *again = make_brief(w, true);
	const struct attempt at = {.cwd = r->worktree, .access = AGENT_FULL, .prompt = again, .fresh = fresh};
	struct agent_outcome o;
	int rc;

	link_doing(r->link, "starting the agent");
	rc = attempt_run(r, &at, &o, e);
	if (rc == 0 && o.end != AGENT_OK) {
		rc = secure(r, "its agent did not end well", e);
		rc = rc == 0 ? attempt_report(r, &o, e) : rc;
	} else if (rc == 0) {
		w->summary = judge_summary(o.text);
	}
	if (rc == 0)
		w->denied = xstrdup(o.denied);
	agent_outcome_clear(&o);
	free(fresh);
	free(again);
	return rc;
}

static int
find_merge(struct worker *w, struct err *e)
{
	char tip[GIT_OID_HEX];
	int rc = role_branch_tip(w->role, w->role->assign->branch, tip, e);

	return rc == 0 ? merge_find(w->role, w->base, tip, &w->merge, e) : rc;
}

static int
work(struct worker *w, struct err *e)
{
	const char *head = w->role->assign->head;
	bool done = head != NULL && *head != '\0';
	int rc = done ? 0 : merge_begin(w->role, w->base, e);

	if (rc == 0)
		rc = role_furnish(w->role, w->base, e);
	if (rc == 0 && done)
		snprintf(w->head, sizeof(w->head), "%s", head);
	if (rc == 0)
		rc = find_merge(w, e);
	if (rc != 0 || done)
		return rc;
	rc = run_agent(w, e);
	return rc == 0 ? commit(w, e) : rc;
}

/* A remark may be a question, or wrong: what the agent says to it is the answer, and the work stands. */
static int
leave_as_it_is(struct worker *w, struct err *e)
{
	char *reason = xasprintf("the agent changed nothing%s%s", w->summary == NULL ? "" : "; it says: ",
	    w->summary == NULL ? "" : w->summary);
	int rc = role_fail(w->role, w->role->assign->task, reason, e);

	free(reason);
	return rc < 0 ? rc : ROLE_OVER;
}

static int
check(struct worker *w, struct err *e)
{
	struct judge_facts f = {.base = w->base,
	    .owns = (const char *const *)w->role->owns,
	    .guarded = (const char *const *)w->role->guarded,
	    .denied = w->denied};
	struct git_changes changes = {0};
	char **marked = NULL;
	struct judgement j = {0};
	int rc = git_changes(&w->role->git, w->base, w->head, &changes, e);

	if (rc == 0)
		rc = merge_marked(w->role, &w->merge, w->head, &marked, e);
	f.changed = changes.paths;
	f.outside = changes.outside;
	f.marked = marked;
	if (rc == 0 && w->role->assign->reviewed && changes.paths[0] == NULL)
		rc = leave_as_it_is(w, e);
	else if (rc == 0 && !judge(&f, &j))
		rc = send_back(w, j.reason, j.evidence, e);
	judgement_clear(&j);
	git_changes_clear(&changes);
	strv_free(marked);
	return rc;
}

static int
fresh_tree(void *arg, struct err *e)
{
	return tidy(arg, e);
}

/* What the gate says of the task's commit, when one knows what it said of the branch that it started from. */
static int
judge_tree(struct worker *w, enum gate_verdict *v, struct gate_result *res, struct err *e)
{
	struct role *r = w->role;
	const struct gate_trial trial = {.verify = r->conf.verify,
	    .areas = r->areas,
	    .dir = r->worktree,
	    .env = (const char *const *)r->gate_env,
	    .timeout_ms = (int64_t)r->conf.gate_timeout_ms,
	    .known = r->known.now,
	    .fresh = fresh_tree,
	    .arg = w};
	char *note = NULL;
	int rc = gate_judge(&r->loop, &trial, v, res, &note, e);

	if (rc == 0 && note != NULL)
		link_event(r->link, "gate", "%s", note);
	free(note);
	return rc;
}

/* A gate leaves things behind, which must not be taken for the agent's work in the next attempt. */
static int
gate(struct worker *w, struct err *e)
{
	struct role *r = w->role;
	struct gate_result res = {0};
	enum gate_verdict v;
	char *what, *evidence;
	int rc;

	if (!role_has_gate(r))
		return 0;
	link_doing(r->link, "running the gate");
	rc = judge_tree(w, &v, &res, e);
	if (rc < 0)
		return rc;
	what = gate_summary(r->conf.verify, &res);
	rc = tidy(w, e);
	if (rc == 0 && v == GATE_RED)
		rc = role_check_room(r, e);
	if (rc == 0 && v == GATE_RED) {
		evidence = xasprintf("%s. The end of what it said:\n\n%s", what, res.output);
		rc = send_back(w, what, evidence, e);
		free(evidence);
	} else if (rc == 0 && v == GATE_GREEN) {
		link_event(r->link, "gate", "%s", what);
	}
	free(what);
	gate_result_clear(&res);
	return rc;
}

static int
submit(struct worker *w, struct err *e)
{
	struct role *r = w->role;
	struct git_stat st = {0};
	struct msg m = {.id = MSG_SUBMIT};
	int rc = git_diff_stat(&r->git, w->base, w->head, &st, e);

	if (rc < 0)
		return rc;
	m.submit.base = w->base;
	m.submit.head = w->head;
	m.submit.files = st.files;
	m.submit.insertions = st.insertions;
	m.submit.deletions = st.deletions;
	m.submit.summary = w->summary;
	log_info("submitting %.12s: %llu files", w->head, (unsigned long long)st.files);
	return link_call(r->link, &m, NULL, e);
}

/* Puts the files of a commit into the worktree, as if they had been written there; the branch stays where it is. */
static int
put_files(struct worker *w, const char *commit, struct err *e)
{
	struct git wt = {0};
	int rc = git_init_worktree(&wt, &w->role->git, w->role->worktree, e);

	if (rc == 0)
		rc = git_run(&wt, GIT_CHECKOUT, NULL, e, "read-tree", "--reset", "-u", commit, NULL);
	if (rc == 0)
		rc = git_run(&wt, 0, NULL, e, "reset", "--mixed", "--quiet", NULL);
	git_clear(&wt);
	return rc;
}

/* Another machine worked on this and saved what it had: a new session goes on from its files, once. */
static int
take_up(struct worker *w, struct err *e)
{
	struct role *r = w->role;
	char flat[TASKID_MAX], oid[GIT_OID_HEX], tip[GIT_OID_HEX], *ref;
	int rc;

	taskid_flat(flat, r->assign->task);
	ref = xasprintf("refs/orch/resume/%s", flat);
	rc = git_resolve(&r->git, ref, oid, e);
	if (rc == -ENOENT) { /* the rule */
		free(ref);
		return 0;
	}
	if (rc == 0)
		rc = role_branch_tip(r, r->assign->branch, tip, e);
	if (rc == 0)
		rc = git_is_ancestor(&r->git, tip, oid, e);
	if (rc == 1 && (r->assign->head == NULL || *r->assign->head == '\0')) {
		rc = put_files(w, oid, e);
		w->resumed = rc == 0;
		if (rc == 0)
			link_event(r->link, "resume", "goes on from the work that another machine saved");
	}
	if (rc >= 0)
		rc = git_update_ref(&r->git, ref, NULL, oid, "taken up", e);
	free(ref);
	return rc;
}

int
worker_run(struct role *r, struct err *e)
{
	struct worker w = {.role = r};
	bool again = access(r->worktree, F_OK) == 0;
	int rc = role_open_branch(r, w.base, e);

	if (rc == 0)
		rc = git_worktree_add(&r->git, r->worktree, r->assign->branch, w.base, e);
	if (rc == 0)
		rc = again ? secure(r, "the worker goes on", e) : take_up(&w, e);
	if (rc == 0)
		rc = work(&w, e);
	if (rc == 0)
		rc = check(&w, e);
	if (rc == 0)
		rc = gate(&w, e);
	if (rc == 0)
		rc = submit(&w, e);
	merge_clear(&w.merge);
	free(w.summary);
	free(w.denied);
	return rc;
}

void
worker_stopped(struct role *r)
{
	char flat[TASKID_MAX], *ref, *text;
	struct err e = {{0}};

	if (!save_work(r, flat, &e))
		return;
	ref = xasprintf("refs/orch/wip/%s", flat);
	text = xasprintf("its uncommitted work is also kept in %s", ref);
	role_post_saved(r, r->assign->task, ref, text);
	free(ref);
	free(text);
}
