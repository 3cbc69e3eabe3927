/* model: see model.h. */
#include "supervisor/model.h"

#include "common/agent.h"
#include "common/alloc.h"
#include "common/json.h"
#include "common/prices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
free_text(char **p)
{
	free(*p);
}

static void
free_num(int64_t *n)
{
	(void)n;
}

struct run *
run_new(void)
{
	struct run *r = xcalloc(1, sizeof(*r));

	conf_init(&r->conf);
	TAILQ_INIT(&r->tasks);
	return r;
}

void
task_free(struct task *t)
{
#define C(kind, name) free_##kind(&t->name);
	TASK_COLUMNS(C)
#undef C
	strv_free(t->need_keys);
	strv_free(t->after_keys);
	free(t->doing);
	free(t->held);
	configs_wipe_free(t->token);
	free(t);
}

void
run_free(struct run *r)
{
	struct task *t;

	if (r == NULL)
		return;
	while ((t = TAILQ_FIRST(&r->tasks)) != NULL) {
		TAILQ_REMOVE(&r->tasks, t, entry);
		task_free(t);
	}
#define C(kind, name) free_##kind(&r->name);
	RUN_COLUMNS(C)
#undef C
	conf_clear(&r->conf);
	configs_clear(&r->keys);
	configs_wipe_free(r->token);
	free(r);
}

int
run_thaw(struct run *r, struct err *e)
{
	return conf_thaw(&r->conf, r->options == NULL ? "{}" : r->options, e);
}

struct task *
task_new(void)
{
	struct task *t = xcalloc(1, sizeof(*t));

	unit_init(&t->unit);
	process_init(&t->process);
	t->attempt = 1;
	return t;
}

int
run_add_task(struct run *r, struct task *t, struct err *e)
{
	int rc = json_to_strv(t->needs, &t->need_keys, e);

	if (rc == 0)
		rc = json_to_strv(t->after, &t->after_keys, e);
	if (rc == 0 && t->parent_id != NULL) {
		t->parent = run_find_task(r, t->parent_id);
		if (t->parent == NULL)
			rc = err_set(e, -EINVAL, "%s: its parent %s does not exist", t->id, t->parent_id);
	}
	if (rc < 0) {
		task_free(t);
		return rc;
	}
	t->run = r;
	t->unit.grace_ms = (int64_t)r->conf.stop_grace_ms;
	t->unit.parked_retry_ms = (int64_t)r->conf.parked_retry_ms;
	t->unit.parked_give_up_ms = (int64_t)r->conf.parked_ms;
	TAILQ_INSERT_TAIL(&r->tasks, t, entry);
	if (t->parent == NULL)
		r->director = t;
	return 0;
}

bool
run_is_asking(const struct run *r)
{
	return r->asked_at != 0 && !r->cancelled;
}

bool
run_lacks_keys(const struct run *r)
{
	return r->keyed && r->keys.count == 0;
}

bool
task_wants_token(const struct task *t)
{
	return task_state(t) == TASK_RUNNING && (t->level == 2 || t->plan == NULL);
}

bool
task_needs_agent(const struct task *t)
{
	if (t->level == 2)
		return t->head == NULL && !(t->agent_done && task_state(t) == TASK_RUNNING);
	return t->level == 1 && t->plan == NULL;
}

struct task *
run_find_task(const struct run *r, const char *id)
{
	struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (strcmp(t->id, id) == 0)
			return t;
	return NULL;
}

struct task *
run_find_child(const struct run *r, const struct task *parent, const char *key)
{
	struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (t->parent == parent && t->key != NULL && strcmp(t->key, key) == 0)
			return t;
	return NULL;
}

struct run *
runs_find(const struct run_list *runs, const char *id)
{
	struct run *r;

	TAILQ_FOREACH (r, runs, entry)
		if (strcmp(r->id, id) == 0)
			return r;
	return NULL;
}

struct task *
runs_find_task(const struct run_list *runs, const char *id)
{
	size_t n = strcspn(id, "/");
	struct run *r;

	TAILQ_FOREACH (r, runs, entry)
		if (strlen(r->id) == n && strncmp(r->id, id, n) == 0)
			return run_find_task(r, id);
	return NULL;
}

