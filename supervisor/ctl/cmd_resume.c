/* cmd_resume: orchctl resume: goes on with a stopped run. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/request.h"

int
cmd_resume(struct ctl *c)
{
	struct msg m = {.id = MSG_RESUME};

	if (ctl_never_ran(c)) {
		ctl_say("no runs yet");
		return CTL_USAGE;
	}
	m.resume.run = c->args.word_count > 0 ? c->args.words[0] : NULL;
	return request_send(c, &m, "resumed; orchctl status --watch shows it");
}
