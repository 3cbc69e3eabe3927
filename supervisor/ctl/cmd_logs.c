/* cmd_logs: orchctl logs, the history for people; it also says where the process's own log is. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/history.h"
#include "supervisor/ctl/target.h"

#include <stdio.h>

int
cmd_logs(struct ctl *c)
{
	const char *log;
	struct target t;
	int rc;

	if (ctl_never_ran(c)) {
		if (!c->args.json)
			puts("no runs yet");
		return CTL_OK;
	}
	rc = ctl_connect(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.word_count > 0 ? c->args.words[0] : NULL);
	if (rc == CTL_OK) {
		log = t.task != NULL ? t.task->info->log : t.run->info->log_dir;
		if (log != NULL && !c->args.json)
			ctl_say("full log of %s: %s", t.id, log);
		rc = history_print(
		    c, t.run->id, t.task != NULL ? t.id : NULL, c->args.json ? &out_json : &out_text);
	}
	target_clear(&t);
	return rc;
}
