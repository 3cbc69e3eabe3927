/* cmd_retry: orchctl retry: gives a failed task, and with it an ended run, a new start. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/request.h"
#include "supervisor/ctl/target.h"

#include <stdio.h>

int
cmd_retry(struct ctl *c)
{
	struct msg m = {.id = MSG_RETRY};
	struct target t;
	struct err e = {""};
	char what[160];
	int rc;

	if (keys_read(c, &e) < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.words[0]);
	if (rc == CTL_OK) {
		m.retry.target = t.id;
		m.retry.keyed = c->args.keys_file != NULL;
		snprintf(what, sizeof(what), "%s starts again; orchctl status --watch shows it", t.id);
		rc = keys_give(c, KEYS_FOR_NEXT, NULL, NULL, &e);
		rc = rc < 0 ? ctl_fail(rc, &e) : request_send(c, &m, what);
	}
	target_clear(&t);
	return rc;
}
