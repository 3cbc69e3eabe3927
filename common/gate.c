/* gate: the verify command as a child of ours, and what it said (see gate.h). */
#include "common/gate.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/json.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 256
/* In gate_code, above what waitpid gives: what it was that failed, where it was not the run's own command. */
#define SETUP_BIT (1 << 24)
#define AREA_SHIFT 16
#define NAME_MAX_BYTES 120 /* of the command in a sentence */

/* argv for verify, borrowing its strings. */
static int
build_argv(const json_t *verify, const char *argv[ARGS_MAX + 1], struct err *e)
{
	size_t n = json_array_size(verify);

	if (json_is_string(verify)) {
		argv[0] = "/bin/sh";
		argv[1] = "-c";
		argv[2] = json_string_value(verify);
		argv[3] = NULL;
		return 0;
	}
	if (n == 0 || n > ARGS_MAX)
		return err_set(
		    e, -EINVAL, "verify must be a command line or an array of 1..%d words", ARGS_MAX);
	for (size_t i = 0; i < n; i++) {
		argv[i] = json_string_value(json_array_get(verify, i));
		if (argv[i] == NULL)
			return err_set(e, -EINVAL, "verify: word %zu is not a string", i + 1);
	}
	argv[n] = NULL;
	return 0;
}

int
gate_run(struct loop *l, const json_t *verify, const char *dir, const char *const *env, int64_t timeout_ms,
    struct gate_result *r, struct err *e)
{
	const char *argv[ARGS_MAX + 1];
	struct cmd_spec s = {.argv = argv,
	    .env = env,
	    .cwd = dir,
	    .out_max = GATE_OUTPUT_MAX,
	    .merge_err = true,
	    .tree = true,
	    .timeout_ms = timeout_ms};
	struct cmd_result c = {0};
	int rc = build_argv(verify, argv, e);

	if (rc == 0)
		rc = cmd_run(l, &s, &c, e);
	if (rc == -ECANCELED)
		return rc;
	if (rc < 0)
		return err_prefix(e, rc, "a command of the run could not be started in %s", dir);
	memset(r, 0, sizeof(*r));
	r->passed = cmd_ok(&c);
	r->timed_out = c.timed_out;
	r->over = c.over;
	r->status = c.status;
	r->output = text_tail(c.out, c.out_size, GATE_OUTPUT_MAX);
	r->duration_ms = c.duration_ms;
	cmd_result_clear(&c);
	return 0;
}

int
gate_code(const struct gate_result *r)
{
	int code = r->timed_out ? -1 : r->status;

	if (r->passed)
		return 0;
	if (r->area != NULL)
		code ^= (int)(r->area_index + 1) << AREA_SHIFT;
	return r->setup == NULL ? code : (code ^ SETUP_BIT);
}

/* r: of what ran before, which passed. The time is that of all. */
static int
try_areas(struct loop *l, const struct gate_trial *t, struct gate_result *r, struct err *e)
{
	for (size_t i = 0; i < json_array_size(t->areas) && (r->output == NULL || r->passed); i++) {
		const json_t *command = json_array_get(t->areas, i);
		int64_t before = r->duration_ms;
		int rc;

		gate_result_clear(r);
		rc = gate_run(l, command, t->dir, t->env, t->timeout_ms, r, e);
		if (rc < 0)
			return rc;
		r->duration_ms += before;
		if (!r->passed) {
			r->area = command;
			r->area_index = i;
		}
	}
	return 0;
}

static int
try_once(struct loop *l, const struct gate_trial *t, struct gate_result *r, struct err *e)
{
	int rc = t->fresh(t->arg, e);

	if (rc == 0 && t->setup != NULL) {
		rc = gate_run(l, t->setup, t->dir, t->env, t->setup_timeout_ms, r, e);
		if (rc == 0 && !r->passed)
			r->setup = t->setup;
		if (rc < 0 || !r->passed)
			return rc;
	}
	if (rc == 0 && t->verify != NULL) {
		gate_result_clear(r);
		rc = gate_run(l, t->verify, t->dir, t->env, t->timeout_ms, r, e);
	}
	return rc == 0 ? try_areas(l, t, r, e) : rc;
}

int
gate_judge(struct loop *l, const struct gate_trial *t, enum gate_verdict *v, struct gate_result *r,
    char **note, struct err *e)
{
	struct gate_result first = {0}, second = {0};
	int rc = try_once(l, t, &first, e);
	char *what;

	if (rc < 0)
		return rc;
	*note = NULL;
	*v = first.passed ? GATE_GREEN : GATE_RED;
	if (!first.passed && gate_code(&first) == t->known) {
		*v = GATE_UNKNOWN;
		what = gate_summary(t->verify, &first);
		*note = xasprintf("%s, as it did before this work: it cannot tell whether it is good", what);
		free(what);
	} else if (!first.passed && !first.timed_out && !t->once) {
		rc = try_once(l, t, &second, e);
		if (rc == 0 && second.passed) {
			*v = GATE_FLAKY;
			what = gate_summary(t->verify, &first);
			*note =
			    xasprintf("%s, and passed on the very same tree right after: it is flaky", what);
			free(what);
		}
	}
	if (rc == 0 && second.output != NULL) {
		second.duration_ms += first.duration_ms;
		gate_result_clear(&first);
		first = second;
	}
	if (rc < 0)
		gate_result_clear(&first);
	else
		*r = first;
	return rc;
}

void
gate_result_clear(struct gate_result *r)
{
	free(r->output);
	memset(r, 0, sizeof(*r));
}

/* The command as a person would type it, in one line. */
static char *
command_name(const json_t *verify)
{
	char *all = xstrdup(json_is_string(verify) ? json_string_value(verify) : ""), *line;

	for (size_t i = 0; i < json_array_size(verify); i++) {
		const char *word = json_string_value(json_array_get(verify, i));
		char *longer = xasprintf("%s%s%s", all, i > 0 ? " " : "", word != NULL ? word : "?");

		free(all);
		all = longer;
	}
	line = text_line(all, NAME_MAX_BYTES);
	free(all);
	return line;
}

static void
add_command(char **text, const json_t *command)
{
	char *words = json_is_string(command) ? xstrdup(json_string_value(command)) : json_text(command);
	char *longer = *text == NULL ? xstrdup(words) : xasprintf("%s\n%s", *text, words);

	free(*text);
	free(words);
	*text = longer;
}

char *
gate_text(const json_t *verify, const json_t *areas)
{
	char *text = NULL;

	if (verify != NULL)
		add_command(&text, verify);
	for (size_t i = 0; i < json_array_size(areas); i++)
		add_command(&text, json_array_get(areas, i));
	return text;
}

char *
gate_summary(const json_t *verify, const struct gate_result *r)
{
	const json_t *command = r->setup != NULL ? r->setup : r->area != NULL ? r->area : verify;
	char *name = command_name(command), took[32], status[200], *text;
	const char *what = r->setup != NULL ? "setup" : "gate";

	clock_age(took, sizeof(took), r->duration_ms);
	if (r->timed_out)
		text = xasprintf("the %s (%s) did not end within %s and was killed", what, name, took);
	else if (r->over.what != PTREE_WITHIN)
		text = xasprintf("the %s (%s) was ended after %s: %s", what, name, took,
		    ptree_over_text(&r->over, status, sizeof(status)));
	else
		text = xasprintf("the %s (%s) %s after %s", what, name,
		    child_status_text(status, sizeof(status), r->status), took);
	free(name);
	return text;
}
