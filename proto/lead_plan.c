/* lead_plan: where a lead's plan comes from: given, stored, or written by an agent and sent back while it is
 * wrong. */
#include "proto/lead.h"

#include "common/alloc.h"
#include "common/brief.h"
#include "common/guard.h"
#include "common/json.h"
#include "common/log.h"
#include "common/owns.h"
#include "common/text.h"
#include "proto/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_FAULTS_MAX 2 /* so often a plan goes back */

/* Keys of the children that a lead adds itself; a plan must leave them free. */
static int
check_reserved(const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->count; i++)
		if (strncmp(p->items[i].id, "rework-", 7) == 0)
			return err_set(
			    e, -EINVAL, "id %s: ids that begin with rework- are reserved", p->items[i].id);
	return 0;
}

/*
 * What is protected may be changed by a task that owns it by name, if its area does: said now, not when the
 * work is done. An owner by wildcard is no fault; it only gives no right to the protected ones among the
 * files.
 */
static int
check_protected(const struct plan *p, const char *const *area, const char *const *guarded, struct err *e)
{
	for (size_t i = 0; i < p->count; i++)
		for (char **o = p->items[i].owns; *o != NULL; o++)
			if (owns_match_any(guarded, *o) && !owns_name(area, *o))
				return err_set(e, -EINVAL,
				    "tasks[%zu].owns[%zu]: %s is protected, and the area does not own it by "
				    "name",
				    i, (size_t)(o - p->items[i].owns), *o);
	return 0;
}

/* The tasks that a director's plan already gives an area are checked before any EM starts on them. */
static int
check_given_tasks(const struct plan *p, const char *const *guarded, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *it = &p->items[i];
		struct plan tasks = {0};
		char **within;
		int rc;

		if (it->tasks_json == NULL)
			continue;
		within = plan_item_owns(p, it);
		rc = plan_parse(&tasks, PLAN_TASKS, it->tasks_json, strlen(it->tasks_json),
		    (const char *const *)within, e);
		if (rc == 0)
			rc = check_reserved(&tasks, e);
		if (rc == 0)
			rc = check_protected(&tasks, (const char *const *)within, guarded, e);
		strv_free(within);
		plan_clear(&tasks);
		if (rc < 0)
			return err_prefix(e, rc, "area %s", it->id);
	}
	return 0;
}

static int
parse(struct lead *ld, const char *json, struct err *e)
{
	const char *const *within = ld->level == PLAN_TASKS ? (const char *const *)ld->role->owns : NULL;
	const char *const *guarded = (const char *const *)ld->role->guarded;
	struct plan p = {0};
	int rc = plan_parse(&p, ld->level, json, strlen(json), within, e);

	if (rc < 0)
		return rc;
	rc = check_reserved(&p, e);
	if (rc == 0 && within != NULL)
		rc = check_protected(&p, within, guarded, e);
	if (rc == 0)
		rc = check_given_tasks(&p, guarded, e);
	if (rc < 0) {
		plan_clear(&p);
		return rc;
	}
	plan_clear(&ld->plan);
	ld->plan = p;
	xreplace(&ld->plan_json, json);
	return 0;
}

static int
fail(struct lead *ld, const char *what, const char *fault, struct err *e)
{
	char *reason = xasprintf("%s: %s", what, fault);
	int rc = lead_remove_worktree(ld, e);

	if (rc == 0)
		rc = role_fail(ld->role, ld->role->assign->task, reason, e);
	free(reason);
	return rc < 0 ? rc : ROLE_OVER;
}

/* The director's evidence is what it asked and a person answered. */
static const char *
answers(const struct lead *ld)
{
	const char *text = ld->level == PLAN_AREAS ? ld->role->assign->evidence : NULL;

	return text == NULL || *text == '\0' ? NULL : text;
}

static char *
first_prompt(struct lead *ld)
{
	struct role *r = ld->role;
	const struct msg_assign *a = r->assign;
	char *context = brief_context(r->worktree), *prompt;
	const struct plan_prompt q = {
	    .level = ld->level,
	    .run_title = a->run_title == NULL ? a->title : a->run_title,
	    .title = a->title,
	    .goal = a->goal,
	    .acceptance = a->acceptance,
	    .owns = ld->level == PLAN_TASKS ? (const char *const *)r->owns : NULL,
	    .guarded = (const char *const *)r->guarded,
	    .context = context,
	    .answers = answers(ld),
	    .max_items = PLAN_ITEMS_MAX,
	    .parallel = ld->level == PLAN_AREAS ? r->conf.max_ems : r->conf.max_workers_per_em,
	};

	prompt = plan_prompt(&q);
	free(context);
	return prompt;
}

/* One answer of the agent: 0 with a plan, or with the fault; ROLE_OVER when it ended badly; -errno. */
static int
ask(struct lead *ld, const char *prompt, const char *fresh, struct err *fault, struct err *e)
{
	const struct attempt at = {
	    .cwd = ld->role->worktree,
	    .access = AGENT_READ_ONLY,
	    .json_schema = plan_schema(ld->level),
	    .prompt = prompt,
	    .fresh = fresh,
	};
	struct agent_outcome o;
	int rc = attempt_run(ld->role, &at, &o, e);

	fault->msg[0] = '\0';
	/* Before it is told: after it orchd may end the run, and nobody cleans up behind a director. */
	if (rc == 0 && o.end != AGENT_OK && ld->level == PLAN_AREAS)
		rc = lead_remove_worktree(ld, e);
	if (rc == 0 && o.end != AGENT_OK)
		rc = attempt_report(ld->role, &o, e);
	else if (rc == 0)
		parse(ld, o.structured, fault);
	agent_outcome_clear(&o);
	return rc;
}

