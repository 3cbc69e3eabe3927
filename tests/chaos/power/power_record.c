/* power_record: the run that is recorded: one EM and two workers, one of which commits by itself (see
 * power.h). */
#include "tests/chaos/power/power.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/chaos/power/trace.h"
#include "tests/helper/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const power_arguments[] = {"run", "-m", "Build it", "--max-ems", "1", "--max-workers-per-em", "2",
    "--max-attempts", "6", "--verify", "test -e README", NULL};

static void
write_scripts(struct e2e *e)
{
	e2e_plan(e, "director", "say Thinking\n", "a");
	e2e_plan(e, "em-a", "say Thinking\n", "one two");
	e2e_work(e, "a.one", "say Looking\nwrite a/one.early <<EOF\nearly\nEOF\ncommit by myself\n");
	e2e_work(e, "a.two", "say Looking\n");
}

static bool
is_accepted(void *arg)
{
	char *text = NULL;
	bool yes = fd_read_file(arg, 1 << 20, &text, NULL) == 0 && strstr(text, "orchctl: run ") != NULL;

	free(text);
	return yes;
}

static void
must_end(struct trace *t, pid_t pid, const char *what)
{
	int status = trace_pump(t, pid, NULL, NULL);

	if (status != 0)
		fail_msg("%s ended with %d while it was recorded", what, status);
}

static pid_t
start(struct power *p, struct trace *t, const char *out, const char *const *arguments)
{
	const char *argv[20] = {NULL};
	char *program = testrepo_path(p->e->repo, "bin/orchctl"),
	     *file = testrepo_path(p->e->repo, "%s", out);
	pid_t pid;
	size_t n = 1;

	argv[0] = program;
	for (; *arguments != NULL; arguments++)
		argv[n++] = *arguments;
	pid = trace_start(t, p->e->repo->top, file, argv);
	assert_true(pid > 0);
	free(program);
	free(file);
	return pid;
}

void
power_record(struct power *p)
{
	static const char *const follow[] = {"events", "-f", "--json", NULL}, *const stop[] = {"stop", NULL};
	struct e2e *e = p->e;
	struct trace *t;
	pid_t run, tail;
	char *said = testrepo_path(e->repo, "said"), *tree;

	write_scripts(e);
	t = trace_new(&p->ops, e->repo->root);
	run = start(p, t, "said", power_arguments);
	trace_pump(t, run, is_accepted, said);
	tail = start(p, t, POWER_TOLD, follow);
	must_end(t, run, "orchctl run");
	kill(tail, SIGTERM);
	trace_pump(t, tail, NULL, NULL);
	must_end(t, start(p, t, "said", stop), "orchctl stop");
	trace_pump(t, 0, NULL, NULL);
	if (trace_fault(t) != NULL)
		fail_msg("the recording has a gap: %s", trace_fault(t));
	trace_free(t);
	tree = e2e_tree(e, "m1"); /* by an orchd that nobody records */
	snprintf(p->tree, sizeof(p->tree), "%s", tree);
	e2e_ctl_ok(e, "stop", NULL);
	free(tree);
	free(said);
}
