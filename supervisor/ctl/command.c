/* command: see command.h. A new command is a row here and a file cmd_<name>.c. */
#include "supervisor/ctl/command.h"

#include "common/conf.h"
#include "common/text.h"
#include "supervisor/ctl/cmds.h"

#include <stdio.h>
#include <string.h>

#define COMMANDS_MAX 32

/* The end has a NULL name. */
static const struct command commands[] = {
    {"run", "[ISSUE | --task FILE|- | -m TEXT]", "starts a run and shows it until it has ended",
	ARGS_conf | ARGS_message | ARGS_task_file | ARGS_plan_file | ARGS_keys_file | ARGS_token_file |
	    ARGS_detach | ARGS_approve | ARGS_event | ARGS_trust,
	0, 1, cmd_run_main, NULL},
    {"plan", "[ISSUE | --task FILE|- | -m TEXT]",
	"prints the plan for a task, as run --plan takes it, and does nothing",
	ARGS_conf | ARGS_message | ARGS_task_file | ARGS_keys_file | ARGS_show, 0, 1, cmd_plan, NULL},
    {"answer", "RUN yes|no|TEXT...", "answers what a run asks you: its plan, or a question", 0, 2,
	ARGS_WORDS_MAX, cmd_answer, NULL},
    {"status", "[RUN]", "shows a run: what needs you first, then who does what",
	ARGS_json | ARGS_watch | ARGS_all | ARGS_keys_file, 0, 1, cmd_status, "lists every run"},
    {"logs", "[TASK]", "shows the history of a run or a task, and where the full log is",
	ARGS_follow | ARGS_json | ARGS_lines, 0, 1, cmd_logs, NULL},
    {"events", "[TASK]", "the history as one JSON object a line, for programs",
	ARGS_follow | ARGS_json | ARGS_lines, 0, 1, cmd_events, NULL},
    {"report", "[RUN]", "sums up a run: result, tasks, gates, times, what is missing and why",
	ARGS_json | ARGS_md | ARGS_svg, 0, 1, cmd_report, NULL},
    {"diff", "TASK [PATH...] [-- GIT-OPTION...]", "shows what a task, an area or a whole run changed", 0, 1,
	ARGS_WORDS_MAX, cmd_diff, NULL},
    {"stop", "", "stops all work of this repository; orchctl resume goes on", ARGS_now | ARGS_save, 0, 0,
	cmd_stop, NULL},
    {"restart", "", "replaces orchd by the one that is installed now; the team works on", ARGS_keys_file, 0,
	0, cmd_restart, NULL},
    {"cancel", "RUN|TASK", "ends a run or a task for good, keeping what is merged", 0, 1, 1, cmd_cancel,
	NULL},
    {"retry", "TASK", "gives a failed task a new start", ARGS_keys_file, 1, 1, cmd_retry, NULL},
    {"address", "PULL-REQUEST", "has what people say of a run's pull request done, and answers them",
	ARGS_keys_file | ARGS_token_file | ARGS_detach | ARGS_trust | ARGS_rounds, 1, 1, cmd_address, NULL},
    {"resume", "[RUN]", "goes on with a run that was stopped, or whose keys are gone", ARGS_keys_file, 0, 1,
	cmd_resume, NULL},
    {"clean", "", "removes ended runs: history, logs, leftover worktrees; never a work branch", ARGS_all, 0,
	0, cmd_clean, "also drops work that was saved from unfinished tasks (refs/orch/wip)"},
    {"keys", "[RUN]", "shows what is known of each API key: state, limits, what it was used for",
	ARGS_json | ARGS_reload, 0, 1, cmd_keys, NULL},
    {"doctor", "", "checks that everything a run needs is there", ARGS_json | ARGS_conf | ARGS_keys_file, 0,
	0, cmd_doctor, NULL},
    {NULL, NULL, NULL, 0, 0, 0, NULL, NULL},
};

const struct command *
command_find(const char *name, const char **near)
{
	const char *names[COMMANDS_MAX];
	size_t n = 0;

	for (const struct command *c = commands; c->name != NULL; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
		names[n++] = c->name;
	}
	names[n] = NULL;
	*near = text_nearest(name, names);
	return NULL;
}

static void
print_option(void *arg, unsigned bit, const char *spelled, const char *help)
{
	const struct command *c = arg;

	printf("  %-22s %s\n", spelled, bit == ARGS_all ? c->all_help : help);
}

static void
print_setting(void *arg, const char *flag, const char *env, const char *key, const char *help)
{
	const struct command *c = arg;
	bool everywhere = flag != NULL && (strcmp(flag, "--state-dir") == 0 || strcmp(flag, "--log") == 0);

	if (((c->options & ARGS_conf) == 0 && !everywhere) || help == NULL)
		return;
	printf(
	    "  %-22s %-26s %s\n", flag == NULL ? "" : flag, env == NULL ? "" : env, key == NULL ? "" : key);
	printf("      %s\n", help);
}

void
command_help(const struct command *c)
{
	printf("usage: orchctl %s%s%s [options]\n\n%c%s.\n", c->name, c->words[0] != '\0' ? " " : "",
	    c->words, c->summary[0] - ('a' <= c->summary[0] && c->summary[0] <= 'z' ? 'a' - 'A' : 0),
	    c->summary + 1);
	printf("\noptions:\n");
	args_each(c->options | ARGS_help | ARGS_repo, print_option, (void *)c);
	printf("\nsettings (flag beats environment beats orchestrator.json):\n");
	conf_each(print_setting, (void *)c);
}

void
command_overview(void)
{
	printf("usage: orchctl COMMAND [options]\n\n"
	       "A supervised team of coding agents: one task in, one branch with the merged work out.\n\n"
	       "commands:\n");
	for (const struct command *c = commands; c->name != NULL; c++)
		printf("  %-9s %s\n", c->name, c->summary);
	printf(
	    "\norchctl COMMAND --help says more about one; orchctl --version names the version.\n"
	    "Tasks are typed 25/em1/w2, or em1/w2 or 1.2 within the current run.\n\n"
	    "exit codes: 0 done; 1 the run failed, is partial or was cancelled, or the request was refused;\n"
	    "2 wrong usage or configuration; 3 orchd cannot be reached; 130 Ctrl-C.\n");
}
