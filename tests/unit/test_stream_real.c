/*
 * stream_real: streams that the real CLI wrote (tests/fuzz/corpus/stream/real-*, by tests/real/record): all
 * of each is understood, and it is the same whole, byte by byte, and split or cut anywhere.
 */
#include "common/stream.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER ORCH_SOURCE_DIR "/tests/fuzz/corpus/stream"
#define KINDS (STREAM_GARBAGE + 1)

/* Long lines are split at every STRIDE-th byte, from another one in each file. */
#define LONG 600
#define STRIDE 37

struct sum {
	uint64_t hash;
	unsigned count[KINDS];
};

static void
add_text(struct sum *s, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		s->hash = (s->hash ^ (unsigned char)*text) * 1099511628211u;
	s->hash = (s->hash ^ 0xff) * 1099511628211u;
}

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct sum *s = arg;

	s->count[ev->kind]++;
	s->hash = (s->hash ^ (uint64_t)ev->kind ^ (uint64_t)ev->http_status << 8 ^ ev->attempt << 24) *
		  1099511628211u;
	add_text(s, ev->session);
	add_text(s, ev->text);
	add_text(s, ev->tool);
	add_text(s, ev->error);
}

/* Feeds size bytes, the first ones by themselves, and tells what came of it. */
static struct sum
sum_of(const char *text, size_t size, size_t first, size_t step, struct stream *s)
{
	struct sum sum = {0};

	stream_init(s, on_event, &sum);
	stream_feed(s, text, first);
	for (size_t at = first, n; at < size; at += n) {
		n = step < size - at ? step : size - at;
		stream_feed(s, text + at, n);
	}
	stream_end(s);
	add_text(&sum, s->result.text);
	add_text(&sum, s->result.errors);
	add_text(&sum, s->result.structured);
	add_text(&sum, s->session);
	return sum;
}

static bool
same(const struct sum *a, const struct sum *b)
{
	return a->hash == b->hash && memcmp(a->count, b->count, sizeof(a->count)) == 0;
}

/* The files. */

static void
each_file(void (*fn)(const char *name, const char *text, size_t size, size_t index))
{
	struct dirent **names;
	int n = scandir(FOLDER, &names, NULL, alphasort);
	size_t seen = 0;

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf(FOLDER "/%s", names[i]->d_name), *text;
		size_t size;

		if (strncmp(names[i]->d_name, "real-", 5) == 0) {
			assert_int_equal(fd_read_file(path, 65536, &text, &size), 0);
			fn(names[i]->d_name + 5, text, size, seen++);
			free(text);
		}
		free(path);
		free(names[i]);
	}
	free(names);
	assert_true(seen >= 30);
}

static void
check_understood(const char *name, const char *text, size_t size, size_t index)
{
	/* Whether we ended it before it could give a result is in its name. */
	bool ended = strstr(name, "-until-") == NULL;
	struct stream s;
	struct sum sum = sum_of(text, size, 0, size, &s);

	(void)index;
	if (s.garbage != 0 || s.result.present != ended || s.open_tools != 0)
		fail_msg("%s: %llu lines of garbage, %u results, %u open tools", name,
		    (unsigned long long)s.garbage, s.result.count, s.open_tools);
	if (ended && s.result.is_error == false && s.result.terminal_reason == NULL)
		fail_msg("%s: a good end without its reason", name);
	if (sum.count[STREAM_STARTED] > 1)
		fail_msg("%s: started %u times", name, sum.count[STREAM_STARTED]);
	stream_clear(&s);
}

static void
check_bytes(const char *name, const char *text, size_t size, size_t index)
{
	struct stream whole, bytes;
	struct sum a = sum_of(text, size, 0, size, &whole), b = sum_of(text, size, 0, 1, &bytes);

	(void)index;
	if (!same(&a, &b) || whole.lines != bytes.lines || whole.retries != bytes.retries ||
	    whole.result.cost_uusd != bytes.result.cost_uusd)
		fail_msg("%s: byte by byte it says something else", name);
	stream_clear(&whole);
	stream_clear(&bytes);
}

/* Calls fn for places in every line. */
static void
each_place(const char *name, const char *text, size_t size, size_t index,
    void (*fn)(const char *name, const char *line, size_t length, size_t place))
{
	for (const char *line = text, *end; line < text + size; line = end + 1) {
		size_t length, step;

		end = memchr(line, '\n', size - (size_t)(line - text));
		assert_non_null(end);
		length = (size_t)(end - line);
		step = length > LONG ? STRIDE : 1;
		for (size_t at = step > 1 ? index % STRIDE : 0; at < length; at += step)
			fn(name, line, length, at);
	}
}

static void
check_split_at(const char *name, const char *line, size_t length, size_t place)
{
	struct stream whole, parts;
	struct sum a = sum_of(line, length + 1, 0, length + 1, &whole);
	struct sum b = sum_of(line, length + 1, place, length + 1, &parts);

	if (!same(&a, &b))
		fail_msg("%s: split at byte %zu of a line it says something else: %.80s", name, place, line);
	stream_clear(&whole);
	stream_clear(&parts);
}

static void
check_split(const char *name, const char *text, size_t size, size_t index)
{
	each_place(name, text, size, index, check_split_at);
}

/* A line that is cut is garbage and nothing else. */
static void
check_cut_at(const char *name, const char *line, size_t length, size_t place)
{
	struct stream s;
	struct sum sum = sum_of(line, place, 0, place + 1, &s);
	unsigned all = 0;

	(void)length;
	for (size_t i = 0; i < KINDS; i++)
		all += sum.count[i];
	if (all != (place > 0) || sum.count[STREAM_GARBAGE] != all || s.result.present)
		fail_msg("%s: cut at byte %zu a line still says something: %.80s", name, place, line);
	stream_clear(&s);
}

static void
check_cut(const char *name, const char *text, size_t size, size_t index)
{
	each_place(name, text, size, index, check_cut_at);
}

static void
test_understood(void **state)
{
	(void)state;
	each_file(check_understood);
}

static void
test_byte_by_byte(void **state)
{
	(void)state;
	each_file(check_bytes);
}

static void
test_split_anywhere(void **state)
{
	(void)state;
	each_file(check_split);
}

static void
test_cut_anywhere(void **state)
{
	(void)state;
	each_file(check_cut);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_understood),
	    cmocka_unit_test(test_byte_by_byte),
	    cmocka_unit_test(test_split_anywhere),
	    cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
