/*
 * ptree: on every rung that this machine has a program is what it is without one, its tree ends with it to
 * the last process, and a tree that takes too much is ended. A rung that is not to be had here is skipped,
 * with the reason in the output: it is not tested.
 */
#include "common/ptree.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/proc.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (1024 * 1024)

static struct ptree_machine machine;
static struct loop loop;
static struct ptree_plan plan;
static int fds_before;

static int
setup(void **state)
{
	(void)state;
	fds_before = tmp_open_fds();
	if (loop_init(&loop) < 0)
		return -1;
	return loop_own_descendants(&loop);
}

static int
teardown(void **state)
{
	(void)state;
	ptree_plan_clear(&plan);
	loop_clear(&loop);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		return -1;
	return tmp_open_fds() == fds_before ? 0 : -1;
}

/* A plan for the rung of this test, or the test is skipped. */
static void
stand_on(void **state, uint64_t memory, uint64_t pids)
{
	const char *name = *state;
	const struct ptree_limits limits = {memory, pids};
	char line[PTREE_PATH_MAX + 64], why[PTREE_WHY_MAX];

	ptree_machine_write(&machine, line, sizeof(line));
	setenv(PTREE_MACHINE_ENV, line, 1);
	ptree_plan_init(&plan, name, &limits, why);
	loop.trees = &plan;
	if (strcmp(ptree_rung_name(plan.rung), name) == 0)
		return;
	print_message("NOT TESTED: no %s here: %s\n", name,
	    strcmp(name, "cgroup") == 0 ? machine.cgroup_why : machine.pidns_why);
	skip();
}

