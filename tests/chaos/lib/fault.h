/*
 * fault: what the chaos driver does to a run, and to whom. A row per fault; a fault is aimed at the task that
 * an event told of, and hits the process that serves it, serves its parent, or works below it.
 */
#ifndef ORCH_TESTS_CHAOS_FAULT_H
#define ORCH_TESTS_CHAOS_FAULT_H

#include "tests/helper/lib/e2e.h"

#include <stdbool.h>
#include <stdint.h>

enum fault_target { AT_ORCHD, AT_DIRECTOR, AT_EM, AT_WORKER, AT_AGENT, AT_TOOL, AT_SOCKET, AT_ALL, AT_DISK };

/*
 * F(NAME, name, target, how, weight, costs an attempt). How: KILL; CRASH dumps core, if it were allowed; HANG
 * stops it for good, and orchd for a while; TERM; EXIT0 too early, EXIT1; GARBAGE is what it says to its
 * other side: orchd to a role or a client, a role to orchd, an agent and its tool on their output. LIE and
 * MUTE come by the control socket. An agent that ends or hangs ends its attempt, what it says may be the end
 * of it, and a tool that hangs uses up its agent's time; nothing else may cost one.
 */
#define FAULTS(F)                                                                                            \
	F(ORCHD_KILL, "orchd killed", AT_ORCHD, KILL, 4, false)                                              \
	F(ORCHD_CRASH, "orchd crashed", AT_ORCHD, CRASH, 2, false)                                           \
	F(ORCHD_HANG, "orchd hung for a while", AT_ORCHD, HANG, 2, false)                                    \
	F(ORCHD_TERM, "orchd terminated", AT_ORCHD, TERM, 2, false)                                          \
	F(ORCHD_EXIT0, "orchd exited with 0", AT_ORCHD, EXIT0, 1, false)                                     \
	F(ORCHD_EXIT1, "orchd exited with 1", AT_ORCHD, EXIT1, 1, false)                                     \
	F(ORCHD_GARBAGE, "orchd sent garbage", AT_ORCHD, GARBAGE, 1, false)                                  \
	F(DIRECTOR_KILL, "director killed", AT_DIRECTOR, KILL, 3, false)                                     \
	F(DIRECTOR_CRASH, "director crashed", AT_DIRECTOR, CRASH, 1, false)                                  \
	F(DIRECTOR_HANG, "director hung", AT_DIRECTOR, HANG, 2, false)                                       \
	F(DIRECTOR_EXIT0, "director exited with 0", AT_DIRECTOR, EXIT0, 1, false)                            \
	F(DIRECTOR_EXIT1, "director exited with 1", AT_DIRECTOR, EXIT1, 1, false)                            \
	F(DIRECTOR_GARBAGE, "director sent garbage", AT_DIRECTOR, GARBAGE, 1, false)                         \
	F(EM_KILL, "EM killed", AT_EM, KILL, 4, false)                                                       \
	F(EM_CRASH, "EM crashed", AT_EM, CRASH, 1, false)                                                    \
	F(EM_HANG, "EM hung", AT_EM, HANG, 2, false)                                                         \
	F(EM_EXIT0, "EM exited with 0", AT_EM, EXIT0, 1, false)                                              \
	F(EM_EXIT1, "EM exited with 1", AT_EM, EXIT1, 1, false)                                              \
	F(EM_GARBAGE, "EM sent garbage", AT_EM, GARBAGE, 1, false)                                           \
	F(WORKER_KILL, "worker killed", AT_WORKER, KILL, 4, false)                                           \
	F(WORKER_CRASH, "worker crashed", AT_WORKER, CRASH, 1, false)                                        \
	F(WORKER_HANG, "worker hung", AT_WORKER, HANG, 2, false)                                             \
	F(WORKER_EXIT0, "worker exited with 0", AT_WORKER, EXIT0, 1, false)                                  \
	F(WORKER_EXIT1, "worker exited with 1", AT_WORKER, EXIT1, 1, false)                                  \
	F(WORKER_GARBAGE, "worker sent garbage", AT_WORKER, GARBAGE, 1, false)                               \
	F(AGENT_KILL, "agent killed", AT_AGENT, KILL, 3, true)                                               \
	F(AGENT_CRASH, "agent crashed", AT_AGENT, CRASH, 1, true)                                            \
	F(AGENT_HANG, "agent hung", AT_AGENT, HANG, 1, true)                                                 \
	F(AGENT_EXIT0, "agent exited with 0", AT_AGENT, EXIT0, 1, true)                                      \
	F(AGENT_EXIT1, "agent exited with 1", AT_AGENT, EXIT1, 1, true)                                      \
	F(AGENT_GARBAGE, "agent sent garbage", AT_AGENT, GARBAGE, 1, true)                                   \
	F(TOOL_KILL, "tool killed", AT_TOOL, KILL, 3, false)                                                 \
	F(TOOL_CRASH, "tool crashed", AT_TOOL, CRASH, 1, false)                                              \
	F(TOOL_HANG, "tool hung", AT_TOOL, HANG, 1, true)                                                    \
	F(TOOL_EXIT0, "tool exited with 0", AT_TOOL, EXIT0, 1, false)                                        \
	F(TOOL_EXIT1, "tool exited with 1", AT_TOOL, EXIT1, 1, false)                                        \
	F(TOOL_GARBAGE, "tool sent garbage", AT_TOOL, GARBAGE, 1, false)                                     \
	F(LIE, "garbage on the socket", AT_SOCKET, LIE, 3, false)                                            \
	F(MUTE, "client that never reads", AT_SOCKET, MUTE, 2, false)                                        \
	F(POWER, "power cut", AT_ALL, POWER, 2, false)                                                       \
	F(DISK, "disk full for a while", AT_DISK, FILL, 2, true)

enum fault {
#define F(NAME, name, target, how, weight, costs) FAULT_##NAME,
	FAULTS(F)
#undef F
	    FAULT_COUNT
};

const char *fault_name(enum fault f);
enum fault_target fault_target(enum fault f);
bool fault_costs_attempt(enum fault f);
/* One of them, by its weight. only: one whose name begins so; NULL: any. FAULT_COUNT: no name does. */
enum fault fault_pick(uint64_t random, const char *only);

/* What has been done and must be undone before the run's end is looked at. */
struct fault_debts {
	int sockets[32];
	unsigned socket_count;
	pid_t stopped; /* orchd; 0 */
	int64_t continue_at_ms;
	const char *disk; /* a tinydisk; NULL: there is none */
	bool filled;
	int64_t empty_at_ms;
};

/*
 * Does it, aimed at task. 0: done; *hit (taskid.h's TASKID_MAX) names the task whose process was hit, "" for
 * none. -ESRCH: there is no such process just now. random: any bits, for what is chosen.
 */
int fault_do(
    struct e2e *e, enum fault f, const char *task, uint64_t random, struct fault_debts *debts, char *hit);
/* Lets a stopped orchd go on and empties the disk when their time has come, or with now at once. */
void fault_pay(struct fault_debts *debts, int64_t now_ms, bool now);
void fault_close_sockets(struct fault_debts *debts);

#endif
