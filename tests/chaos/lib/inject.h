/*
 * inject: faults that no signal makes, done to a running process from outside, so that no program of ours
 * holds a line for them: an exit with a status of our choice (by ptrace, between any two instructions), and
 * bytes on a descriptor of its own (by pidfd_getfd).
 */
#ifndef ORCH_TESTS_CHAOS_INJECT_H
#define ORCH_TESTS_CHAOS_INJECT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Makes pid call exit_group(code) at once, wherever it is. 0; -ESRCH when it has just ended; -ENOSYS on a
 * processor that this does not know; another -errno where tracing is forbidden.
 */
int inject_exit(pid_t pid, int code);

/*
 * Writes garbage, chosen by random, as if pid had: to one of its connected sockets or, when it has none, to
 * its standard output. 0; -ESRCH when there is nothing to write to, or it is full.
 */
int inject_garbage(pid_t pid, uint64_t random);

/* Random bytes, frames that claim too much, that are cut, or that no one may send. Returns how many. */
size_t inject_make_garbage(unsigned char *bytes, size_t max, uint64_t random);

#endif
