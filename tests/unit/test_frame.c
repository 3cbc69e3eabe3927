/* frame: the header's bytes are the protocol; both directions and both refusals. */
#include "proto/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void
bytes_are_big_endian(void **state)
{
	static const unsigned char want[PROTO_FRAME_HEADER] = {
	    0, 1, 2, 3, 0, 42, 0, 0, 0xde, 0xad, 0xbe, 0xef};
	struct frame f = {.length = 0x010203, .id = 42, .request = 0xdeadbeef}, got;
	unsigned char header[PROTO_FRAME_HEADER];

	(void)state;
	frame_put(&f, header);
	assert_memory_equal(header, want, sizeof(want));
	assert_int_equal(frame_get(&got, header, NULL), 0);
	assert_int_equal(got.length, f.length);
	assert_int_equal(got.id, f.id);
	assert_int_equal(got.flags, 0);
	assert_int_equal(got.request, f.request);
}

static void
length_is_bounded(void **state)
{
	struct frame f = {.length = PROTO_FRAME_MAX, .id = 1}, got;
	unsigned char header[PROTO_FRAME_HEADER];
	struct err e;

	(void)state;
	frame_put(&f, header);
	assert_int_equal(frame_get(&got, header, &e), 0);
	f.length++;
	got.id = 7;
	frame_put(&f, header);
	assert_int_equal(frame_get(&got, header, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "over the limit"));
	assert_int_equal(got.id, 7); /* written only on success */
	memset(header, 0xff, 4);
	assert_int_equal(frame_get(&got, header, &e), -EPROTO);
}

static void
flags_are_refused(void **state)
{
	struct frame f = {.id = 1, .flags = 0x8001}, got;
	unsigned char header[PROTO_FRAME_HEADER];
	struct err e;

	(void)state;
	frame_put(&f, header);
	assert_int_equal(frame_get(&got, header, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "0x8001"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_big_endian),
	    cmocka_unit_test(length_is_bounded),
	    cmocka_unit_test(flags_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
