/* One area never waits for another: while the gate of one EM runs, and runs, the other area is done and
 * merged. */
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include "common/alloc.h"

#include <stdlib.h>

static void
test_slow_gate_holds_up_nobody_else(void **state)
{
	struct e2e *e = *state;
	char *gate =
	    xasprintf("s=%s; test \"$ORCH_ROLE\" != em || test ! -e a/one.txt || test -e $s/go || { touch "
		      "$s/gating; while ! test -e $s/go; do sleep 0.05; done; }",
		e->scripts);
	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "one");
	e2e_plan(e, "em-b", "wait_file @/gating\n", "two three");
	e2e_work(e, "a.one", "");
	e2e_work(e, "b.two", "");
	e2e_work(e, "b.three", "");
	e2e_begin(e, "--verify", gate, NULL);
	e2e_await_file(e, "gating");
	e2e_await(e, "m1/em2/w1", "state", "integrated");
	e2e_await(e, "m1/em2/w2", "state", "integrated");
	e2e_await(e, "m1/em2", "state", "integrated");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "integrated"), 0);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	free(gate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_slow_gate_holds_up_nobody_else, e2e_setup, e2e_teardown),
	};

	return cmocka_run_group_tests_name("test_run_apart", tests, NULL, NULL);
}
