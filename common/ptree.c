/*
 * ptree: one program's processes from before its start until the last of them is gone (see ptree.h). The walk
 * of proc_kill_descendants comes last on every rung: a process may have left a cgroup that its user can write
 * to, but no process leaves its ancestors.
 */
#include "common/ptree.h"
#include "common/ptree_impl.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "common/sibling.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_MS 5000
#define LOOK_MS 250     /* how often use is looked at where the kernel does not hold the ceiling */
#define LOOK_NEAR_MS 50 /* from 60 % of the ceiling on */
#define LOOK_PIDS_MS 500
#define OOM_FIRST 300 /* added to our own oom_score_adj for programs: 30 % of memory, proc(5) */
#define OOM_MAX 1000

struct ptree {
	struct loop *loop;
	struct ptree_plan *plan; /* NULL: none */
	enum ptree_rung rung;
	pid_t pid;
	char dir[PTREE_PATH_MAX + 64]; /* its cgroup; "": none */
	int procs_fd;
	const char **argv; /* ours, with orch-init before the program's */
	struct event *look;
	bool *wake;
	struct ptree_over over;
};

void
ptree_plan_init(struct ptree_plan *p, const char *name, const struct ptree_limits *limits, char *why)
{
	char score[16];
	struct err e = {""};
	int own;

	memset(p, 0, sizeof(*p));
	ptree_machine_read(&p->machine, getenv(PTREE_MACHINE_ENV));
	p->rung = ptree_choose(&p->machine, name, why);
	p->limits = *limits;
	if (p->rung == PTREE_PIDNS && sibling_path("orch-init", &p->init, &e) < 0) {
		snprintf(why, PTREE_WHY_MAX, "%s", e.msg);
		p->rung = PTREE_WALK;
	}
	if (ptree_read("/proc/self", "oom_score_adj", score, sizeof(score))) {
		own = atoi(score) + OOM_FIRST;
		snprintf(p->oom_score, sizeof(p->oom_score), "%d", own < OOM_MAX ? own : OOM_MAX);
	}
}

void
ptree_plan_clear(struct ptree_plan *p)
{
	free(p->init);
	memset(p, 0, sizeof(*p));
}

const char *
ptree_over_text(const struct ptree_over *o, char *buf, size_t size)
{
	if (o->what == PTREE_OVER_MEMORY)
		snprintf(buf, size,
		    "its processes took %llu MB of memory, and the ceiling is %llu MB (agent_memory_mb)",
		    (unsigned long long)(o->use >> 20), (unsigned long long)(o->ceiling >> 20));
	else if (o->what == PTREE_OVER_TOTAL)
		snprintf(buf, size,
		    "all agents took %llu MB of memory, the ceiling is %llu MB (total_memory_mb), and this "
		    "one took "
		    "the most",
		    (unsigned long long)(o->use >> 20), (unsigned long long)(o->ceiling >> 20));
	else
		snprintf(buf, size, "it had %llu processes, and the ceiling is %llu (agent_max_processes)",
		    (unsigned long long)o->use, (unsigned long long)o->ceiling);
	return buf;
}

/* A cgroup of its own. Nothing is said when that fails: the machine may have changed since orchd looked. */
static bool
make_cgroup(struct ptree *t, struct ptree_plan *p)
{
	char number[32], path[PTREE_PATH_MAX + 128];

	mkdir(p->machine.base, 0755);
	snprintf(t->dir, sizeof(t->dir), "%s/%d-%u", p->machine.base, (int)getpid(), ++p->count);
	if (mkdir(t->dir, 0755) < 0 && errno != EEXIST) {
		t->dir[0] = '\0';
		return false;
	}
	if (p->machine.memory && p->limits.memory > 0) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)p->limits.memory);
		ptree_write(t->dir, "memory.max", number);
		ptree_write(t->dir, "memory.oom.group", "1");
	}
	if (p->machine.pids && p->limits.pids > 0) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)p->limits.pids);
		ptree_write(t->dir, "pids.max", number);
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", t->dir);
	t->procs_fd = open(path, O_WRONLY | O_CLOEXEC);
	return t->procs_fd >= 0;
}

