/* A run as lines for another machine: they make the same run again, and what is not a run of ours is refused
 * by name. */
#include "supervisor/portable.h"

#include "common/alloc.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OID "1111111111111111111111111111111111111111"
#define RUN                                                                                                  \
	"{\"run\":{\"state\":\"running\",\"id\":\"25\",\"issue\":\"25\",\"title\":\"Build "                  \
	"it\",\"body\":\"All\","                                                                             \
	"\"base\":\"" OID "\",\"branch\":\"cco/25-build-it\",\"started_at\":7}}"
#define DIRECTOR "{\"task\":{\"state\":\"running\",\"id\":\"25\",\"title\":\"Build it\",\"goal\":\"All\"}}"
#define EM(more)                                                                                             \
	"{\"task\":{\"state\":\"running\",\"id\":\"25/"                                                      \
	"em1\",\"parent_id\":\"25\",\"key\":\"a\",\"title\":\"A\","                                          \
	"\"goal\":\"Do a\",\"owns\":\"[\\\"a/**\\\"]\"" more "}}"
#define WORKER(id, parent, more)                                                                             \
	"{\"task\":{\"state\":\"integrated\",\"id\":\"" id "\",\"parent_id\":\"" parent                      \
	"\",\"key\":\"b\",\"title\":\"B\",\"goal\":\"Do "                                                    \
	"b\",\"session\":\"s-1\",\"attempt\":2,\"head\":\"" OID                                              \
	"\",\"cost_uusd\":5,\"saved\":\"refs/orch/wip/25-em1-w1\"" more "}}"

static struct run *r;
static struct err e;

static int
tear_down(void **state)
{
	(void)state;
	run_free(r);
	r = NULL;
	return 0;
}

static void
accepted(const char *line)
{
	if (portable_read(&r, line, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
}

static void
refused(const char *line, const char *why)
{
	struct run *before = r;

	e.msg[0] = '\0';
	if (portable_read(&r, line, &e) != -EINVAL || strstr(e.msg, why) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", line, e.msg, why);
	assert_ptr_equal(r, before);
}

static void
test_the_same_run_again(void **state)
{
	static const char *const lines[] = {
	    RUN, DIRECTOR, EM(",\"branch\":\"cco/25-build-it-em1\""), WORKER("25/em1/w1", "25/em1", "")};
	struct task *t;
	char *text, *again;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		accepted(lines[i]);
	assert_int_equal(portable_check(r, &e), 0);
	assert_int_equal(portable_check_branches(r, "cco/", &e), 0);
	assert_int_equal(portable_check_branches(r, "bots/", &e), -EINVAL);
	assert_int_equal(run_state(r), RUN_RUNNING);
	assert_string_equal(r->branch, "cco/25-build-it");
	t = run_find_task(r, "25/em1/w1");
	assert_non_null(t);
	assert_int_equal(task_state(t), TASK_INTEGRATED);
	assert_int_equal(t->level, 2);
	assert_int_equal(t->attempt, 2);
	assert_string_equal(t->parent->id, "25/em1");
	/* The session stayed where it was; what it cost did not. */
	assert_null(t->session);
	assert_int_equal(t->past_cost_uusd, 5);
	text = portable_task(t);
	assert_null(strstr(text, "session"));
	xreplace(&t->session, "s-2");
	again = portable_task(t);
	assert_non_null(strstr(again, "\"session\":\"s-2\""));
	free(text);
	free(again);
	text = portable_run(r);
	run_free(r);
	r = NULL;
	accepted(text);
	again = portable_run(r);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

static void
test_runs_that_are_none(void **state)
{
	(void)state;
	refused("[]", "belongs nowhere");
	refused("{\"run\":{", "line 1");
	refused(DIRECTOR, "belongs nowhere");
	refused("{\"run\":{}}", "\"state\" is none");
	refused("{\"run\":{\"state\":\"complete\",\"id\":\"25\",\"issue\":\"25\"}}", "\"state\" is none");
	refused("{\"run\":{\"state\":\"running\",\"id\":\"26\",\"issue\":\"25\",\"title\":\"\"}}",
	    "\"id\" is not");
	refused("{\"run\":{\"state\":\"running\",\"id\":\"../25\",\"issue\":\"25\"}}", "\"id\" is not");
	refused("{\"run\":{\"state\":\"running\",\"id\":\"25\",\"issue\":\"25\"}}", "is not whole");
	refused("{\"run\":{\"state\":\"running\",\"branch\":\"--all\"}}", "\"branch\" is no branch");
	refused("{\"run\":{\"state\":\"running\",\"branch\":\"a..b\"}}", "\"branch\" is no branch");
	refused("{\"run\":{\"state\":\"running\",\"base\":\"main\"}}", "\"base\" is no commit");
	refused("{\"run\":{\"state\":\"running\",\"title\":7}}", "\"title\" is no text");
	refused("{\"run\":{\"state\":\"running\",\"started_at\":-7}}", "is no number that can be");
	refused(
	    "{\"run\":{\"state\":\"running\",\"started_at\":99999999999999999}}", "is no number that can be");
	assert_int_equal(portable_check(r, &e), -EINVAL);
}

static void
test_tasks_that_are_none(void **state)
{
	(void)state;
	accepted(RUN);
	assert_int_equal(portable_check(r, &e), -EINVAL);
	refused(EM(""), "\"parent_id\" does not fit");
	refused(RUN, "belongs nowhere");
	refused("{\"task\":{\"state\":\"failed\",\"id\":\"25\",\"title\":\"\",\"goal\":\"\"}}",
	    "\"state\" is none");
	accepted(DIRECTOR);
	refused(DIRECTOR, "is there twice");
	refused(WORKER("25/em1/w1", "25/em1", ""), "its parent 25/em1 does not exist");
	accepted(EM(""));
	refused(EM(""), "is there twice");
	refused(WORKER("25/em1/w1", "25", ""), "\"parent_id\" does not fit");
	refused(WORKER("26/em1/w1", "26/em1", ""), "is no task of its run");
	refused(WORKER("25/em1/w1/x", "25/em1", ""), "is no task of its run");
	refused(WORKER("25/em1/w1", "25/em1", ",\"plan\":\"{}\""), "plan");
	refused(WORKER("25/em1/w1", "25/em1", ",\"owns\":\"{}\""), "\"owns\" is no list");
	refused(WORKER("25/em1/w1", "25/em1", ",\"verify\":\"rm -rf /\""), "\"verify\" is no list");
	refused(
	    "{\"task\":{\"state\":\"running\",\"saved\":\"refs/heads/main\"}}", "no place for saved work");
	accepted(WORKER("25/em1/w1", "25/em1", ""));
	assert_int_equal(portable_check_branches(r, "cco/", &e), 0);
	accepted(WORKER("25/em1/w2", "25/em1", ",\"branch\":\"main\""));
	assert_int_equal(portable_check_branches(r, "cco/", &e), -EINVAL);
}

static void
test_too_long(void **state)
{
	char *title = xcalloc(1, 5001), *line;

	(void)state;
	memset(title, 'x', 5000);
	line = xasprintf("{\"run\":{\"state\":\"running\",\"title\":\"%s\"}}", title);
	refused(line, "\"title\" is too long");
	free(line);
	free(title);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_the_same_run_again, tear_down),
	    cmocka_unit_test_teardown(test_runs_that_are_none, tear_down),
	    cmocka_unit_test_teardown(test_tasks_that_are_none, tear_down),
	    cmocka_unit_test_teardown(test_too_long, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
