/* cmd_events: orchctl events, the history for programs: one JSON object a line, of all runs unless a run or
 * task is named. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/history.h"
#include "supervisor/ctl/target.h"

int
cmd_events(struct ctl *c)
{
	struct target t;
	int rc;

	if (ctl_never_ran(c))
		return CTL_OK;
	rc = ctl_connect(c);
	if (rc != CTL_OK || c->args.word_count == 0)
		return rc != CTL_OK ? rc : history_print(c, NULL, NULL, &out_json);
	rc = target_find(&t, c, c->args.words[0]);
	if (rc == CTL_OK)
		rc = history_print(c, t.run->id, t.task != NULL ? t.id : NULL, &out_json);
	target_clear(&t);
	return rc;
}
