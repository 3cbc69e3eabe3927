/*
 * hold: keeps agents from being started while the machine, or what a run's options allow, has no room for
 * another (supervisor/admit), and ends the largest when all together take too much. Whoever is held says why
 * in status.
 */
#include "supervisor/daemon.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "supervisor/machine.h"

#include <stdlib.h>
#include <string.h>

#define FACTS_MS 200 /* so long what was read of the machine is good */
#define USE_MS 1000  /* how often all agents' memory is added up, where there is a ceiling for it */

/* Its process is, or would begin, an agent. */
static bool
is_agent(const struct task *t)
{
	return t->level == 0 ? t->plan == NULL && !t->run->cancelled && !t->run->epilogue
			     : task_needs_agent(t);
}

static struct admit_rules
rules_of(const struct run *r)
{
	return (struct admit_rules){.max_agents = r->conf.max_agents,
	    .min_free_memory_mb = r->conf.min_free_memory_mb,
	    .min_free_disk_mb = r->conf.min_free_disk_mb,
	    .total_memory_mb = r->conf.total_memory_mb,
	    .start_burst = r->conf.start_burst,
	    .start_interval_ms = (int64_t)r->conf.start_interval_ms};
}

static uint64_t
count_agents(const struct daemon *d, const struct task *but)
{
	const struct run *r;
	const struct task *t;
	uint64_t n = 0;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry)
			n += t != but && unit_has_process(&t->unit) && is_agent(t);
	return n;
}

static void
read_machine(struct daemon *d, int64_t now)
{
	const char *places[] = {d->repo.state, d->repo.worktrees};
	struct admit_facts *f = &d->facts;

	if (d->facts_at > 0 && now - d->facts_at < FACTS_MS)
		return;
	d->facts_at = now;
	f->free_memory_mb = machine_free_memory_mb();
	f->free_disk_mb = UINT64_MAX;
	f->disk_place = places[0];
	for (size_t i = 0; i < 2; i++) {
		uint64_t mb = machine_free_disk_mb(places[i]);

		if (mb < f->free_disk_mb) {
			f->free_disk_mb = mb;
			f->disk_place = places[i];
		}
	}
}

/* The words change with every number that is looked at; the history gets the first of a kind. */
static void
say_held(struct daemon *d, struct task *t, enum admit_why why, const char *text)
{
	if (t->held == NULL || t->held_why != (int)why) {
		log_info("%s is held: %s", t->id, text);
		if (why != ADMIT_RATE)
			store_add_event(d->store, t->run->id, t->id, "held", NULL, text);
	}
	if (t->held == NULL || strcmp(t->held, text) != 0) {
		xreplace(&t->held, text);
		t->changed = t->run->changed = true;
	}
	t->held_why = (int)why;
}

bool
hold_task(struct daemon *d, struct task *t)
{
	const struct admit_rules rules = rules_of(t->run);
	int64_t now = clock_now_ms(), again = -1;
	enum admit_why why = ADMIT_YES;
	char text[512];

	if (is_agent(t)) {
		read_machine(d, now);
		d->facts.agents = count_agents(d, t);
		d->facts.used_mb = d->used_at > 0 ? d->used_mb : UINT64_MAX;
		why = admit_ask(&d->admit, &rules, &d->facts, now, text, sizeof(text), &again);
	}
	if (why == ADMIT_YES) {
		if (t->held != NULL) {
			xreplace(&t->held, NULL);
			t->changed = t->run->changed = true;
		}
		return false;
	}
	say_held(d, t, why, text);
	if (d->held_until < 0 || again < d->held_until)
		d->held_until = again;
	return true;
}

void
hold_started(struct daemon *d, const struct task *t)
{
	const struct admit_rules rules = rules_of(t->run);

	if (is_agent(t))
		admit_started(&d->admit, &rules, clock_now_ms());
}

/* The smallest ceiling for all; 0: none. */
static uint64_t
total_ceiling_mb(const struct daemon *d)
{
	const struct run *r;
	uint64_t mb = 0;

	TAILQ_FOREACH (r, &d->runs, entry)
		if (r->conf.total_memory_mb > 0 && !run_state_ended(run_state(r)) &&
		    (mb == 0 || r->conf.total_memory_mb < mb))
			mb = r->conf.total_memory_mb;
	return mb;
}

static void
end_agent(struct daemon *d, struct task *t, uint64_t ceiling_mb, uint64_t use_mb)
{
	struct msg m = {.id = MSG_CEILING, .ceiling = {.ceiling_mb = ceiling_mb, .use_mb = use_mb}};
	char *text =
	    xasprintf("all agents take %llu MB of memory, %llu allowed (total_memory_mb): this one, which "
		      "takes the most, is ended",
		(unsigned long long)use_mb, (unsigned long long)ceiling_mb);

	log_warn("%s: %s", t->id, text);
	store_add_event(d->store, t->run->id, t->id, "ceiling", NULL, text);
	peer_send(t->peer, &m, NULL);
	free(text);
}

/* Adds up what all trees take, and ends the largest when that is too much. */
static void
add_up(struct daemon *d, uint64_t ceiling_mb)
{
	struct task *t, *largest = NULL;
	uint64_t total = 0, most = 0;
	struct run *r;

	TAILQ_FOREACH (r, &d->runs, entry)
		TAILQ_FOREACH (t, &r->tasks, entry) {
			struct ptree_use u;

			if (t->process.pid <= 0 || !unit_has_process(&t->unit))
				continue;
			/* A tree that alone is a quarter of the ceiling is worth being measured exactly. */
			ptree_use_below(t->process.pid, (ceiling_mb << 20) / 4, &u);
			total += u.memory;
			if (u.memory > most && t->peer != NULL) {
				most = u.memory;
				largest = t;
			}
		}
	d->used_mb = total >> 20;
	if (d->used_mb > ceiling_mb && largest != NULL)
		end_agent(d, largest, ceiling_mb, d->used_mb);
}

void
hold_tick(struct daemon *d, int64_t now)
{
	uint64_t ceiling_mb = total_ceiling_mb(d);

	if (d->held_until >= 0 && d->held_until <= now)
		d->held_until = -1;
	if (ceiling_mb == 0 || !spawn_any_process(d)) {
		d->used_at = 0;
		return;
	}
	if (d->used_at > 0 && now - d->used_at < USE_MS)
		return;
	d->used_at = now;
	add_up(d, ceiling_mb);
}

int64_t
hold_next(const struct daemon *d)
{
	int64_t look = d->used_at > 0 ? d->used_at + USE_MS : -1;

	return look < 0 || (d->held_until >= 0 && d->held_until < look) ? d->held_until : look;
}
