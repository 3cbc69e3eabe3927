/*
 * ptree: the processes of one program that we run for somebody (an agent, a gate) kept together: counted,
 * held below a ceiling of memory and processes, and ended to the last one, also those that left the program's
 * session or lost their parents.
 *
 * A ladder of means, by what the machine has: a cgroup v2 of its own (one write kills all, and no fork is
 * faster), a PID namespace (the kernel kills all when its first process ends), and, always and everywhere,
 * the walk of /proc by a subreaper, which a program that forks faster than we walk could outrun.
 */
#ifndef ORCH_COMMON_PTREE_H
#define ORCH_COMMON_PTREE_H

#include "common/child.h"
#include "common/err.h"
#include "common/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PTREE_PATH_MAX 1024
#define PTREE_WHY_MAX 200

/* R(NAME, name, words), the safest last. */
#define PTREE_RUNGS(R)                                                                                       \
	R(WALK, "walk", "subreaper and a walk of /proc (best effort)")                                       \
	R(PIDNS, "pidns", "PID namespace")                                                                   \
	R(CGROUP, "cgroup", "cgroup v2")

enum ptree_rung {
#define R(NAME, name, words) PTREE_##NAME,
	PTREE_RUNGS(R)
#undef R
	    PTREE_RUNG_COUNT
};

enum ptree_pidns {
	PTREE_PIDNS_NONE,
	PTREE_PIDNS_USER,  /* with a user namespace around it: setuid programs (sudo) do not work in it */
	PTREE_PIDNS_PLAIN, /* root may make it alone */
};

/* What this machine offers to this user. */
struct ptree_machine {
	bool cgroup;       /* cgroup v2 with cgroup.kill, in a place that is ours to divide */
	bool memory, pids; /* there, with these controllers for each tree */
	enum ptree_pidns pidns;
	char base[PTREE_PATH_MAX]; /* folder of our cgroups; "": none */
	int held;                  /* orchd's hold on it for as long as it lives; <= 0: none */
	char cgroup_why[PTREE_WHY_MAX], pidns_why[PTREE_WHY_MAX]; /* why not, in words; "" */
};

/*
 * Looks, by trying. keep: orchd's own look at its start: it makes the folder of cgroups named after instance
 * and keeps it, moves itself out of the way where controllers need that, and removes what orchds
 * of this user that are dead left empty; without it nothing is changed. Blocks for some ms.
 */
void ptree_probe(struct ptree_machine *m, const char *instance, bool keep);
/* Removes the folder that ptree_probe kept, when it is empty. */
void ptree_probe_end(const struct ptree_machine *m);

/* As one line for an environment variable, and back. A line that cannot be read gives a machine with nothing.
 */
#define PTREE_MACHINE_ENV "ORCH_TREES"
void ptree_machine_write(const struct ptree_machine *m, char *buf, size_t size);
void ptree_machine_read(struct ptree_machine *m, const char *line);

/* "auto", "cgroup", "pidns" or "walk". */
bool ptree_name_valid(const char *name);
const char *ptree_rung_name(enum ptree_rung r);
const char *ptree_rung_words(enum ptree_rung r);
/*
 * Which rung to stand on. auto: the highest that changes nothing for the program: a PID namespace only where
 * it needs no user namespace. A rung asked for by name that is not there gives the next lower one, and why in
 * words (*why, PTREE_WHY_MAX; "" otherwise). Pure.
 */
enum ptree_rung ptree_choose(const struct ptree_machine *m, const char *name, char *why);

struct ptree_limits {
	uint64_t memory; /* bytes; 0: no ceiling */
	uint64_t pids;   /* processes and, where a cgroup counts, threads; 0: no ceiling */
};

/* How a process keeps the trees of the programs that it runs; loop->trees. */
struct ptree_plan {
	enum ptree_rung rung;
	struct ptree_machine machine;
	struct ptree_limits limits;
	char *init; /* orch-init; NULL unless the rung is PTREE_PIDNS */
	unsigned count;
	struct ptree *running; /* the program's that runs now; NULL: none */
	char oom_score[16];    /* for the programs: they go before us when memory is short */
};

/* The plan of a role, from its environment and the options. why as in ptree_choose. */
void ptree_plan_init(struct ptree_plan *p, const char *name, const struct ptree_limits *limits, char *why);
void ptree_plan_clear(struct ptree_plan *p);

/* What a tree did that was more than it may. */
struct ptree_over {
	enum { PTREE_WITHIN, PTREE_OVER_MEMORY, PTREE_OVER_PIDS, PTREE_OVER_TOTAL } what;
	uint64_t ceiling, use; /* bytes or processes */
};
/* "its processes took 2100 MB of memory, more than the ceiling of 2000 MB (agent_memory_mb)". Returns buf. */
const char *ptree_over_text(const struct ptree_over *o, char *buf, size_t size);

struct ptree;

/*
 * A tree for one program, before it is started: prepares spec (its argv may be replaced by one that lives as
 * long as the tree). p NULL: no plan, which is the walk without limits. Never fails: what cannot be had is
 * done one rung lower.
 */
struct ptree *ptree_new(struct loop *l, struct ptree_plan *p, struct child_spec *spec);
/* The program runs. From now on *wake is set when it is over a ceiling (ptree_is_over). wake may be NULL. */
void ptree_started(struct ptree *t, pid_t pid, bool *wake);
const struct ptree_over *ptree_is_over(const struct ptree *t);
/* Somebody else has found that the program which runs now is to be ended for this. Nothing where none runs.
 */
void ptree_put_over(struct ptree_plan *p, const struct ptree_over *o);
enum ptree_rung ptree_rung_of(const struct ptree *t);

/*
 * Ends what is left, pumping the loop until nothing is: 0, -ETIMEDOUT after 5 s (stuck in the kernel). Only
 * the tree's own group where this process has other children (no loop->reaper).
 */
int ptree_end(struct ptree *t);
void ptree_free(struct ptree *t);

/*
 * Kills what is in the cgroups of processes that are dead: keep says of the pid that made one whether it
 * lives. Returns in how many something is still alive: repeat.
 */
unsigned ptree_kill_leftovers(const struct ptree_machine *m, bool (*keep)(void *arg, pid_t owner), void *arg);

/* What a tree uses now. Also by orchd, of its roles' trees. */
struct ptree_use {
	uint64_t memory; /* bytes, PSS where it matters, else RSS: never less than the truth */
	uint64_t processes;
};
/* Of all descendants of pid, it itself not counted. precise_above: bytes of RSS from which PSS is worth its
 * price. */
void ptree_use_below(pid_t pid, uint64_t precise_above, struct ptree_use *u);

#endif
