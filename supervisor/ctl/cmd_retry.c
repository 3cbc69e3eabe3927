/* cmd_retry: orchctl retry: gives a failed task, and with it an ended run, a new start. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/request.h"
#include "supervisor/ctl/target.h"

#include <stdio.h>

int
cmd_retry(struct ctl *c)
{
	struct msg m = {.id = MSG_RETRY};
	struct target t;
	char what[160];
	int rc;

	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.words[0]);
	if (rc == CTL_OK) {
		m.retry.target = t.id;
		snprintf(what, sizeof(what), "%s starts again; orchctl status --watch shows it", t.id);
		rc = request_send(c, &m, what);
	}
	target_clear(&t);
	return rc;
}
