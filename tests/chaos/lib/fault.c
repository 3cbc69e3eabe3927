/* fault: see fault.h. Processes are found by the mark in their environment and by their executable, never by
 * asking orchd, which may just be dead. */
#include "tests/chaos/lib/fault.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/proc.h"
#include "common/taskid.h"
#include "proto/msg.h"
#include "proto/peer.h"
#include "tests/chaos/lib/inject.h"
#include "tests/helper/lib/limits.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tinydisk.h"

#include <errno.h>
#include <event2/buffer.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANG_MS 2500 /* of orchd, at most: longer than three heartbeats */
#define AGENT "orch-test-agent"

enum fault_how { KILL, CRASH, HANG, TERM, EXIT0, EXIT1, GARBAGE, LIE, MUTE, POWER, FILL };

static const struct {
	const char *name;
	enum fault_target target;
	enum fault_how how;
	unsigned weight;
	bool costs;
} rows[] = {
#define F(NAME, name, target, how, weight, costs) {name, target, how, weight, costs},
    FAULTS(F)
#undef F
};

const char *
fault_name(enum fault f)
{
	return rows[f].name;
}

enum fault_target
fault_target(enum fault f)
{
	return rows[f].target;
}

bool
fault_costs_attempt(enum fault f)
{
	return rows[f].costs;
}

static unsigned
weight_of(unsigned i, const char *only)
{
	return only == NULL || strncmp(rows[i].name, only, strlen(only)) == 0 ? rows[i].weight : 0;
}

enum fault
fault_pick(uint64_t random, const char *only)
{
	unsigned sum = 0, at, i = 0;

	for (unsigned k = 0; k < FAULT_COUNT; k++)
		sum += weight_of(k, only);
	if (sum == 0)
		return FAULT_COUNT;
	for (at = (unsigned)(random % sum); at >= weight_of(i, only); i++)
		at -= weight_of(i, only);
	return (enum fault)i;
}

/* Whom. */

static const char *const programs[] = {"orch-director", "orch-em", "orch-worker"};

struct search {
	const char *instance, *task;
	enum fault_target target;
	pid_t found;
};

/* A tool is what an agent started, not the agent's own fork on its way to become one. */
static bool
is_wanted(const struct search *s, pid_t pid)
{
	pid_t parent = proc_parent(pid);
	const char *program;

	if (s->target == AT_TOOL)
		return !limits_is_program(pid, AGENT) && limits_is_program(parent, AGENT);
	program = s->target == AT_AGENT ? AGENT : programs[taskid_level(s->task)];
	return limits_is_program(pid, program) && !limits_is_program(parent, program);
}

static bool
look_at(void *arg, pid_t pid)
{
	struct search *s = arg;
	uint64_t ticks;

	if (!proc_has_env(pid, "ORCH_INSTANCE", s->instance) || !proc_has_env(pid, "ORCH_TASK", s->task) ||
	    !is_wanted(s, pid) || proc_start_time(pid, &ticks) < 0)
		return true;
	s->found = pid;
	return false;
}

/* The task of the wanted level that is nearest to the one told of: itself, one above, or the first below. */
static void
aim(enum fault_target target, const char *task, char *hit)
{
	int level = target == AT_DIRECTOR ? 0 : target == AT_EM ? 1 : target == AT_WORKER ? 2 : -1;
	char *slash;

	snprintf(hit, TASKID_MAX, "%s", task);
	while (level >= 0 && taskid_level(hit) > level && (slash = strrchr(hit, '/')) != NULL)
		*slash = '\0';
	while (level >= 0 && taskid_level(hit) < level)
		strcat(hit, taskid_level(hit) == 0 ? "/em1" : "/w1");
}

static pid_t
find_process(struct e2e *e, enum fault_target target, const char *task, char *hit)
{
	struct search s = {.instance = e->where.instance, .task = hit, .target = target};
	uint64_t ticks;

	if (target == AT_ORCHD) {
		pid_t pid = e2e_pid(e, NULL);

		hit[0] = '\0';
		return pid > 1 && proc_start_time(pid, &ticks) == 0 && limits_is_program(pid, "orchd") ? pid
												       : 0;
	}
	aim(target, task, hit);
	proc_each(look_at, &s);
	return s.found;
}

/* What. */

static void
keep_socket(struct fault_debts *d, int fd)
{
	if (d->socket_count < sizeof(d->sockets) / sizeof(d->sockets[0]))
		d->sockets[d->socket_count++] = fd;
	else
		fd_close(&fd);
}

