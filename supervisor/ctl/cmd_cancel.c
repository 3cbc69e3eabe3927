/* cmd_cancel: orchctl cancel: ends a run or a task for good. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/request.h"
#include "supervisor/ctl/target.h"

#include <stdio.h>

int
cmd_cancel(struct ctl *c)
{
	struct msg m = {.id = MSG_CANCEL};
	struct target t;
	char what[160];
	int rc;

	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.words[0]);
	if (rc == CTL_OK) {
		m.cancel.target = t.id;
		snprintf(what, sizeof(what), "cancelled %s", t.id);
		rc = request_send(c, &m, what);
	}
	target_clear(&t);
	return rc;
}
