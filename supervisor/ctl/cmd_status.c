/* cmd_status: orchctl status. Looking never starts anything in a repository that had no run. */
#include "supervisor/ctl/cmds.h"

#include "common/clock.h"
#include "supervisor/ctl/keys.h"
#include "supervisor/ctl/live.h"
#include "supervisor/ctl/out.h"

#include <stdio.h>

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

static int
show_once(struct ctl *c, const struct out_ops *ops)
{
	struct out o = {stdout, clock_wall_ms()};
	struct msg m = {.id = MSG_STATUS};
	struct view v;
	int rc = CTL_OK;

	view_init(&v);
	m.status.run = c->args.word_count > 0 ? c->args.words[0] : NULL;
	m.status.all = c->args.all;
	if (!ctl_never_ran(c)) {
		rc = ctl_connect(c);
		if (rc == CTL_OK)
			rc = ctl_ask(c, &m, on_item, &v);
	}
	if (rc == CTL_OK)
		ops->status(&o, &v, c->args.all);
	view_clear(&v);
	return rc;
}

/* A run that lost its keys with its orchd gets them from whoever watches it and has them. */
static int
bring_keys(struct ctl *c)
{
	struct err e = {""};
	int rc;

	if (keys_read(c, &e) < 0 && c->args.keys_file != NULL) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	rc = ctl_connect(c);
	if (rc == CTL_OK &&
	    keys_give(c, KEYS_FOR_ORPHANS, c->args.word_count > 0 ? c->args.words[0] : NULL, NULL, &e) < 0)
		ctl_say("%s", e.msg);
	return rc;
}

static int
watch(struct ctl *c)
{
	struct live_opts o = {.run = c->args.word_count > 0 ? c->args.words[0] : NULL, .print_end = true};
	bool found = false;
	int rc = CTL_OK;

	if (!ctl_never_ran(c)) {
		rc = bring_keys(c);
		if (rc == CTL_OK)
			rc = live_show(c, &o, &found);
	}
	if (rc == CTL_OK && !found)
		puts("no runs yet");
	/* The run's own result is not ours: we were only looking. */
	return rc == CTL_FAILED && found ? CTL_OK : rc;
}

int
cmd_status(struct ctl *c)
{
	if (c->args.all && c->args.word_count > 0) {
		ctl_say("status --all lists every run: leave \"%s\" out", c->args.words[0]);
		return CTL_USAGE;
	}
	if (!c->args.watch)
		return show_once(c, c->args.json ? &out_json : &out_text);
	if (c->args.json || c->args.all) {
		ctl_say(
		    "status --watch is a picture for people; programs follow with orchctl events -f --json");
		return CTL_USAGE;
	}
	return watch(c);
}
