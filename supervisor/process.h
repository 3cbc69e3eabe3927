/*
 * process: who a process of ours is: its pid, with the start time that tells it from a later one of that pid,
 * and the pidfd of one that an earlier orchd started. What it is for is its unit's affair.
 */
#ifndef ORCH_SUPERVISOR_PROCESS_H
#define ORCH_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event;
struct event_base;

struct process {
	pid_t pid;            /* 0: none */
	uint64_t start_ticks; /* with pid: who it is */
	int pidfd;            /* of an adopted one, which is no child of ours; -1 */
	struct event *pidfd_ev;
};

void process_init(struct process *p);
/* A child that was just started. */
void process_started(struct process *p, pid_t pid);
/*
 * The one that was written down, if it is still there. fn(arg) runs once it has ended; but one that is a
 * child of ours (this process was another orchd before) has no pidfd then and is for the loop to watch. 0 or
 * -ESRCH.
 */
int process_adopt(struct process *p, struct event_base *base, pid_t pid, uint64_t start_ticks,
    void (*fn)(int fd, short what, void *arg), void *arg);
/* Is pid this very process, alive? */
bool process_is(const struct process *p, pid_t pid);
/* SIGKILL goes to its whole group. */
void process_signal(const struct process *p, int sig);
void process_forget(struct process *p);

#endif
