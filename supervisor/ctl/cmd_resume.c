/* cmd_resume: orchctl resume: goes on with a stopped run. */
#include "supervisor/ctl/cmds.h"

#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/request.h"

int
cmd_resume(struct ctl *c)
{
	struct msg m = {.id = MSG_RESUME};
	struct err e = {""};
	int rc;

	if (ctl_never_ran(c)) {
		ctl_say("no runs yet");
		return CTL_USAGE;
	}
	rc = keys_read(c, &e);
	if (rc < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	rc = ctl_connect(c);
	if (rc != CTL_OK)
		return rc;
	/* Those that a file names are meant for it; those that are just there must not replace others. */
	rc = keys_give(c, c->args.keys_file != NULL ? KEYS_FOR_RUN : KEYS_FOR_ORPHANS,
	    c->args.word_count > 0 ? c->args.words[0] : NULL, &m.resume.keyed, &e);
	if (rc < 0)
		return ctl_fail(rc, &e);
	m.resume.run = c->args.word_count > 0 ? c->args.words[0] : NULL;
	return request_send(c, &m, "resumed; orchctl status --watch shows it");
}
