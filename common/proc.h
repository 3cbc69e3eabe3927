/*
 * proc: what /proc says about processes, and the end of whole process trees.
 *
 * A pid alone is worthless as an identity; pid + start time is one. Processes
 * are never matched by name.
 */
#ifndef ORCH_COMMON_PROC_H
#define ORCH_COMMON_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Clock ticks since boot at which pid started (proc(5) stat field 22). 0 or -errno (-ESRCH when it is gone or
 * a zombie). */
int proc_start_time(pid_t pid, uint64_t *ticks);
/* Parent of pid, or -errno. */
pid_t proc_parent(pid_t pid);

/*
 * The direct children of pid, zombies included, in fresh memory (caller frees).
 * Returns how many, or -errno.
 */
int proc_children(pid_t pid, pid_t **pids);

/* True when the environment that pid was started with holds name=value. */
bool proc_has_env(pid_t pid, const char *name, const char *value);
/* Calls fn for every process we can see, until it returns false. */
void proc_each(bool (*fn)(void *arg, pid_t pid), void *arg);

/* From now on no other process of this user can read this one's memory, trace it or get a core of it. For who
 * holds secrets; a program that it starts is not concerned. */
void proc_hide_memory(void);

/* Makes this process the one that orphans below it fall back to. 0 or -errno. */
int proc_become_subreaper(void);

/*
 * SIGKILLs every descendant of this process but the subtrees whose root keep()
 * claims (keep may be NULL). Repeat while it returns > 0: that many were alive,
 * and what they forked in the meantime falls back to us. Zombies do not count;
 * reap with loop_reap().
 */
int proc_kill_descendants(bool (*keep)(void *arg, pid_t pid), void *arg);

#endif