static struct cmd_result
run(const char *script, const char *in, int64_t timeout_ms)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	const struct cmd_spec s = {.argv = argv,
	    .in = in,
	    .in_size = in == NULL ? 0 : strlen(in),
	    .out_max = 65536,
	    .err_max = 65536,
	    .timeout_ms = timeout_ms,
	    .tree = true};
	struct cmd_result r;
	struct err e = {""};

	if (cmd_run(&loop, &s, &r, &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

static void
assert_nothing_left(void)
{
	pid_t *pids = NULL;

	assert_int_equal(proc_children(getpid(), &pids), 0);
	free(pids);
}

static void
program_is_itself(void **state)
{
	struct cmd_result r;

	stand_on(state, 0, 0);
	r = run("cat; echo words >&2; exit 42", "fed to it", 0);
	assert_true(WIFEXITED(r.status));
	assert_int_equal(WEXITSTATUS(r.status), 42);
	assert_string_equal(r.out, "fed to it");
	assert_string_equal(r.err, "words\n");
	cmd_result_clear(&r);
	r = run("kill -USR1 $$", NULL, 0);
	assert_true(WIFSIGNALED(r.status));
	assert_int_equal(WTERMSIG(r.status), SIGUSR1);
	cmd_result_clear(&r);
	r = run("kill -KILL $$", NULL, 0);
	assert_true(WIFSIGNALED(r.status));
	assert_int_equal(WTERMSIG(r.status), SIGKILL);
	cmd_result_clear(&r);
	/* Who it is, its file rights, its session, the signals that it may be sent, and its own /proc. */
	r = run(
	    "id -u; test -r /proc/self/stat && ls -d /proc/$$ >/dev/null && test $(ps -o sid= -p $$) -eq $$ "
	    "&& grep -q '^SigBlk:.0*$' /proc/self/status && echo fine",
	    NULL, 0);
	assert_non_null(strstr(r.out, "fine"));
	assert_int_equal(atoi(r.out), (int)geteuid());
	cmd_result_clear(&r);
	assert_nothing_left();
}

/* Tools that made a session of their own, forked twice, ignore TERM, or are stopped: all gone when it ends.
 */
static void
tree_ends_with_its_program(void **state)
{
	struct cmd_result r;

	stand_on(state, 0, 0);
	r = run("setsid sleep 1000 & (setsid sh -c '(sleep 1000 &) & exec sleep 1000' &) ; "
		"(trap '' TERM HUP INT; sleep 1000 &) ; sh -c 'kill -STOP $$' & echo made; exit 0",
	    NULL, 0);
	assert_string_equal(r.out, "made\n");
	assert_int_equal(r.status, 0);
	cmd_result_clear(&r);
	assert_nothing_left();
	if (plan.rung == PTREE_CGROUP) /* not even its folder */
		assert_int_equal(rmdir(machine.base), 0);
}

static void
late_tree_is_ended(void **state)
{
	struct cmd_result r;

	stand_on(state, 0, 0);
	r = run("trap '' TERM; setsid sleep 1000 & sleep 1000", NULL, 200);
	assert_true(r.timed_out);
	cmd_result_clear(&r);
	assert_nothing_left();
}

static void
tree_over_its_memory_is_ended(void **state)
{
	char text[200];
	struct cmd_result r;

	stand_on(state, 64 * MB, 0);
	/* tail keeps what it may have to print: 400 MB. */
	r = run("setsid sh -c 'head -c 400m /dev/zero | tail -c 400m | sleep 1000'", NULL, 60000);
	assert_false(r.timed_out);
	assert_false(cmd_ok(&r));
	assert_int_equal(r.over.what, PTREE_OVER_MEMORY);
	assert_true(r.over.ceiling == 64 * MB);
	assert_true(r.over.use >= 64 * MB);
	ptree_over_text(&r.over, text, sizeof(text));
	assert_non_null(strstr(text, "ceiling is 64 MB (agent_memory_mb)"));
	cmd_result_clear(&r);
	assert_nothing_left();
}

static void
tree_with_too_many_processes_is_ended(void **state)
{
	struct cmd_result r;

	stand_on(state, 0, 20);
	r = run("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 1000 & "
		"done;"
		"wait",
	    NULL, 60000);
	assert_false(r.timed_out);
	assert_int_equal(r.over.what, PTREE_OVER_PIDS);
	assert_true(r.over.ceiling == 20);
	cmd_result_clear(&r);
	assert_nothing_left();
}

static void
tree_below_its_ceilings_is_left_alone(void **state)
{
	struct cmd_result r;

	stand_on(state, 256 * MB, 50);
	r = run("sleep 0.6; exit 0", NULL, 0);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.over.what, PTREE_WITHIN);
	assert_true(cmd_ok(&r));
	cmd_result_clear(&r);
}

/* memory.max, where a controller can be had: the kernel ends the tree, and its words are understood. */
static void
kernel_holds_the_memory_ceiling(void **state)
{
	(void)state;
	if (!machine.memory) {
		print_message("NOT TESTED: no memory controller in a cgroup v2 that is ours\n");
		skip();
	}
	tree_over_its_memory_is_ended(state);
}

static void
kernel_holds_the_pids_ceiling(void **state)
{
	(void)state;
	if (!machine.pids) {
		print_message("NOT TESTED: no pids controller in a cgroup v2 that is ours\n");
		skip();
	}
	tree_with_too_many_processes_is_ended(state);
}

/* A worker that was killed leaves its cgroup with what is in it; whoever comes next ends both. */
static bool
nobody_lives(void *arg, pid_t owner)
{
	(void)arg;
	(void)owner;
	return false;
}

static void
on_exit_status(void *arg, pid_t pid, int status)
{
	(void)pid;
	*(int *)arg = status;
}

static void
cgroup_of_a_dead_owner_is_ended(void **state)
{
	static const char *const argv[] = {"sleep", "1000", NULL};
	int64_t deadline = clock_now_ms() + 20000;
	struct child_spec s;
	struct ptree *t;
	int status = -1;
	bool never = false;
	pid_t pid;

	stand_on(state, 0, 0);
	child_spec_init(&s);
	s.argv = argv;
	t = ptree_new(&loop, &plan, &s);
	assert_int_equal(child_spawn(&s, &pid, NULL, NULL), 0);
	ptree_started(t, pid, NULL);
	loop_watch_child(&loop, pid, on_exit_status, &status);
	while (ptree_kill_leftovers(&machine, nobody_lives, NULL) > 0) {
		assert_true(clock_now_ms() < deadline);
		loop_wait(&loop, &never, clock_now_ms() + 1);
	}
	loop_reap(&loop);
	assert_true(WIFSIGNALED(status));
	ptree_free(t);
	assert_int_equal(rmdir(machine.base), 0);
}

static void
namespace_sees_itself_alone(void **state)
{
	struct cmd_result r;

	stand_on(state, 0, 0);
	r = run("ps -e -o pid= | wc -l; kill -0 1", NULL, 0);
	assert_true(atoi(r.out) < 8);
	cmd_result_clear(&r);
}

struct choice {
	struct ptree_machine m;
	const char *name;
	enum ptree_rung rung;
	bool why;
};

static void
highest_rung_is_chosen(void **state)
{
	static const struct choice choices[] = {
	    {{.cgroup = true, .pidns = PTREE_PIDNS_PLAIN}, "auto", PTREE_CGROUP, false},
	    {{.pidns = PTREE_PIDNS_PLAIN}, "auto", PTREE_PIDNS, false},
	    {{.pidns = PTREE_PIDNS_USER}, "auto", PTREE_WALK, false}, /* sudo would stop working */
	    {{.cgroup = false}, "auto", PTREE_WALK, false},
	    {{.cgroup = true, .pidns = PTREE_PIDNS_PLAIN}, "walk", PTREE_WALK, false},
	    {{.cgroup = true, .pidns = PTREE_PIDNS_PLAIN}, "pidns", PTREE_PIDNS, false},
	    {{.cgroup = true, .pidns = PTREE_PIDNS_USER}, "pidns", PTREE_PIDNS, false},
	    {{.cgroup = true, .pidns_why = "forbidden"}, "pidns", PTREE_WALK, true},
	    {{.pidns = PTREE_PIDNS_PLAIN, .cgroup_why = "not mounted"}, "cgroup", PTREE_PIDNS, true},
	    {{.pidns = PTREE_PIDNS_USER, .cgroup_why = "not mounted"}, "cgroup", PTREE_WALK, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		char why[PTREE_WHY_MAX];

		assert_int_equal(ptree_choose(&choices[i].m, choices[i].name, why), choices[i].rung);
		assert_int_equal(why[0] != '\0', choices[i].why);
	}
	assert_true(ptree_name_valid("auto") && ptree_name_valid("cgroup") && ptree_name_valid("walk"));
	assert_false(ptree_name_valid("none") || ptree_name_valid(""));
}

static void
machine_travels_as_a_line(void **state)
{
	static const char *const lines[] = {
	    "", "pidns=user", "pidns=plain", "cgroup=/a/b;memory;pids;pidns=plain", "cgroup=/a/b;pids"};
	struct ptree_machine m;
	char line[PTREE_PATH_MAX + 64];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ptree_machine_read(&m, lines[i]);
		ptree_machine_write(&m, line, sizeof(line));
		assert_string_equal(line, lines[i]);
	}
	ptree_machine_read(&m, "memory;cgroup=relative;what");
	assert_false(m.cgroup || m.memory || m.pids);
	ptree_machine_read(&m, NULL);
	assert_false(m.cgroup);
	assert_int_equal(m.pidns, PTREE_PIDNS_NONE);
}

#define ON(rung, fn)                                                                                         \
	{                                                                                                    \
#fn " [" rung "]", fn, setup, teardown, (char *)rung                                         \
	}
#define ON_ALL(fn) ON("walk", fn), ON("pidns", fn), ON("cgroup", fn)

/* An orchd was killed with kill -9 and its repository deleted: nobody came back for its folder. */
static void
forsaken_folders_go(void **state)
{
	struct ptree_machine one, two;
	char *forsaken, *child, *held;

	(void)state;
	ptree_probe(&one, "0123456789abcdef", true);
	if (!one.cgroup) {
		print_message("NOT TESTED: no cgroup here: %s\n", one.cgroup_why);
		ptree_probe_end(&one);
		skip();
	}
	forsaken =
	    xasprintf("%.*s/orch.00000000deadbeef", (int)(strrchr(one.base, '/') - one.base), one.base);
	child = xasprintf("%s/17-1", forsaken);
	held = xstrdup(one.base);
	assert_int_equal(mkdir(forsaken, 0755), 0);
	assert_int_equal(mkdir(child, 0755), 0);
	ptree_probe(&two, "fedcba9876543210", true);
	assert_int_equal(access(forsaken, F_OK), -1);
	assert_int_equal(access(held, F_OK), 0); /* empty, but its orchd lives */
	ptree_probe_end(&two);
	ptree_probe_end(&one);
	assert_int_equal(access(held, F_OK), -1);
	free(forsaken);
	free(child);
	free(held);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(highest_rung_is_chosen),
	    cmocka_unit_test(machine_travels_as_a_line),
	    cmocka_unit_test(forsaken_folders_go),
	    ON_ALL(program_is_itself),
	    ON_ALL(tree_ends_with_its_program),
	    ON_ALL(late_tree_is_ended),
	    ON_ALL(tree_over_its_memory_is_ended),
	    ON_ALL(tree_with_too_many_processes_is_ended),
	    ON_ALL(tree_below_its_ceilings_is_left_alone),
	    ON("pidns", namespace_sees_itself_alone),
	    ON("cgroup", cgroup_of_a_dead_owner_is_ended),
	    ON("cgroup", kernel_holds_the_memory_ceiling),
	    ON("cgroup", kernel_holds_the_pids_ceiling),
	};
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "test-%d", (int)getpid());
	ptree_probe(&machine, name, true);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	ptree_probe_end(&machine);
	return rc;
}
