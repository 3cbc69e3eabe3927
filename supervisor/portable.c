/* portable: see portable.h. What travels is a list of columns each for runs and tasks; writer and reader are
 * made of it. */
#include "supervisor/portable.h"

#include "common/alloc.h"
#include "common/json.h"
#include "common/plan.h"
#include "proto/messages.h"

#include <errno.h>
#include <string.h>

#define NUMBER_MAX ((int64_t)1 << 53)

/* C(kind, column, max): what the text must be, and how long it may be. */
#define RUN_PORTABLE(C)                                                                                      \
	C(name, id, NAME_MAX_BYTES)                                                                          \
	C(name, issue, 18)                                                                                   \
	C(text, title, TEXT_MAX)                                                                             \
	C(text, body, GOAL_MAX)                                                                              \
	C(text, question, TEXT_MAX)                                                                          \
	C(text, reason, TEXT_MAX)                                                                            \
	C(branch, branch, REF_MAX)                                                                           \
	C(branch, base_branch, REF_MAX)                                                                      \
	C(commit, base, 64)                                                                                  \
	C(num, created_at, 0)                                                                                \
	C(num, started_at, 0)                                                                                \
	C(num, approve, 0)                                                                                   \
	C(num, asked_at, 0)                                                                                  \
	C(num, worked_ms, 0)                                                                                 \
	C(num, review_round, 0)                                                                              \
	C(num, review_pull, 0)

#define TASK_PORTABLE(C)                                                                                     \
	C(name, id, NAME_MAX_BYTES)                                                                          \
	C(name, parent_id, NAME_MAX_BYTES)                                                                   \
	C(num, ordinal, 0)                                                                                   \
	C(name, key, NAME_MAX_BYTES)                                                                         \
	C(text, title, TEXT_MAX)                                                                             \
	C(text, goal, GOAL_MAX)                                                                              \
	C(list, owns, LIST_MAX)                                                                              \
	C(list, needs, LIST_MAX)                                                                             \
	C(list, after, LIST_MAX)                                                                             \
	C(text, acceptance, GOAL_MAX)                                                                        \
	C(text, plan, PLAN_MAX)                                                                              \
	C(num, attempt, 0)                                                                                   \
	C(num, failures, 0)                                                                                  \
	C(num, rework, 0)                                                                                    \
	C(num, doomed, 0)                                                                                    \
	C(branch, branch, REF_MAX)                                                                           \
	C(commit, base, 64)                                                                                  \
	C(commit, head, 64)                                                                                  \
	C(text, session, NAME_MAX_BYTES)                                                                     \
	C(text, reason, TEXT_MAX)                                                                            \
	C(text, evidence, EVIDENCE_MAX)                                                                      \
	C(commit, merge_from, 64)                                                                            \
	C(text, gate, 64)                                                                                    \
	C(json, verify, TEXT_MAX)                                                                            \
	C(list, guarded, 4 * TEXT_MAX)                                                                       \
	C(ref, saved, REF_MAX)                                                                               \
	C(num, wait_until, 0)                                                                                \
	C(num, created_at, 0)                                                                                \
	C(num, started_at, 0)                                                                                \
	C(num, changed_at, 0)                                                                                \
	C(num, submitted_at, 0)                                                                              \
	C(num, ended_at, 0)                                                                                  \
	C(num, files, 0)                                                                                     \
	C(num, insertions, 0)                                                                                \
	C(num, deletions, 0)                                                                                 \
	C(num, cost_uusd, 0)                                                                                 \
	C(num, tokens_in, 0)                                                                                 \
	C(num, tokens_out, 0)                                                                                \
	C(num, past_cost_uusd, 0)                                                                            \
	C(num, past_tokens_in, 0)                                                                            \
	C(num, past_tokens_out, 0)                                                                           \
	C(num, ceilings, 0)                                                                                  \
	C(num, gw_requests, 0)                                                                               \
	C(num, gw_cost_uusd, 0)                                                                              \
	C(num, gw_tokens_in, 0)                                                                              \
	C(num, gw_tokens_out, 0)

static void
put_text(json_t *j, const char *key, const char *text)
{
	if (text != NULL)
		json_object_set_new(j, key, json_string(text));
}

static void
put_num(json_t *j, const char *key, int64_t n)
{
	if (n != 0)
		json_object_set_new(j, key, json_integer(n));
}

#define put_name put_text
#define put_branch put_text
#define put_commit put_text
#define put_ref put_text
#define put_list put_text
#define put_json put_text

static char *
finish(const char *kind, json_t *j)
{
	json_t *line = json_pack("{s:o}", kind, j);
	char *text = json_text(line);

	json_decref(line);
	return text;
}

