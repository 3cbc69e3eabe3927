/* cmd_report: orchctl report: one run with its tasks and its history, as text, JSON, Markdown or a picture.
 */
#include "supervisor/ctl/cmds.h"

#include "common/clock.h"
#include "supervisor/ctl/out.h"
#include "supervisor/ctl/target.h"

#include <stdio.h>

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

static void
print(struct ctl *c, const struct target *t)
{
	struct out o = {stdout, clock_wall_ms()};
	struct report r;

	report_make(&r, &t->view, t->run, o.now_ms);
	if (c->args.md)
		out_markdown(&o, &t->view, &r);
	else if (c->args.svg)
		out_svg(&o, &r);
	else
		(c->args.json ? &out_json : &out_text)->report(&o, &t->view, &r);
	report_clear(&r);
}

int
cmd_report(struct ctl *c)
{
	struct msg m = {.id = MSG_EVENTS};
	struct target t;
	int rc;

	if (c->args.json + c->args.md + c->args.svg > 1) {
		ctl_say("--json, --md and --svg are forms of the same report: choose one");
		return CTL_USAGE;
	}
	rc = ctl_connect_ran(c);
	if (rc != CTL_OK)
		return rc;
	rc = target_find(&t, c, c->args.word_count > 0 ? c->args.words[0] : NULL);
	if (rc == CTL_OK && t.task != NULL && t.task->em != 0) {
		ctl_say("a report is about a run: orchctl report %s; one task's history: orchctl logs %s",
		    t.run->id, t.id);
		rc = CTL_USAGE;
	}
	if (rc == CTL_OK) {
		m.events.run = t.run->id;
		rc = ctl_ask(c, &m, on_item, &t.view);
	}
	if (rc == CTL_OK)
		print(c, &t);
	target_clear(&t);
	return rc;
}