static void
add(struct evbuffer *out, const struct msg *m)
{
	struct err e = {""};

	if (msg_encode(m, out, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Asks for everything there is and ever will be. */
static void
write_mute(struct evbuffer *out)
{
	struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};
	struct msg status = {.id = MSG_STATUS, .request = 1, .status = {.all = true}};
	struct msg events = {.id = MSG_EVENTS, .request = 1000, .events = {.follow = true}};

	add(out, &hello);
	for (; status.request < 200; status.request++)
		add(out, &status);
	status.status = (struct msg_status){.watch = true};
	add(out, &status);
	add(out, &events);
}

/* At once, or after a greeting. */
static void
write_garbage(struct evbuffer *out, uint64_t random)
{
	struct msg hello = {.id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "orchctl"}};
	unsigned char bytes[2048];

	if (random % 2 == 0)
		add(out, &hello);
	evbuffer_add(out, bytes, inject_make_garbage(bytes, sizeof(bytes), random / 2));
}

static int
visit(struct e2e *e, enum fault_how how, uint64_t random, struct fault_debts *debts)
{
	int fd = peer_connect(e->where.socket, NULL);
	struct evbuffer *out;

	if (fd < 0)
		return -ESRCH;
	out = evbuffer_new();
	if (how == MUTE)
		write_mute(out);
	else
		write_garbage(out, random);
	evbuffer_write(out, fd);
	evbuffer_free(out);
	if (how == MUTE || random % 4 == 1)
		keep_socket(debts, fd);
	else
		fd_close(&fd);
	return 0;
}

static int
signal_of(enum fault_target target, enum fault_how how)
{
	switch (how) {
	case KILL:
		return SIGKILL;
	case CRASH: /* an agent's words are quoted in logs, where a sanitizer's must not be found */
		return target == AT_AGENT || target == AT_TOOL ? SIGABRT : SIGSEGV;
	case HANG:
		return SIGSTOP;
	case TERM:
		return SIGTERM;
	case EXIT0:
	case EXIT1:
	case GARBAGE:
	case LIE:
	case MUTE:
	case POWER:
	case FILL:
		break;
	}
	return 0;
}

static int
hit_process(pid_t pid, enum fault_target target, enum fault_how how, uint64_t random)
{
	switch (how) {
	case EXIT0:
		return inject_exit(pid, 0);
	case EXIT1:
		return inject_exit(pid, 1);
	case GARBAGE:
		return inject_garbage(pid, random);
	case KILL:
	case CRASH:
	case HANG:
	case TERM:
	case LIE:
	case MUTE:
	case POWER:
	case FILL:
		break;
	}
	return kill(pid, signal_of(target, how)) < 0 ? -errno : 0;
}

struct cut {
	const char *instance;
	pid_t orchd;
	int sig;
	unsigned count;
};

static bool
cut_one(void *arg, pid_t pid)
{
	struct cut *c = arg;

	if (pid == c->orchd || proc_has_env(pid, "ORCH_INSTANCE", c->instance))
		c->count += kill(pid, c->sig) == 0;
	return true;
}

/* First they are all held, so that none of them sees another one die. */
static int
cut_power(struct e2e *e)
{
	struct cut c = {.instance = e->where.instance, .orchd = e2e_pid(e, NULL), .sig = SIGSTOP};

	if (!limits_is_program(c.orchd, "orchd"))
		return -ESRCH;
	proc_each(cut_one, &c);
	c.sig = SIGKILL;
	do {
		c.count = 0;
		proc_each(cut_one, &c);
	} while (c.count > 0 && !e2e_is_gone(c.orchd));
	return 0;
}

static int
fill_disk(uint64_t random, struct fault_debts *debts)
{
	if (debts->disk == NULL || debts->filled)
		return -ESRCH;
	tinydisk_fill(debts->disk);
	debts->filled = true;
	debts->empty_at_ms = clock_now_ms() + (int64_t)(random % HANG_MS);
	return 0;
}

int
fault_do(struct e2e *e, enum fault f, const char *task, uint64_t random, struct fault_debts *debts, char *hit)
{
	enum fault_target target = rows[f].target;
	enum fault_how how = rows[f].how;
	pid_t pid;

	hit[0] = '\0';
	if (target == AT_SOCKET)
		return visit(e, how, random, debts);
	if (target == AT_ALL)
		return cut_power(e);
	if (target == AT_DISK)
		return fill_disk(random, debts);
	pid = find_process(e, target, task, hit);
	if (pid <= 1 || (target == AT_ORCHD && debts->stopped != 0) ||
	    hit_process(pid, target, how, random) < 0)
		return -ESRCH;
	if (target == AT_ORCHD && how == HANG) {
		debts->stopped = pid;
		debts->continue_at_ms = clock_now_ms() + (int64_t)(random % HANG_MS);
	}
	return 0;
}

void
fault_pay(struct fault_debts *d, int64_t now_ms, bool now)
{
	if (d->filled && (now || now_ms >= d->empty_at_ms)) {
		tinydisk_empty(d->disk);
		d->filled = false;
	}
	if (d->stopped == 0 || (!now && now_ms < d->continue_at_ms))
		return;
	kill(d->stopped, SIGCONT);
	d->stopped = 0;
}

void
fault_close_sockets(struct fault_debts *d)
{
	while (d->socket_count > 0)
		fd_close(&d->sockets[--d->socket_count]);
}
