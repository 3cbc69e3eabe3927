/* redact: a secret is found in every encoding that is common, in whatever pieces it comes, and nothing else.
 */
#include "common/redact.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "sk-test-dummy+/=~0123456789abcdef"

/* printf %s "$KEY" | base64, xxd -p and the like, done by hand once: not by the code under test. */
static const char *const encodings[] = {
    KEY,
    "sk-test-dummy+\\/=~0123456789abcdef",
    "sk-test-dummy\\u002b\\u002F=~0123456789abcdef",
    "sk-test-dummy\\\\u002b\\\\/=~0123456789abcdef",
    "sk-test-dummy%2B%2F%3D~0123456789abcdef",
    "sk%2dtest%2ddummy%2b/=%7e0123456789abcdef",
    "sk-test-dum\nmy+/=~0123456789abcdef",
    "sk-test-dum\\nmy+/=~01234\\r\\n56789abcdef",
    "sk-test-dum\\\\nmy+/=~0123456789abcdef",
    "s k - t e s t - d u m m y + / = ~ 0 1 2 3 4 5 6 7 8 9 a b c d e f",
    "sk-test-dummy+/=~ \t\r\n    0123456789abcdef",
    "736b2d746573742d64756d6d792b2f3d7e30313233343536373839616263646566",
    "736B2D746573742D64756D6D792B2F3D7E30313233343536373839616263646566",
    "736b 2d74 6573 742d 6475 6d6d 792b 2f3d\n7e30 3132 3334 3536 3738 3961 6263 6465 66",
    "\\x73\\x6b\\x2d\\x74est-dummy+/=~0123456789abcdef",
    "c2stdGVzdC1kdW1teSsvPX4wMTIzNDU2Nzg5YWJjZGVm",
    "c2stdGVzdC1kdW1teSsv\nPX4wMTIzNDU2Nzg5YWJjZGVm",
    "eHNrLXRlc3QtZHVtbXkrLz1+MDEyMzQ1Njc4OWFiY2RlZg==",     /* xKEY */
    "eHNrLXRlc3QtZHVtbXkrLz1-MDEyMzQ1Njc4OWFiY2RlZg",       /* the same, for URLs */
    "eHhzay10ZXN0LWR1bW15Ky89fjAxMjM0NTY3ODlhYmNkZWY=",     /* xxKEY */
    "eHh4c2stdGVzdC1kdW1teSsvPX4wMTIzNDU2Nzg5YWJjZGVmeHh4", /* xxxKEYxxx */
    "eHNrLXRlc3QtZHVtbXkrLz1%2BMDEyMzQ1Njc4OWFiY2RlZg%3D%3D",
};
#define ENCODINGS (sizeof(encodings) / sizeof(encodings[0]))

static struct redact *
make(void)
{
	struct redact *r = redact_new();

	redact_add(r, "work", KEY);
	return r;
}

/* What must be left of it: nothing of the middle, at most an edge of base64 that a neighbour shares. */
static void
assert_clean(const char *text, const char *what)
{
	if (strstr(text, "[redacted:work]") == NULL || strlen(text) > strlen("<[redacted:work]>") + 12)
		fail_msg("\"%s\" became \"%s\"", what, text);
}

static void
every_encoding_is_found(void **state)
{
	struct redact *r = make();

	(void)state;
	for (size_t i = 0; i < ENCODINGS; i++) {
		char *text = xasprintf("<%s>", encodings[i]), *clean;
		const char *name = NULL;
		size_t n = 0;

		clean = redact_text(r, text, strlen(text), &n);
		if (clean == NULL)
			fail_msg("not found: %s", text);
		assert_int_equal(n, strlen(clean));
		assert_clean(clean, text);
		assert_true(redact_finds(r, text, strlen(text), &name));
		assert_string_equal(name, "work");
		free(clean);
		free(text);
	}
	redact_free(r);
}

static void
ordinary_text_stays(void **state)
{
	static const char *const texts[] = {"", "sk-test-dummy", "sk-test-dummy+/=~0123456789abcde", "\\",
	    "%", "%7", "\\u00", "task disk ask sk-", "s\\k-test-dummy+/=~0123456789abcdef",
	    "sk-test-dummy+/=~0123456789abcdeg", "c2stdGVzdC1kdW1teSsvPX4wMTIz"};
	struct redact *r = make();

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(redact_text(r, texts[i], strlen(texts[i]), NULL));
	assert_null(redact_text(NULL, KEY, strlen(KEY), NULL));
	redact_free(r);
}

