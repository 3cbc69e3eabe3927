/* info: fills the messages that tell clients about orchd, a run, a task, an event. Strings are borrowed from
 * the model. */
#ifndef ORCH_SUPERVISOR_INFO_H
#define ORCH_SUPERVISOR_INFO_H

#include "supervisor/daemon.h"

/*
 * Messages borrow from the model and from these buffers, so they are good until the next info_ call on the
 * same struct. One struct serves one walk over the model, which does not change meanwhile.
 */
struct info {
	char *path;
	char *reason;
	const struct task *group; /* the parent whose children were last looked at for a free slot ... */
	bool slot_free;           /* ... and whether there is one: the same for all that wait for it */
};

void info_clear(struct info *i); /* also before another walk */
void info_daemon(const struct daemon *d, struct msg *m);
void info_run(struct info *i, const struct daemon *d, const struct run *r, struct msg *m);
void info_task(struct info *i, const struct daemon *d, const struct task *t, struct msg *m);
/* A run, and with with_tasks its tasks, to whoever asked. */
void info_send_run(
    const struct daemon *d, struct peer *p, uint32_t request, const struct run *r, bool with_tasks);
void info_event(const struct store_event *ev, struct msg *m);

#endif
