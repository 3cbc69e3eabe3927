/*
 * handover: orchd replaces itself by the program that is installed now, in the same process, while roles and
 * agents work on. The lock and the listening socket stay open across exec, so nobody else gets in between and
 * no connection is refused; the keys cross it in memory; roles and clients connect again. Whatever is not
 * committed is lost, as in a crash: callers commit first.
 */
#ifndef ORCH_SUPERVISOR_HANDOVER_H
#define ORCH_SUPERVISOR_HANDOVER_H

#include "supervisor/daemon.h"

/* What the predecessor left open, from the argument of --takeover. */
struct handover {
	int lock, listen, keys;
	pid_t front;
};

/* text as handover_exec() wrote it. -EINVAL when it is not, or names fds that are not open. */
int handover_parse(struct handover *h, const char *text);
/* Reads the keys and gives them back to the runs. */
void handover_take_keys(struct daemon *d, int fd);
/*
 * After daemon_run(): clears d and becomes the new program, which is called with the same --daemon and
 * --repo. Returns only when it cannot, and says so in the log; lock is closed then.
 */
void handover_exec(struct daemon *d, int lock, bool background, const char *dir);

#endif
