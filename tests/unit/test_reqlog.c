/* reqlog: a line for each request, in two files of a size, which their owner alone may read. */
#include "supervisor/gateway/reqlog.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX 2000

static const struct gateway_record record = {.task = "25/em1/w1",
    .attempt = 2,
    .key = "work",
    .method = "POST",
    .path = "/v1/messages",
    .model = "claude-opus-5-5",
    .request_id = "req_7",
    .status = 200,
    .usage = {.input = 5, .output = 6, .known = true},
    .why = ""};

static size_t
assert_file(const char *path)
{
	char *text = NULL, *rest, *line;
	size_t size = 0, lines = 0;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fd_read_file(path, 1 << 20, &text, &size), 0);
	assert_true(size <= MAX);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		json_t *j = json_loads(line, 0, NULL);

		assert_string_equal(json_string_value(json_object_get(j, "request_id")), "req_7");
		assert_string_equal(json_string_value(json_object_get(j, "task")), "25/em1/w1");
		json_decref(j);
		lines++;
	}
	free(text);
	return lines;
}

static void
test_rotates(void **state)
{
	char *dir = tmp_make(), *path = tmp_path(dir, "log"), *old = tmp_path(dir, "log.1"),
	     *older = tmp_path(dir, "log.2");
	struct reqlog *l = NULL;
	struct err e = {""};
	size_t before;

	(void)state;
	for (int round = 0; round < 2; round++) { /* opened anew it goes on where it was */
		assert_int_equal(reqlog_open(&l, path, MAX, &e), 0);
		for (int i = 0; i < 20; i++)
			assert_int_equal(reqlog_add(l, &record), 0);
		reqlog_close(l);
		assert_true(assert_file(path) >= 1);
		assert_true(assert_file(old) >= 2);
	}
	assert_int_not_equal(access(older, F_OK), 0);
	/* Somebody took it away: it is made again. */
	before = assert_file(old);
	assert_int_equal(reqlog_open(&l, path, MAX, &e), 0);
	unlink(path);
	for (int i = 0; i < 20; i++)
		reqlog_add(l, &record);
	reqlog_close(l);
	assert_true(assert_file(path) >= 1 && before >= 2);
	free(path);
	free(old);
	free(older);
	tmp_remove(dir);
}

/* What comes from others cannot break a line, and a folder that is not there is a sentence. */
static void
test_odd_words(void **state)
{
	char *dir = tmp_make(), *path = tmp_path(dir, "log"), *none = tmp_path(dir, "none/log");
	struct gateway_record odd = record;
	struct reqlog *l = NULL;
	struct err e = {""};

	(void)state;
	odd.model = "a\n\"b\" \xff";
	odd.why = "line\nline";
	assert_int_equal(reqlog_open(&l, path, MAX, &e), 0);
	assert_int_equal(reqlog_add(l, &odd), 0);
	reqlog_close(l);
	assert_int_equal(assert_file(path), 1);
	assert_true(reqlog_open(&l, none, MAX, &e) < 0);
	assert_non_null(strstr(e.msg, "cannot write the request log"));
	free(path);
	free(none);
	tmp_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rotates), cmocka_unit_test(test_odd_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
