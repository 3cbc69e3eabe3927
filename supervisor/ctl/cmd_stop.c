/* cmd_stop: orchctl stop: saves and ends all work of this repository, and orchd. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/request.h"

#include <errno.h>
#include <stdio.h>

int
cmd_stop(struct ctl *c)
{
	struct err e = {""};
	int rc = client_open(&c->client, &c->loop, &c->repo, false, &e);

	if (rc == -ECONNREFUSED) {
		puts("orchd is not running");
		return CTL_OK;
	}
	if (rc < 0) {
		ctl_say("%s", e.msg);
		return CTL_UNREACHABLE;
	}
	rc = request_shutdown(c, c->args.now, c->args.save);
	if (rc == CTL_OK)
		puts("stopped; orchctl resume goes on with what is unfinished");
	return rc;
}
