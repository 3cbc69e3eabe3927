/*
 * A disk that fills up in the middle of a run, and has room again: nothing is lost, nothing is charged, the
 * wait has a reason, and the run goes on by itself. Where no disk can be mounted, there is nothing to test.
 */
#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tinydisk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISK_KIB (24 * 1024)
#define WAIT_MS 30000

static bool possible;

/* Until the status of the run says something like that: of the run or of a task. */
static void
await_words(struct e2e *e, const char *words)
{
	int64_t deadline = clock_now_ms() + WAIT_MS;
	bool never = false, found = false;

	while (!found) {
		json_t *run = e2e_status(e, "m1");
		char *text = json_text(run);

		found = strstr(text, words) != NULL;
		if (!found && clock_now_ms() >= deadline) {
			e2e_tell(e);
			fail_msg("the status does not say \"%s\": %s", words, text);
		}
		free(text);
		json_decref(run);
		loop_wait(&e->repo->loop, &never, clock_now_ms() + 20);
	}
}

static void
begin_at_work(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "x");
	e2e_work(e, "a.x", "touch @/here\nwait_file @/go\n");
	setenv("ORCH_MIN_FREE_MB", "0", 1); /* or the run would rightly not begin */
	e2e_begin(e, "--max-attempts", "1", "--retry-delay", "0.1", NULL);
	e2e_await_file(e, "here");
}

static void
assert_not_charged(struct e2e *e)
{
	json_t *run, *task;

	e2e_await(e, "m1", "state", "complete");
	if (e->running)
		assert_int_equal(e2e_end(e), 0);
	e2e_assert_shows(e, "m1", "a/x.txt", "x");
	run = e2e_status(e, "m1");
	task = e2e_task(run, "m1/em1/w1");
	assert_int_equal(json_integer_value(json_object_get(task, "attempt")), 1);
	assert_int_equal(json_integer_value(json_object_get(task, "rework")), 0);
	json_decref(run);
}

/* git cannot write the worker's commit. */
static void
no_room_for_objects(void **state)
{
	struct e2e *e = *state;
	char *objects = testrepo_path(e->repo, "repo/.git/objects");

	if (!possible || !tinydisk_mount(objects, DISK_KIB)) {
		free(objects);
		skip();
	}
	begin_at_work(e);
	tinydisk_fill(objects);
	e2e_touch(e, "go");
	await_words(e, "No space left on device");
	e2e_assert_state(e, "m1", "running");
	tinydisk_empty(objects);
	assert_not_charged(e);
	free(objects);
}

/* orchd cannot save that the worker hands in; whoever asks is told why nothing goes on. */
static void
no_room_for_the_store(void **state)
{
	struct e2e *e = *state;
	char *orch = testrepo_path(e->repo, "repo/.git/orch");

	assert_int_equal(fd_mkdirs(orch, 0700), 0);
	if (!possible || !tinydisk_mount(orch, DISK_KIB)) {
		free(orch);
		skip();
	}
	begin_at_work(e);
	tinydisk_fill(orch);
	e2e_touch(e, "go");
	await_words(e, " full");
	tinydisk_empty(orch);
	assert_not_charged(e);
	free(orch);
}

/* Everything at once: the agent cannot write its file, nor anybody anything else. */
static void
no_room_at_all(void **state)
{
	struct e2e *e = *state;

	if (!possible)
		skip();
	begin_at_work(e);
	tinydisk_fill(getenv("ORCH_TEST_DISK"));
	e2e_touch(e, "go");
	await_words(e, " full");
	tinydisk_empty(getenv("ORCH_TEST_DISK"));
	assert_not_charged(e);
}

/* The whole of the test's world is on the small disk. */
static int
setup_inside(void **state)
{
	char *disk = xstrdup("/tmp/orch-disk-XXXXXX");

	assert_non_null(mkdtemp(disk));
	setenv("ORCH_TEST_DISK", disk, 1);
	if (possible && tinydisk_mount(disk, DISK_KIB))
		setenv("TMPDIR", disk, 1);
	else
		possible = false;
	free(disk);
	return e2e_setup(state);
}

static int
teardown_inside(void **state)
{
	char *disk = xstrdup(getenv("ORCH_TEST_DISK"));
	int rc;

	tinydisk_empty(disk);
	rc = e2e_teardown(state);
	unsetenv("TMPDIR");
	tinydisk_unmount(disk);
	free(disk);
	return rc;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(no_room_for_objects, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(no_room_for_the_store, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(no_room_at_all, setup_inside, teardown_inside),
	};

	possible = tinydisk_possible();
	return cmocka_run_group_tests_name("run_disk", tests, NULL, NULL);
}
