/* The demo's plans keep the rules of plan.h: a rule that is made stricter must not break the demo unnoticed.
 */
#include "common/alloc.h"
#include "common/fd.h"
#include "common/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses the block of a script's "plan" command. */
static void
read_plan(struct plan *p, enum plan_level level, const char *script, const char *const *within)
{
	char *path = xasprintf("%s/tests/demo/calculator/%s", ORCH_SOURCE_DIR, script), *text, *begin, *end;
	struct err e = {""};

	if (fd_read_file(path, 1 << 20, &text, NULL) < 0)
		fail_msg("cannot read %s", path);
	begin = strstr(text, "\nplan <<EOF\n");
	end = strstr(text, "\nEOF\n");
	assert_non_null(begin);
	assert_non_null(end);
	begin += strlen("\nplan <<EOF\n");
	if (plan_parse(p, level, begin, (size_t)(end - begin), within, &e) < 0)
		fail_msg("%s: %s", script, e.msg);
	free(text);
	free(path);
}

static void
plans_are_valid(void **state)
{
	struct plan areas, tasks;

	(void)state;
	read_plan(&areas, PLAN_AREAS, "director", NULL);
	assert_int_equal(areas.count, 2);
	for (size_t i = 0; i < areas.count; i++) {
		char *script = xasprintf("em-%s", areas.items[i].id);

		read_plan(&tasks, PLAN_TASKS, script, (const char *const *)areas.items[i].owns);
		assert_true(tasks.count >= 3);
		plan_clear(&tasks);
		free(script);
	}
	plan_clear(&areas);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(plans_are_valid)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