char *
portable_run(const struct run *r)
{
	json_t *j = json_object();

	put_text(j, "state", run_state_name(run_state(r)));
#define C(kind, name, max) put_##kind(j, #name, r->name);
	RUN_PORTABLE(C)
#undef C
	return finish("run", j);
}

char *
portable_task(const struct task *t)
{
	json_t *j = json_object();

	put_text(j, "state", task_state_name(task_state(t)));
#define C(kind, name, max) put_##kind(j, #name, t->name);
	TASK_PORTABLE(C)
#undef C
	return finish("task", j);
}

static int
bad(struct err *e, const char *key, const char *why)
{
	return err_set(e, -EINVAL, "the saved state's \"%s\" %s", key, why);
}

static int
get_text(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	const json_t *v = json_object_get(j, key);

	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return bad(e, key, "is no text");
	if (json_string_length(v) > max)
		return bad(e, key, "is too long");
	xreplace(text, json_string_value(v));
	return 0;
}

static int
get_num(const json_t *j, const char *key, size_t max, int64_t *n, struct err *e)
{
	const json_t *v = json_object_get(j, key);

	(void)max;
	if (v == NULL)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > NUMBER_MAX)
		return bad(e, key, "is no number that can be");
	*n = json_integer_value(v);
	return 0;
}

/* Ids and keys. */
static int
get_name(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	int rc = get_text(j, key, max, text, e);

	if (rc == 0 && *text != NULL &&
	    (**text == '\0' || strspn(*text, "abcdefghijklmnopqrstuvwxyz0123456789-/.") != strlen(*text)))
		rc = bad(e, key, "is no id");
	return rc;
}

static int
get_commit(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	int rc = get_text(j, key, max, text, e);
	size_t n = rc < 0 || *text == NULL ? 40 : strlen(*text);

	if (rc == 0 && *text != NULL && ((n != 40 && n != 64) || strspn(*text, "0123456789abcdef") != n))
		rc = bad(e, key, "is no commit");
	return rc;
}

/* What git check-ref-format refuses, and what it lets pass that looks like an option. */
static int
get_branch(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	int rc = get_text(j, key, max, text, e);
	const char *s = *text;
	size_t n;

	if (rc < 0 || s == NULL)
		return rc;
	n = strlen(s);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || strchr("~^:?*[\\\177", s[i]) != NULL)
			return bad(e, key, "is no branch");
	if (n == 0 || strchr("-/.", s[0]) != NULL || strchr("/.", s[n - 1]) != NULL ||
	    strstr(s, "..") != NULL || strstr(s, "//") != NULL || strstr(s, "/.") != NULL ||
	    strstr(s, "@{") != NULL || strstr(s, ".lock") != NULL)
		return bad(e, key, "is no branch");
	return 0;
}

static int
get_ref(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	int rc = get_branch(j, key, max, text, e);

	if (rc == 0 && *text != NULL && strncmp(*text, "refs/orch/wip/", 14) != 0)
		rc = bad(e, key, "is no place for saved work");
	return rc;
}

static int
get_list(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	char **list = NULL;
	int rc = get_text(j, key, max, text, e);

	if (rc == 0 && *text != NULL) {
		rc = json_to_strv(*text, &list, e);
		if (rc < 0)
			rc = bad(e, key, "is no list of texts");
	}
	strv_free(list);
	return rc;
}

static int
get_json(const json_t *j, const char *key, size_t max, char **text, struct err *e)
{
	int rc = get_text(j, key, max, text, e);
	json_t *value = rc == 0 && *text != NULL ? json_parse(key, *text, strlen(*text), NULL) : NULL;

	if (rc == 0 && *text != NULL && !json_is_array(value))
		rc = bad(e, key, "is no list");
	json_decref(value);
	return rc;
}