static int
plan_by_agent(struct lead *ld, const char *commit, struct err *e)
{
	struct role *r = ld->role;
	char *brief, *prompt;
	struct err fault = {{0}};
	int rc = git_worktree_add(&r->git, r->worktree, NULL, commit, e);

	if (rc < 0)
		return rc;
	brief = first_prompt(ld);
	prompt = answers(ld) == NULL || r->session[0] == '\0' ? xstrdup(brief)
							      : plan_answer_prompt(ld->level, answers(ld));
	link_doing(r->link, "planning");
	for (unsigned faults = 0;; faults++) {
		char *both = xasprintf("%s\n\n%s", brief, faults == 0 ? "" : prompt);

		rc = ask(ld, prompt, both, &fault, e);
		free(both);
		if (rc != 0 || fault.msg[0] == '\0')
			break;
		log_warn("the plan is not valid: %s", fault.msg);
		if (faults == PLAN_FAULTS_MAX) {
			rc = fail(
			    ld, "the agent's plan broke a rule three times; the last time", fault.msg, e);
			break;
		}
		link_event(r->link, "plan", "the plan went back to the agent: %s", fault.msg);
		free(prompt);
		prompt = plan_fault_prompt(ld->level, fault.msg);
	}
	free(brief);
	free(prompt);
	return rc;
}

int
lead_plan(struct lead *ld, const char *commit, struct err *e)
{
	const char *given = ld->role->assign->plan_json;
	struct err fault = {{0}};

	if (given == NULL || *given == '\0')
		return plan_by_agent(ld, commit, e);
	if (parse(ld, given, &fault) < 0)
		return fail(ld, "the plan that was given is not valid", fault.msg, e);
	return 0;
}

int
lead_store_plan(struct lead *ld, const char *branch, struct err *e)
{
	const char *summary = ld->plan.summary == NULL ? "" : ld->plan.summary;
	char *shown = text_utf8(summary, strlen(summary), TEXT_MAX - 1);
	const struct msg m = {
	    .id = MSG_PLAN, .plan = {.plan_json = ld->plan_json, .summary = shown, .branch = branch}};
	int rc = link_call(ld->role->link, &m, NULL, e);

	free(shown);
	return rc;
}

int
lead_add(struct lead *ld, const struct msg_task_add *task, struct err *e)
{
	const struct msg m = {.id = MSG_TASK_ADD, .task_add = *task};
	int rc = link_call(ld->role->link, &m, NULL, e);

	return rc < 0 && rc != -ECANCELED ? err_prefix(e, rc, "adding task %s", task->key) : rc;
}

/* What judges an area besides is protected in it, as the run's gate is in all of them: its files in the base.
 */
static int
guard_area(struct lead *ld, const struct plan_item *it, char **guarded, struct err *e)
{
	json_t *commands = it->verify_json == NULL ? NULL : json_loads(it->verify_json, 0, NULL);
	char **words = guard_candidates(json_array_get(commands, 0)), **files = NULL;
	int rc = git_files(&ld->role->git, ld->base, words, &files, e);

	if (rc == 0 && files[0] != NULL)
		*guarded = json_from_strv((const char *const *)files);
	strv_free(files);
	strv_free(words);
	json_decref(commands);
	return rc;
}

static int
add_item(struct lead *ld, size_t index, struct err *e)
{
	const struct plan_item *it = &ld->plan.items[index];
	char **all = plan_item_owns(&ld->plan, it);
	char *owns = json_from_strv((const char *const *)all);
	char *needs = json_from_strv((const char *const *)it->needs);
	char *after = json_from_strv((const char *const *)it->after);
	char *branch = xasprintf("%s%s%zu", ld->branch, ld->tag, index + 1), *guarded = NULL;
	struct msg_task_add task = {
	    .ordinal = index + 1,
	    .key = it->id,
	    .title = it->title,
	    .goal = it->goal,
	    .owns_json = owns,
	    .needs_json = needs,
	    .after_json = after,
	    .acceptance = it->acceptance,
	    .plan_json = it->tasks_json,
	    .verify_json = it->verify_json,
	    .branch = branch,
	};
	int rc = guard_area(ld, it, &guarded, e);

	task.guarded_json = guarded;
	if (rc == 0)
		rc = lead_add(ld, &task, e);

	strv_free(all);
	free(owns);
	free(needs);
	free(after);
	free(branch);
	free(guarded);
	return rc;
}

int
lead_staff(struct lead *ld, struct err *e)
{
	for (size_t i = 0; i < ld->plan.count; i++) {
		int rc;

		if (team_find(&ld->role->team, ld->plan.items[i].id) != NULL)
			continue;
		rc = add_item(ld, i, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}
