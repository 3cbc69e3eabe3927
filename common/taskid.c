/* taskid: see taskid.h. */
#include "common/taskid.h"

#include "common/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MAX 64

/* Skips prefix and a number in 1..9999 without leading zero; NULL when it is not there. */
static const char *
skip_part(const char *s, const char *prefix)
{
	size_t n = strlen(prefix), digits;

	if (strncmp(s, prefix, n) != 0)
		return NULL;
	s += n;
	digits = strspn(s, "0123456789");
	return digits < 1 || digits > 4 || *s == '0' ? NULL : s + digits;
}

int
taskid_level(const char *id)
{
	size_t run = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-");
	const char *p = id + run;

	if (run < 1 || run > RUN_MAX)
		return -1;
	if (*p == '\0')
		return 0;
	p = skip_part(p, "/em");
	if (p == NULL)
		return -1;
	if (*p == '\0')
		return 1;
	p = skip_part(p, "/w");
	return p != NULL && *p == '\0' ? 2 : -1;
}

bool
taskid_valid(const char *id)
{
	return taskid_level(id) >= 0;
}

void
taskid_flat(char flat[TASKID_MAX], const char *id)
{
	snprintf(flat, TASKID_MAX, "%s", id);
	for (char *p = flat; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
}

bool
taskid_expand(char id[TASKID_MAX], const char *run, const char *typed)
{
	const char *rest;
	size_t n = strlen(run);

	if (strncmp(typed, run, n) == 0 && (typed[n] == '/' || typed[n] == '\0'))
		snprintf(id, TASKID_MAX, "%s", typed);
	else if (strchr(typed, '/') != NULL && strncmp(typed, "em", 2) != 0)
		snprintf(id, TASKID_MAX, "%s", typed); /* another run's task, in full */
	else if (strncmp(typed, "em", 2) == 0)
		snprintf(id, TASKID_MAX, "%s/%s", run, typed);
	else if ((rest = skip_part(typed, "")) != NULL && *rest == '\0')
		snprintf(id, TASKID_MAX, "%s/em%s", run, typed);
	else if (rest != NULL && *rest == '.')
		snprintf(id, TASKID_MAX, "%s/em%.*s/w%s", run, (int)(rest - typed), typed, rest + 1);
	else
		return false;
	return taskid_valid(id);
}

static char *
path_of(const char *dir, const char *sub, const char *id, const char *suffix)
{
	char flat[TASKID_MAX];

	taskid_flat(flat, id);
	return xasprintf("%s%s/%s%s", dir, sub, flat, suffix);
}

char *
taskid_worktree(const char *state_dir, const char *id)
{
	return path_of(state_dir, "/wt", id, "");
}

char *
taskid_home(const char *state_dir, const char *id)
{
	return path_of(state_dir, "/home", id, "");
}

char *
taskid_log(const char *log_dir, const char *id)
{
	return path_of(log_dir, "", id, ".log");
}

char *
taskid_agent_log(const char *log_dir, const char *id)
{
	return path_of(log_dir, "", id, ".agent.jsonl");
}

char *
taskid_wip_ref(const char *id)
{
	return path_of("refs/orch", "/wip", id, "");
}

uint64_t
taskid_branch_issue(const char *branch, const char *prefix)
{
	size_t n = strlen(prefix), digits;

	if (strncmp(branch, prefix, n) != 0 || branch[n] == '0')
		return 0;
	digits = strspn(branch + n, "0123456789");
	return digits > 0 && digits <= 18 && branch[n + digits] == '-' ? strtoull(branch + n, NULL, 10) : 0;
}
