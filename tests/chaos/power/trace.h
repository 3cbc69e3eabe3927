/*
 * trace: writes down what a process and all that it starts do to a folder (see ops.h). It is their ptracer,
 * told by a seccomp filter of the calls that matter; one such call is under way at a time, so that their
 * order is what happened. Data is read back from the files. Needs root or a user namespace: orchd's memory
 * and descriptors are closed to all others.
 */
#ifndef ORCH_TESTS_POWER_TRACE_H
#define ORCH_TESTS_POWER_TRACE_H

#include "tests/chaos/power/ops.h"

#include <stdbool.h>

struct trace;

/* Can processes be traced here? Becomes root of a user namespace where that is needed. */
bool trace_possible(void);
/* Begins with the content of the folder root as it is, which gets a trailing OP_SYNC. o is filled as time
 * goes on. */
struct trace *trace_new(struct ops *o, const char *root);
void trace_free(struct trace *t);
/* Starts a program in dir; its output goes to the file out, which may be in root. */
pid_t trace_start(struct trace *t, const char *dir, const char *out, const char *const *argv);
/* Goes on until pid, one that was started, has ended (its exit status; -1: it was killed) or until, which may
 * be NULL, says that it is enough (0). pid 0: until there is nobody left. */
int trace_pump(struct trace *t, pid_t pid, bool (*until)(void *arg), void *arg);
/* Operations that it could not write down, as a sentence; NULL: none. */
const char *trace_fault(const struct trace *t);

#endif
