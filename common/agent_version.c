/*
 * agent_version: asks the program for its version, before it is given work. What answers in another way than
 * the program we know is left to be found out by an attempt.
 */
#include "common/agent.h"
#include "common/agent_backend.h"

#include "common/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VERSION_MS 10000 /* the CLI takes 10 ms; a cold disk has 360 MB of it to find */

/* "2.1.330 (Claude Code)" */
static bool
read_version(const char *text, unsigned v[3])
{
	int end = 0;

	return sscanf(text, "%5u.%5u.%5u%n", &v[0], &v[1], &v[2], &end) == 3 && end > 0 &&
	       strncmp(text + end, agent_backend.version_mark, strlen(agent_backend.version_mark)) == 0;
}

static bool
too_old(const unsigned v[3])
{
	for (int i = 0; i < 3; i++)
		if (v[i] != agent_backend.version_min[i])
			return v[i] < agent_backend.version_min[i];
	return false;
}

int
agent_check_version(struct loop *l, const char *program, struct err *e)
{
	const char *const argv[] = {program, agent_backend.version_arg, NULL};
	const struct cmd_spec spec = {.argv = argv, .out_max = 256, .err_max = 256, .timeout_ms = VERSION_MS};
	const unsigned *min = agent_backend.version_min;
	struct cmd_result r;
	struct err ignored = {""};
	unsigned v[3];
	int rc = cmd_run(l, &spec, &r, &ignored);

	if (rc == -ECANCELED)
		return err_set(e, rc, "the agent was stopped");
	if (rc < 0) /* the attempt says it better */
		return 0;
	if (cmd_ok(&r) && read_version(r.out, v) && too_old(v))
		rc = err_set(e, -ENOTSUP,
		    "%s is version %u.%u.%u, and orch needs %u.%u.%u or later: update it (claude update, or "
		    "npm install -g @anthropic-ai/claude-code), or name another program with --agent or "
		    "ORCH_AGENT",
		    program, v[0], v[1], v[2], min[0], min[1], min[2]);
	cmd_result_clear(&r);
	return rc;
}
