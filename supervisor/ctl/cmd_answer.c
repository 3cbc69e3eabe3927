/* cmd_answer: orchctl answer: a person's word on a plan, or to a planning agent's question. */
#include "supervisor/ctl/cmds.h"

#include "common/alloc.h"
#include "supervisor/ctl/request.h"

#include <stdlib.h>
#include <string.h>

int
cmd_answer(struct ctl *c)
{
	struct msg m = {.id = MSG_ANSWER};
	char *text = xstrdup(c->args.words[1]);
	int rc;

	for (int i = 2; i < c->args.word_count; i++) {
		char *longer = xasprintf("%s %s", text, c->args.words[i]);

		free(text);
		text = longer;
	}
	m.answer.run = c->args.words[0];
	m.answer.text = text;
	if (strlen(text) > ANSWER_MAX) {
		ctl_say("an answer may be %d bytes long, not %zu", ANSWER_MAX, strlen(text));
		rc = CTL_USAGE;
	} else {
		rc = ctl_connect_ran(c);
		if (rc == CTL_OK)
			rc = request_send(c, &m, "answered");
	}
	free(text);
	return rc;
}