static void
what_is_around_it_stays(void **state)
{
	struct redact *r = make();
	char *clean;

	(void)state;
	redact_add(r, "other", "sk-test-dummy-other");
	redact_add(r, "short", "1234567");
	clean = redact_text(r, "a\\n " KEY "\\n\\\"" KEY "\" sk-test-dummy-other\n 1234567",
	    strlen("a\\n " KEY "\\n\\\"" KEY "\" sk-test-dummy-other\n 1234567"), NULL);
	assert_string_equal(clean, "a\\n [redacted:work]\\n\\\"[redacted:work]\" [redacted:other]\n 1234567");
	free(clean);
	redact_free(r);
}

struct collected {
	char text[4096];
	size_t size;
};

static void
collect(void *arg, const char *data, size_t size)
{
	struct collected *c = arg;

	assert_true(c->size + size < sizeof(c->text));
	memcpy(c->text + c->size, data, size);
	c->size += size;
	c->text[c->size] = '\0';
}

/* Split anywhere, and byte by byte: the same comes out. */
static void
a_stream_may_be_cut_anywhere(void **state)
{
	struct redact *r = make();

	(void)state;
	for (size_t i = 0; i < ENCODINGS; i++) {
		char *text = xasprintf("before sk <%s> %% after \\", encodings[i]);
		size_t size = strlen(text);
		char *whole = redact_text(r, text, size, NULL);

		for (size_t cut = 0; cut <= size; cut++) {
			struct collected c = {.size = 0};
			struct redact_stream s = {.r = r, .sink = collect, .arg = &c};

			redact_stream_feed(&s, text, cut);
			redact_stream_feed(&s, text + cut, size - cut);
			redact_stream_end(&s);
			assert_string_equal(c.text, whole);
		}
		for (int bytes = 1; bytes < 4; bytes++) {
			struct collected c = {.size = 0};
			struct redact_stream s = {.r = r, .sink = collect, .arg = &c};

			for (size_t at = 0; at < size; at += (size_t)bytes)
				redact_stream_feed(
				    &s, text + at, size - at < (size_t)bytes ? size - at : (size_t)bytes);
			redact_stream_end(&s);
			assert_string_equal(c.text, whole);
		}
		free(whole);
		free(text);
	}
	redact_free(r);
}

static void
a_line_is_not_kept_waiting(void **state)
{
	struct collected c = {.size = 0};
	struct redact *r = make();
	struct redact_stream s = {.r = r, .sink = collect, .arg = &c};

	(void)state;
	redact_stream_feed(&s, "{\"type\":\"system\"}\n", 18);
	assert_string_equal(c.text, "{\"type\":\"system\"}\n");
	redact_stream_feed(&s, "x sk-te", 7);
	assert_string_equal(c.text, "{\"type\":\"system\"}\nx ");
	redact_stream_feed(&s, "ll", 2);
	assert_string_equal(c.text, "{\"type\":\"system\"}\nx sk-tell");
	redact_stream_end(&s);
	redact_free(r);
}

static void
count(void *arg, const char *data, size_t size)
{
	(void)data;
	*(size_t *)arg += size;
}

static void
what_is_held_is_bounded(void **state)
{
	static char blanks[4096];
	struct redact *r = make();
	size_t out = 0, in = 3;
	struct redact_stream s = {.r = r, .sink = count, .arg = &out};

	(void)state;
	memset(blanks, ' ', sizeof(blanks));
	redact_stream_feed(&s, "sk-", 3);
	for (; in < 4 * REDACT_HOLD_MAX; in += sizeof(blanks)) {
		redact_stream_feed(&s, blanks, sizeof(blanks));
		assert_true(s.size <= REDACT_HOLD_MAX);
	}
	assert_true(out >= REDACT_HOLD_MAX);
	redact_stream_end(&s);
	assert_int_equal(out, in);
	redact_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_encoding_is_found),
	    cmocka_unit_test(ordinary_text_stays),
	    cmocka_unit_test(what_is_around_it_stays),
	    cmocka_unit_test(a_stream_may_be_cut_anywhere),
	    cmocka_unit_test(a_line_is_not_kept_waiting),
	    cmocka_unit_test(what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
