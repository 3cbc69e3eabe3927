/* log: one line per call whatever it holds, and only what the level lets through. */
#include "common/log.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr, capture[2];

static void
capture_begin(void)
{
	saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(fd_pipe(capture, false), 0);
	dup2(capture[1], STDERR_FILENO);
}

/* What was logged since; the caller frees it. */
static char *
capture_end(void)
{
	char *text;

	dup2(saved_stderr, STDERR_FILENO);
	fd_close(&saved_stderr);
	fd_close(&capture[1]);
	assert_int_equal(fd_read_all(capture[0], 1 << 20, &text, NULL), 0);
	fd_close(&capture[0]);
	return text;
}

static void
line_has_its_form(void **state)
{
	char *text, *want = xasprintf(" warn unit[%d]: disk 7%% full\n", (int)getpid());

	(void)state;
	log_init("unit");
	capture_begin();
	log_warn("disk %d%% full", 7);
	text = capture_end();
	assert_int_equal(strspn(text, "0123456789-T:.Z"), 24);
	assert_string_equal(text + 24, want);
	free(want);
	free(text);
}

static void
text_forges_no_line(void **state)
{
	char *text, *newline;

	(void)state;
	capture_begin();
	log_error("%s", "bad\n2026-01-01T00:00:00.000Z info orchd[1]: all is well\r\x1b[2K");
	text = capture_end();
	newline = strchr(text, '\n');
	assert_non_null(newline);
	assert_int_equal(newline[1], '\0');
	assert_null(strchr(text, '\r'));
	assert_null(strchr(text, '\x1b'));
	free(text);
}

static void
long_line_is_cut(void **state)
{
	char *text, *big = xmalloc(10001);

	(void)state;
	memset(big, 'x', 10000);
	big[10000] = '\0';
	capture_begin();
	log_error("%s", big);
	text = capture_end();
	assert_in_range(strlen(text), 4000, 4096);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(big);
	free(text);
}

static void
level_filters(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("Debug"), -1);
	assert_int_equal(log_level_parse(""), -1);
	setenv("ORCH_LOG", "warn", 1);
	log_init("unit");
	unsetenv("ORCH_LOG");
	capture_begin();
	log_info("hidden");
	log_debug("hidden");
	log_warn("seen");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("also");
	text = capture_end();
	assert_null(strstr(text, "hidden"));
	assert_non_null(strstr(text, "seen\n"));
	assert_non_null(strstr(text, "also\n"));
	free(text);
}

static void
nowhere_to_write_is_survived(void **state)
{
	(void)state;
	saved_stderr = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	log_error("nobody hears this");
	dup2(saved_stderr, STDERR_FILENO);
	fd_close(&saved_stderr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(line_has_its_form),
	    cmocka_unit_test(text_forges_no_line),
	    cmocka_unit_test(long_line_is_cut),
	    cmocka_unit_test(level_filters),
	    cmocka_unit_test(nowhere_to_write_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