static int
read_run(struct run **out, const json_t *j, struct err *e)
{
	const char *state = json_str(j, "state");
	struct run *r = run_new();
	int rc = 0, s = state == NULL ? -1 : run_state_parse(state);
	size_t n;

#define C(kind, name, max)                                                                                   \
	if (rc == 0)                                                                                         \
		rc = get_##kind(j, #name, max, &r->name, e);
	RUN_PORTABLE(C)
#undef C
	if (rc == 0 && (s < 0 || run_state_ended((enum run_state)s)))
		rc = bad(e, "state", "is none that a run can go on from");
	if (rc == 0 &&
	    (r->id == NULL || r->issue == NULL || taskid_level(r->id) != 0 ||
		strspn(r->issue, "0123456789") != strlen(r->issue) ||
		strncmp(r->id, r->issue, n = strlen(r->issue)) != 0 || (r->id[n] != '\0' && r->id[n] != '-')))
		rc = bad(e, "id", "is not that of an issue's run");
	if (rc == 0 && (r->title == NULL || r->body == NULL || r->base == NULL))
		rc = bad(e, "run", "is not whole");
	r->approve = r->approve != 0;
	r->state = s;
	if (rc < 0) {
		run_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

/* A task's id says where it belongs. */
static int
check_place(const struct run *r, struct task *t, struct err *e)
{
	const char *slash = t->id == NULL ? NULL : strrchr(t->id, '/');
	size_t n = t->id == NULL ? 0 : strcspn(t->id, "/");

	t->level = t->id == NULL ? -1 : taskid_level(t->id);
	if (t->level < 0 || strlen(r->id) != n || strncmp(t->id, r->id, n) != 0)
		return bad(e, "id", "is no task of its run");
	if (run_find_task(r, t->id) != NULL)
		return bad(e, "id", "is there twice");
	if ((t->level == 0) != (t->parent_id == NULL) || (t->level == 0) != (r->director == NULL))
		return bad(e, "parent_id", "does not fit the task");
	if (t->level > 0 && (strlen(t->parent_id) != (size_t)(slash - t->id) ||
				strncmp(t->parent_id, t->id, strlen(t->parent_id)) != 0))
		return bad(e, "parent_id", "does not fit the task");
	if (t->title == NULL || t->goal == NULL || (t->level > 0 && t->key == NULL))
		return bad(e, "task", "is not whole");
	return t->level == 2 && t->plan != NULL ? bad(e, "plan", "is a worker's") : 0;
}

static int
check_plan(const struct task *t, struct err *e)
{
	struct plan p = {0};
	int rc = t->plan == NULL ? 0
				 : plan_parse(&p, t->level == 0 ? PLAN_AREAS : PLAN_TASKS, t->plan,
				       strlen(t->plan), NULL, e);

	plan_clear(&p);
	return rc < 0 ? err_prefix(e, rc, "the saved state's plan") : 0;
}

/* An agent's session is in a folder that did not come along; what it cost did. */
static void
begin_anew(struct task *t)
{
	xreplace(&t->session, NULL);
	t->past_cost_uusd = t->cost_uusd;
	t->past_tokens_in = t->tokens_in;
	t->past_tokens_out = t->tokens_out;
}

static int
read_task(struct run *r, const json_t *j, struct err *e)
{
	const char *state = json_str(j, "state");
	struct task *t = task_new(), *o;
	int rc = 0, s = state == NULL ? -1 : task_state_parse(state);
	size_t count = 0;

	TAILQ_FOREACH (o, &r->tasks, entry)
		count++;
	if (count >= PORTABLE_TASKS_MAX)
		rc = bad(e, "task", "is one too many");
#define C(kind, name, max)                                                                                   \
	if (rc == 0)                                                                                         \
		rc = get_##kind(j, #name, max, &t->name, e);
	TASK_PORTABLE(C)
#undef C
	if (rc == 0 && s < 0)
		rc = bad(e, "state", "is no task's");
	if (rc == 0)
		rc = check_place(r, t, e);
	if (rc == 0 && t->level == 0 && task_state_ended((enum task_state)s))
		rc = bad(e, "state", "is none that a run can go on from");
	if (rc == 0)
		rc = check_plan(t, e);
	t->state = s < 0 ? 0 : s;
	begin_anew(t);
	if (rc == 0) {
		t->run_id = xstrdup(r->id);
		return run_add_task(r, t, e);
	}
	task_free(t);
	return rc;
}

int
portable_read(struct run **r, const char *line, struct err *e)
{
	json_t *j = json_parse("the saved state", line, strlen(line), e), *run, *task;
	int rc;

	if (j == NULL)
		return -EINVAL;
	run = json_object_get(j, "run");
	task = json_object_get(j, "task");
	if (json_is_object(run) && *r == NULL)
		rc = read_run(r, run, e);
	else if (json_is_object(task) && *r != NULL)
		rc = read_task(*r, task, e);
	else
		rc = err_set(e, -EINVAL, "the saved state has a line that belongs nowhere");
	json_decref(j);
	return rc;
}

int
portable_check(const struct run *r, struct err *e)
{
	return r == NULL || r->director == NULL
		   ? err_set(e, -EINVAL, "the saved state has no run, or a run without tasks")
		   : 0;
}

int
portable_check_branches(const struct run *r, const char *prefix, struct err *e)
{
	char *ours = xasprintf("%s%s-", prefix, r->issue);
	size_t n = strlen(ours);
	bool all = r->branch == NULL || strncmp(r->branch, ours, n) == 0;
	const struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		all = all && (t->branch == NULL || strncmp(t->branch, ours, n) == 0);
	free(ours);
	return all ? 0
		   : err_set(e, -EINVAL,
			 "the saved state has a branch that does not begin with %s and the issue's number",
			 prefix);
}