static void
put_init_before(struct ptree *t, struct child_spec *spec)
{
	size_t n = 0, argc = 0;

	while (spec->argv[argc] != NULL)
		argc++;
	t->argv = xcalloc(argc + 3, sizeof(*t->argv));
	t->argv[n++] = t->plan->init;
	if (t->plan->machine.pidns == PTREE_PIDNS_USER)
		t->argv[n++] = "--user";
	memcpy(t->argv + n, spec->argv, argc * sizeof(*t->argv));
	spec->argv = t->argv;
}

struct ptree *
ptree_new(struct loop *l, struct ptree_plan *p, struct child_spec *spec)
{
	struct ptree *t = xcalloc(1, sizeof(*t));

	t->loop = l;
	t->plan = p;
	t->procs_fd = -1;
	t->pid = -1;
	if (p == NULL)
		return t;
	t->rung = p->rung;
	if (t->rung == PTREE_CGROUP && !make_cgroup(t, p))
		t->rung = PTREE_WALK;
	if (t->rung == PTREE_PIDNS)
		put_init_before(t, spec);
	spec->cgroup_fd = t->procs_fd;
	spec->oom_score = p->oom_score[0] != '\0' ? p->oom_score : NULL;
	return t;
}

/* Its number of a line "name number", 0 when it has none. */
static uint64_t
counter(const char *dir, const char *file, const char *name)
{
	char buf[1024], *save, *line;
	size_t n = strlen(name);

	ptree_read(dir, file, buf, sizeof(buf));
	for (line = strtok_r(buf, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, name, n) == 0 && line[n] == ' ')
			return strtoull(line + n, NULL, 10);
	return 0;
}

static bool
is_over(struct ptree *t, int what, uint64_t ceiling, uint64_t use)
{
	t->over.what = what;
	t->over.ceiling = ceiling;
	t->over.use = use;
	return true;
}

/* What the kernel did or refused, in a cgroup with controllers. */
static bool
kernel_says_over(struct ptree *t)
{
	const struct ptree_plan *p = t->plan;
	char peak[32];

	if (t->dir[0] == '\0')
		return false;
	if (p->limits.memory > 0 && p->machine.memory && counter(t->dir, "memory.events", "oom_kill") > 0) {
		if (!ptree_read(t->dir, "memory.peak", peak, sizeof(peak)))
			peak[0] = '\0'; /* Linux 5.19 has it */
		return is_over(t, PTREE_OVER_MEMORY, p->limits.memory,
		    peak[0] != '\0' ? strtoull(peak, NULL, 10) : p->limits.memory);
	}
	if (p->limits.pids > 0 && p->machine.pids && counter(t->dir, "pids.events", "max") > 0)
		return is_over(t, PTREE_OVER_PIDS, p->limits.pids, p->limits.pids);
	return false;
}

static bool
look(struct ptree *t, struct ptree_use *u)
{
	const struct ptree_limits *l = &t->plan->limits;

	if (kernel_says_over(t))
		return true;
	ptree_use_below(getpid(), l->memory, u);
	if (l->memory > 0 && u->memory > l->memory)
		return is_over(t, PTREE_OVER_MEMORY, l->memory, u->memory);
	if (l->pids > 0 && u->processes > l->pids)
		return is_over(t, PTREE_OVER_PIDS, l->pids, u->processes);
	return false;
}

static void
look_again_in(struct ptree *t, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(t->look, &tv);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct ptree *t = arg;
	const struct ptree_limits *l = &t->plan->limits;
	struct ptree_use u = {0};

	(void)fd;
	(void)what;
	if (look(t, &u)) {
		if (t->wake != NULL)
			*t->wake = true;
		return;
	}
	if (l->memory == 0)
		look_again_in(t, LOOK_PIDS_MS);
	else
		look_again_in(t, u.memory > l->memory / 5 * 3 ? LOOK_NEAR_MS : LOOK_MS);
}