const char *
task_role(const struct task *t)
{
	static const char *const roles[] = {"director", "em", "worker"};

	return roles[t->level];
}

enum task_state
task_state(const struct task *t)
{
	return (enum task_state)t->state;
}

enum run_state
run_state(const struct run *r)
{
	return (enum run_state)r->state;
}

static bool
is_below(const struct task *t, const struct task *top)
{
	for (; t != NULL; t = t->parent)
		if (t == top)
			return true;
	return false;
}

bool
task_alive(const struct task *top)
{
	struct task *t;

	TAILQ_FOREACH (t, &top->run->tasks, entry)
		if (is_below(t, top) && (unit_has_process(&t->unit) || t->unit.state == UNIT_DRAINING))
			return true;
	return false;
}

struct task_use
task_use(const struct task *t)
{
	if (t->gw_requests > 0)
		return (struct task_use){
		    (uint64_t)t->gw_cost_uusd, (uint64_t)t->gw_tokens_in, (uint64_t)t->gw_tokens_out};
	return (struct task_use){(uint64_t)t->cost_uusd, (uint64_t)t->tokens_in, (uint64_t)t->tokens_out};
}

const char *
run_prices_date(const struct run *r)
{
	const char *date = json_str(r->conf.prices, "date");

	return date == NULL ? PRICES_DATE : date;
}

uint64_t
task_max_uusd(const struct task *t)
{
	struct agent_options o;
	uint64_t all = t->run->conf.max_task_musd * 1000, one;

	conf_agent_options(&t->run->conf,
	    t->level == 0   ? CONF_DIRECTOR
	    : t->level == 1 ? CONF_EM
			    : CONF_WORKER,
	    &o);
	one = o.max_musd == 0 ? 0 : o.max_musd * 1000 + (uint64_t)t->began_uusd;
	if (all == 0 || one == 0)
		return all == 0 ? one : all;
	return one < all ? one : all;
}

char *
task_over_budget(const struct task *t)
{
	const struct conf *c = &t->run->conf;
	struct task_use use = task_use(t);
	uint64_t tokens = use.tokens_in + use.tokens_out;

	if (c->max_task_musd > 0 && use.cost_uusd >= c->max_task_musd * 1000)
		return xasprintf("its budget is used up: %.2f of %.2f USD (max_task_usd)",
		    (double)use.cost_uusd / 1e6, (double)c->max_task_musd / 1e3);
	if (c->max_task_tokens > 0 && tokens >= c->max_task_tokens)
		return xasprintf("its budget is used up: %llu of %llu tokens (max_task_tokens)",
		    (unsigned long long)tokens, (unsigned long long)c->max_task_tokens);
	return NULL;
}

void
run_count(const struct run *r, struct run_counts *c)
{
	struct task *t;

	memset(c, 0, sizeof(*c));
	TAILQ_FOREACH (t, &r->tasks, entry) {
		enum task_state s = task_state(t);

		struct task_use use = task_use(t);

		c->cost_uusd += use.cost_uusd;
		c->tokens_in += use.tokens_in;
		c->tokens_out += use.tokens_out;
		if (t->level == 0)
			continue;
		c->tasks++;
		c->integrated += s == TASK_INTEGRATED;
		c->failed += s == TASK_FAILED || s == TASK_CANCELLED;
		if (unit_holds_slot(&t->unit))
			*(t->level == 1 ? &c->ems : &c->workers) += 1;
		else if (!task_state_ended(s) && s != TASK_SUBMITTED)
			c->waiting++;
	}
}

void
run_clock_set_back(struct run *r, int64_t ms)
{
	struct task *t;

	TAILQ_FOREACH (t, &r->tasks, entry)
		if (task_state(t) == TASK_WAITING && t->wait_until > ms) {
			t->wait_until -= ms;
			t->dirty = t->changed = r->changed = true;
		}
}

enum run_state
run_verdict(const struct run *r, bool director_says_failed)
{
	struct run_counts c;

	run_count(r, &c);
	if (r->cancelled)
		return RUN_CANCELLED;
	if (director_says_failed || c.integrated == 0)
		return RUN_FAILED;
	return c.integrated == c.tasks ? RUN_COMPLETE : RUN_PARTIAL;
}
