/* orchctl: the person's side of orch. Finds the command in the table and gives it what it needs. */
#include "common/log.h"
#include "common/proc.h"
#include "supervisor/ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Results that did not reach their reader are no results. */
static int
flush_results(int rc)
{
	if (fflush(stdout) == 0 || errno == EPIPE || rc != CTL_OK)
		return rc;
	ctl_say("cannot write the result: %s", strerror(errno));
	return CTL_FAILED;
}

static int
unknown_command(const char *name, const char *near)
{
	if (name[0] == '-')
		ctl_say("unknown option %.60s: see orchctl --help", name);
	else if (near != NULL)
		ctl_say("unknown command \"%.60s\": did you mean orchctl %s?", name, near);
	else
		ctl_say("unknown command \"%.60s\": orchctl --help lists them", name);
	return CTL_USAGE;
}

int
main(int argc, char **argv)
{
	const struct command *cmd;
	const char *near = NULL;
	struct ctl c;
	int rc;

	log_init("orchctl");
	proc_hide_memory(); /* keys may be in our environment: they are nobody else's to read */
	if (argc < 2) {
		ctl_say("a command is missing: orchctl --help lists them");
		return CTL_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		command_overview();
		return flush_results(CTL_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("orchctl %s\n", ORCH_VERSION);
		return flush_results(CTL_OK);
	}
	cmd = command_find(argv[1], &near);
	if (cmd == NULL)
		return unknown_command(argv[1], near);
	rc = ctl_open(&c, cmd, argc, argv, 2);
	if (rc == CTL_OK && c.args.help)
		command_help(cmd);
	else if (rc == CTL_OK)
		rc = cmd->run(&c);
	ctl_close(&c);
	return flush_results(rc);
}