void
ptree_started(struct ptree *t, pid_t pid, bool *wake)
{
	t->pid = pid;
	t->wake = wake;
	if (t->plan != NULL)
		t->plan->running = t;
	fd_close(&t->procs_fd);
	if (t->plan == NULL || (t->plan->limits.memory == 0 && t->plan->limits.pids == 0) || !t->loop->reaper)
		return;
	t->look = evtimer_new(t->loop->base, on_look, t);
	look_again_in(t, t->plan->limits.memory > 0 ? LOOK_MS : LOOK_PIDS_MS);
}

const struct ptree_over *
ptree_is_over(const struct ptree *t)
{
	return t->over.what == PTREE_WITHIN ? NULL : &t->over;
}

void
ptree_put_over(struct ptree_plan *p, const struct ptree_over *o)
{
	if (p->running == NULL || p->running->over.what != PTREE_WITHIN)
		return;
	p->running->over = *o;
	if (p->running->wake != NULL)
		*p->running->wake = true;
}

enum ptree_rung
ptree_rung_of(const struct ptree *t)
{
	return t->rung;
}

static bool
is_populated(const char *dir)
{
	return counter(dir, "cgroup.events", "populated") > 0;
}

/* One round; true when something may still be alive. */
static bool
kill_all(struct ptree *t)
{
	bool alive = false;

	if (t->dir[0] != '\0' && is_populated(t->dir)) {
		ptree_write(t->dir, "cgroup.kill", "1");
		alive = true;
	}
	if (t->loop->reaper && proc_kill_descendants(NULL, NULL) > 0)
		alive = true;
	return alive;
}

int
ptree_end(struct ptree *t)
{
	int64_t deadline = clock_now_ms() + END_MS, pause = 1;
	const bool never = false;
	int rc = 0;

	if (t->look != NULL)
		evtimer_del(t->look);
	if (t->plan != NULL && t->plan->running == t)
		t->plan->running = NULL;
	if (t->over.what == PTREE_WITHIN && t->plan != NULL)
		kernel_says_over(t);
	while (rc == 0 && kill_all(t)) {
		loop_reap(t->loop);
		if (clock_now_ms() > deadline)
			return -ETIMEDOUT;
		t->loop->stop_masked++;
		rc = loop_wait(t->loop, &never, clock_now_ms() + pause);
		t->loop->stop_masked--;
		rc = rc == -ETIMEDOUT ? 0 : rc;
		pause = pause < 8 ? pause * 2 : pause;
	}
	loop_reap(t->loop);
	return rc;
}

void
ptree_free(struct ptree *t)
{
	if (t == NULL)
		return;
	if (t->plan != NULL && t->plan->running == t)
		t->plan->running = NULL;
	if (t->look != NULL)
		event_free(t->look);
	fd_close(&t->procs_fd);
	if (t->dir[0] != '\0')
		rmdir(t->dir);
	free(t->argv);
	free(t);
}

unsigned
ptree_kill_leftovers(const struct ptree_machine *m, bool (*keep)(void *arg, pid_t owner), void *arg)
{
	DIR *d = m->base[0] != '\0' ? opendir(m->base) : NULL;
	char dir[PTREE_PATH_MAX + 300];
	struct dirent *entry;
	unsigned alive = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		int owner = atoi(entry->d_name);

		if (entry->d_type != DT_DIR || owner <= 0 || keep(arg, (pid_t)owner))
			continue;
		snprintf(dir, sizeof(dir), "%s/%s", m->base, entry->d_name);
		if (is_populated(dir)) {
			ptree_write(dir, "cgroup.kill", "1");
			alive++;
		} else {
			rmdir(dir);
		}
	}
	if (d != NULL)
		closedir(d);
	return alive;
}
