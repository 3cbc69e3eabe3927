/* target: see target.h. */
#include "supervisor/ctl/target.h"

#include "common/alloc.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
on_item(void *arg, const struct msg *m)
{
	view_put(arg, m, NULL);
}

static int
ask_status(struct target *t, struct ctl *c, const char *run)
{
	struct msg m = {.id = MSG_STATUS};

	view_clear(&t->view);
	m.status.run = run;
	return ctl_ask(c, &m, on_item, &t->view);
}

/* id within what was answered. */
static bool
take(struct target *t, const char *id)
{
	t->run = view_last(&t->view);
	if (t->run == NULL)
		return false;
	snprintf(t->id, sizeof(t->id), "%s", id);
	t->task = NULL;
	if (strcmp(t->run->id, id) == 0)
		return true;
	t->task = view_task(t->run, id);
	return t->task != NULL;
}

static int
not_there(const struct target *t, const char *typed)
{
	const char **names, *near;
	char *word = text_line(typed, 128);

	if (t->run == NULL) {
		ctl_say("there is no run or task \"%s\": orchctl status --all lists the runs", word);
		free(word);
		return CTL_USAGE;
	}
	names = xcalloc(t->run->count + 1, sizeof(*names));
	for (size_t i = 0; i < t->run->count; i++)
		names[i] = t->run->tasks[i].info->task;
	near = text_nearest(typed, names);
	if (near != NULL)
		ctl_say("there is no task \"%s\": did you mean %s?", word, near);
	else
		ctl_say("there is no run or task \"%s\" in run %s: orchctl status lists its tasks", word,
		    t->run->id);
	free(names);
	free(word);
	return CTL_USAGE;
}

int
target_find(struct target *t, struct ctl *c, const char *typed)
{
	char id[TASKID_MAX], run[TASKID_MAX];
	int rc;

	memset(t, 0, sizeof(*t));
	rc = ask_status(t, c, NULL);
	if (rc != CTL_OK)
		return rc;
	t->run = view_last(&t->view);
	if (t->run == NULL) {
		ctl_say("no runs yet");
		return CTL_USAGE;
	}
	if (typed == NULL && take(t, t->run->id))
		return CTL_OK;
	if (taskid_expand(id, t->run->id, typed) && take(t, id))
		return CTL_OK;
	if (!taskid_valid(typed))
		return not_there(t, typed);
	/* Of another run: its id is the first part. */
	snprintf(run, sizeof(run), "%.*s", (int)strcspn(typed, "/"), typed);
	if (strcmp(run, t->run->id) == 0)
		return not_there(t, typed);
	rc = ask_status(t, c, run);
	if (rc != CTL_OK)
		return rc;
	return take(t, typed) ? CTL_OK : not_there(t, typed);
}

void
target_clear(struct target *t)
{
	view_clear(&t->view);
}
