/* err: one sentence that keeps its reason and stays text, however long its parts are. */
#include "common/err.h"

#include "common/text.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <string.h>

static void
codes_and_texts(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "bad %s\n\n", "thing"), -EINVAL);
	assert_string_equal(e.msg, "bad thing");
	assert_int_equal(err_sys(&e, -ENOENT, "cannot open %s", "x"), -ENOENT);
	assert_string_equal(e.msg, "cannot open x: No such file or directory");
	assert_int_equal(err_prefix(&e, -EIO, "area %d", 1), -EIO);
	assert_string_equal(e.msg, "area 1: cannot open x: No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_sys(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_prefix(NULL, -EIO, "x"), -EIO);
}

/* A path of 4 KiB once filled the sentence and left no room for why. */
static void
reason_survives_long_words(void **state)
{
	const char *reason = ": Permission denied";
	char path[4096];
	struct err e;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	err_sys(&e, -EACCES, "cannot open %s", path);
	assert_string_equal(e.msg + strlen(e.msg) - strlen(reason), reason);
	err_set(&e, 0, "why");
	err_prefix(&e, 0, "%s", path);
	assert_string_equal(e.msg + strlen(e.msg) - 5, ": why");
}

static void
cut_text_stays_utf8(void **state)
{
	char text[3001] = "";
	struct err e;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\u20ac", 4);
		err_set(&e, 0, "%s", text);
		assert_true(text_is_utf8(e.msg, strlen(e.msg)));
		err_sys(&e, -EIO, "%s", text);
		assert_true(text_is_utf8(e.msg, strlen(e.msg)));
		err_set(&e, 0, "%s", text);
		err_prefix(&e, 0, "%s", text);
		assert_true(text_is_utf8(e.msg, strlen(e.msg)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(codes_and_texts),
	    cmocka_unit_test(reason_survives_long_words),
	    cmocka_unit_test(cut_text_stays_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
