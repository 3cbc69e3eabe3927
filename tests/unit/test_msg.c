/*
 * msg: every message with every field goes there and back; whatever the schema does not
 * allow is refused with a sentence. The fields are walked by the schema's own macros, so
 * a new message is tested by being there.
 */
#include "common/redact.h"
#include "proto/msg.h"

#include "common/alloc.h"
#include "proto/frame.h"

#include <errno.h>
#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum fill { LARGEST, SMALL, REQUIRED };
enum need { OPT, REQ };

static char *strings[64]; /* made for the message in work */
static size_t string_count;

static void
drop_strings(void)
{
	while (string_count > 0)
		free(strings[--string_count]);
}

/* LARGEST is the field's maximum: that a message of such fields still fits into a frame is a law of the
 * schema. */
static const char *
some_text(const char *name, size_t max, enum fill fill)
{
	size_t size = fill == LARGEST ? max : strlen(name);
	char *s = xmalloc(size + 1);

	memset(s, 'x', size);
	memcpy(s, name, strlen(name) < size ? strlen(name) : size);
	s[size] = '\0';
	strings[string_count++] = s;
	return s;
}

#define FILL_u64(name, max) (fill == LARGEST ? UINT64_MAX : sizeof(name))
#define FILL_bool(name, max) true
#define FILL_str(name, max) some_text(name, max, fill)
#define FILL_secret FILL_str

#define SAME_u64(a, b) assert_true((a) == (b))
#define SAME_bool(a, b) assert_true((a) == (b))
#define SAME_str(a, b)                                                                                       \
	do {                                                                                                 \
		assert_int_equal((a) == NULL, (b) == NULL);                                                  \
		if ((a) != NULL)                                                                             \
			assert_string_equal(a, b);                                                           \
	} while (0);
#define SAME_secret SAME_str

#define F(kind, name, need, max)                                                                             \
	if (need == REQ || fill != REQUIRED)                                                                 \
		s->name = FILL_##kind(#name, max);
#define M(id_, NAME, name_, from, to)                                                                        \
	static void full_##name_(struct msg *m, enum fill fill)                                              \
	{                                                                                                    \
		struct msg_##name_ *s = &m->name_;                                                           \
		m->id = id_;                                                                                 \
		MSG_##NAME##_FIELDS(F)                                                                       \
	}
MESSAGE_LIST(M)
#undef M
#undef F

#define F(kind, name, need, max) SAME_##kind(a->name, b->name);
#define M(id_, NAME, name_, from, to)                                                                        \
	static void same_##name_(const struct msg *ma, const struct msg *mb)                                 \
	{                                                                                                    \
		const struct msg_##name_ *a = &ma->name_, *b = &mb->name_;                                   \
		MSG_##NAME##_FIELDS(F)                                                                       \
	}
MESSAGE_LIST(M)
#undef M
#undef F

static const struct row {
	unsigned id;
	const char *name;
	void (*full)(struct msg *, enum fill);
	void (*same)(const struct msg *, const struct msg *);
} rows[] = {
#define M(id_, NAME, name_, from, to) {id_, #NAME, full_##name_, same_##name_},
    MESSAGE_LIST(M)
#undef M
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Encodes and gives the payload, which lives in *b. */
static const unsigned char *
encoded(const struct msg *m, struct evbuffer *b, size_t *size)
{
	unsigned char *all;
	struct frame f;
	struct err e = {.msg = ""};
	int rc = msg_encode(m, b, &e);

	assert_string_equal(e.msg, "");
	assert_int_equal(rc, 0);
	all = evbuffer_pullup(b, -1);
	assert_int_equal(frame_get(&f, all, NULL), 0);
	assert_int_equal(f.id, m->id);
	assert_int_equal(f.request, m->request);
	assert_int_equal(f.length + PROTO_FRAME_HEADER, evbuffer_get_length(b));
	*size = f.length;
	return all + PROTO_FRAME_HEADER;
}

static void
one_there_and_back(const struct row *row, enum fill fill)
{
	struct evbuffer *b = evbuffer_new();
	struct msg m = {.request = row->id * 1000u}, got, *copy;
	const unsigned char *payload;
	unsigned char *tight;
	void *arena;
	size_t size;

	row->full(&m, fill);
	assert_string_equal(msg_name(m.id), row->name);
	payload = encoded(&m, b, &size);
	tight = xmalloc(size); /* exactly the payload, so that the sanitiser sees a read past it */
	memcpy(tight, payload, size);
	assert_int_equal(msg_decode(m.id, m.request, tight, size, &got, &arena, NULL), 0);
	free(tight);
	assert_int_equal(got.id, m.id);
	assert_int_equal(got.request, m.request);
	row->same(&m, &got);
	copy = msg_dup(&got);
	assert_int_equal(copy->request, m.request);
	free(arena);
	row->same(&m, copy);
	free(copy);
	evbuffer_free(b);
	drop_strings();
}

static void
there_and_back(void **state)
{
	(void)state;
	for (size_t n = 0; n < ROWS; n++) {
		one_there_and_back(&rows[n], LARGEST);
		one_there_and_back(&rows[n], SMALL);
		one_there_and_back(&rows[n], REQUIRED);
	}
}

/* Every proper prefix of every message is refused, and nothing is read behind it. */
static void
cut_anywhere(void **state)
{
	(void)state;
	for (size_t n = 0; n < ROWS; n++) {
		struct evbuffer *b = evbuffer_new();
		struct msg m = {0}, got;
		const unsigned char *payload;
		struct err e;
		void *arena;
		size_t size;

		rows[n].full(&m, SMALL);
		payload = encoded(&m, b, &size);
		for (size_t cut = 0; cut < size; cut++) {
			unsigned char *tight = xmalloc(cut + 1);

			memcpy(tight + 1, payload, cut);
			e.msg[0] = '\0';
			assert_int_equal(msg_decode(m.id, 0, tight + 1, cut, &got, &arena, &e), -EPROTO);
			assert_string_not_equal(e.msg, "");
			free(tight);
		}
		evbuffer_free(b);
		drop_strings();
	}
}

#define BYTES(s) s, sizeof(s) - 1

/* why: part of the sentence; NULL: it decodes. */
static void
expect(unsigned id, const char *payload, size_t size, const char *why)
{
	struct msg m;
	struct err e = {.msg = ""};
	void *arena = NULL;
	int rc = msg_decode(id, 0, payload, size, &m, &arena, &e);

	if (why != NULL && strstr(e.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.msg, why);
	assert_int_equal(rc, why == NULL ? 0 : -EPROTO);
	free(arena);
}

static void
malformed_maps(void **state)
{
	(void)state;
	expect(99, BYTES("\x80"), "no message 99");
	expect(MSG_PING, BYTES(""), "malformed");
	expect(MSG_PING, BYTES("\xa4ping"), "not a map");
	expect(MSG_PING, BYTES("\x91\x01"), "not a map");
	expect(MSG_PING, BYTES("\x80"), "seq is missing");
	expect(MSG_PING, BYTES("\x81\xa3seq\x07"), NULL);
	expect(MSG_PING, BYTES("\x81\xa3seq\x07\xc0"), "bytes follow");
	expect(MSG_PING, BYTES("\x81\x01\x07"), "name is not text");
	expect(MSG_PING, BYTES("\x81\xc1\x07"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa3seq\x07"), "seq is there twice");
	expect(MSG_END,
	    BYTES("\x82\xa5"
		  "count\xc0\xa5"
		  "count\x07"),
	    "count is there twice");
}

static void
wrong_values(void **state)
{
	(void)state;
	expect(MSG_PING, BYTES("\x81\xa3seq\xff"), "seq is not a number from 0");
	expect(MSG_PING, BYTES("\x81\xa3seq\xd1\xff\x00"), "seq is not a number from 0");
	expect(MSG_PING, BYTES("\x81\xa3seq\xd1\x00\xff"), NULL);
	expect(MSG_PING, BYTES("\x81\xa3seq\xa1x"), "seq is not");
	expect(MSG_PING, BYTES("\x81\xa3seq\xc0"), "seq is not");
	expect(MSG_PING, BYTES("\x81\xa3seq\x91\x07"), "seq is not");
	expect(MSG_PING, BYTES("\x81\xa3seq\xcb\0\0\0\0\0\0\0\0"), "seq is not");
	expect(MSG_ACK, BYTES("\x80"), NULL);
	expect(MSG_ACK, BYTES("\x81\xa4text\xc0"), NULL);
	expect(MSG_ACK, BYTES("\x81\xa4text\xc4\x01x"), "text is not text");
	expect(MSG_ACK,
	    BYTES("\x81\xa4text\xa3"
		  "a\0b"),
	    "not UTF-8");
	expect(MSG_ACK, BYTES("\x81\xa4text\xa2\xc0\xaf"), "not UTF-8");
	expect(MSG_ACK, BYTES("\x81\xa4text\xa3\xed\xa0\x80"), "not UTF-8");
	expect(MSG_ACK, BYTES("\x81\xa4text\xa1\xc3"), "not UTF-8");
	expect(MSG_STATUS,
	    BYTES("\x81\xa3"
		  "all\x01"),
	    "all is not true or false");
}

/* Five bytes that claim half a billion elements: msgpack-c would reserve 13 GB for the first. */
static void
claimed_counts(void **state)
{
	(void)state;
	expect(MSG_PING, BYTES("\xdd\x1f\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\xdf\x1f\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa1?\xdd\x1f\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa1?\xdf\xff\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa1?\xdb\xff\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa1?\xc6\xff\xff\xff\xff"), "malformed");
	expect(MSG_PING, BYTES("\x82\xa3seq\x07\xa1?\xc9\xff\xff\xff\xff\x01"), "malformed");
	expect(MSG_PING, BYTES("\x8f\xa3seq\x07"), "malformed");
}

/* A newer peer may send fields that we do not know, of any shape that is bounded. */
static void
unknown_fields(void **state)
{
	(void)state;
	expect(MSG_PING, BYTES("\x82\xa3new\xa1x\xa3seq\x07"), NULL);
	expect(MSG_PING, BYTES("\x82\xa3new\xcb\0\0\0\0\0\0\0\0\xa3seq\x07"), NULL);
	expect(MSG_PING, BYTES("\x82\xa3new\xd4\x01\x02\xa3seq\x07"), NULL);
	expect(MSG_PING, BYTES("\x82\xa3new\xc7\x02\x01zz\xa3seq\x07"), NULL);
	expect(MSG_PING,
	    BYTES("\x82\xa3new\x82\xa1"
		  "a\x93\x01\xc2\xc3\xa1"
		  "b\xc0\xa3seq\x07"),
	    NULL);
	expect(MSG_PING, BYTES("\x82\xa3new\x91\x91\x91\x91\x91\x91\x91\x91\x01\xa3seq\x07"), NULL);
	expect(
	    MSG_PING, BYTES("\x82\xa3new\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01\xa3seq\x07"), "malformed");
}

static void
over_the_maximum(void **state)
{
	struct evbuffer *b = evbuffer_new();
	char text[TEXT_MAX + 2], payload[9 + TEXT_MAX + 1];
	struct msg m = {.id = MSG_ACK, .ack = {.text = text}};
	struct err e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	evbuffer_add(b, "kept", 4);
	assert_int_equal(msg_encode(&m, b, &e), -EMSGSIZE);
	assert_string_equal(e.msg, "ACK: text has 4097 bytes, over its limit of 4096");
	assert_int_equal(evbuffer_get_length(b), 4);
	memcpy(payload, "\x81\xa4text\xda\x10\x01", 9);
	memcpy(payload + 9, text, TEXT_MAX + 1);
	expect(MSG_ACK, payload, sizeof(payload), "over its limit of 4096");
	evbuffer_free(b);
}

static void
bad_for_encoding(void **state)
{
	struct evbuffer *b = evbuffer_new();
	struct msg m = {.id = MSG_FAIL, .fail = {.task = "25/em1"}};
	struct err e;

	(void)state;
	assert_int_equal(msg_encode(&m, b, &e), -EINVAL);
	assert_string_equal(e.msg, "FAIL: reason is missing");
	m.fail.reason = "\xff";
	assert_int_equal(msg_encode(&m, b, &e), -EINVAL);
	assert_string_equal(e.msg, "FAIL: reason is not UTF-8 text");
	m.id = (enum msg_id)9;
	assert_int_equal(msg_encode(&m, b, &e), -EINVAL);
	assert_int_equal(evbuffer_get_length(b), 0);
	assert_null(msg_name(9));
	evbuffer_free(b);
}

/* NOTE's contract rests on it: "" clears what is stored, an absent field leaves it. */
static void
empty_is_not_absent(void **state)
{
	struct evbuffer *b = evbuffer_new();
	struct msg m = {.id = MSG_NOTE, .note = {.head = ""}}, got;
	const unsigned char *payload;
	void *arena;
	size_t size;

	(void)state;
	payload = encoded(&m, b, &size);
	assert_int_equal(msg_decode(MSG_NOTE, 0, payload, size, &got, &arena, NULL), 0);
	assert_non_null(got.note.head);
	assert_string_equal(got.note.head, "");
	assert_null(got.note.base);
	free(arena);
	evbuffer_free(b);
}

static void
printed(void **state)
{
	struct msg m = {.id = MSG_FAIL, .request = 7, .fail = {.task = "25/em1", .reason = "a\nb\x1b[1m"}};
	char buf[256], small[12];

	(void)state;
	assert_string_equal(msg_text(&m, buf, sizeof(buf)), "FAIL request=7 task=25/em1 reason=a b [1m");
	assert_string_equal(msg_text(&m, small, sizeof(small)), "FAIL reques");
	/* 58 bytes and two characters of three: the first of them does not fit whole. */
	m.fail.reason = "0123456789012345678901234567890123456789012345678901234567\xe2\x82\xac\xe2\x82\xac";
	msg_text(&m, buf, sizeof(buf));
	assert_non_null(strstr(buf, "01234567..."));
	m = (struct msg){.id = MSG_STATUS, .status = {.all = true}};
	assert_string_equal(msg_text(&m, buf, sizeof(buf)), "STATUS all=true");
}

static void
secrets_are_not_printed(void **state)
{
	struct msg m = {.id = MSG_SECRETS, .secrets = {.name = "work", .env_json = "[\"K=sk-test-dummy\"]"}};
	char buf[256];

	(void)state;
	assert_string_equal(msg_text(&m, buf, sizeof(buf)), "SECRETS name=work env_json=(secret)");
	assert_true(msg_is_secret(MSG_SECRETS));
	assert_true(msg_is_secret(MSG_KEYS));
	assert_false(msg_is_secret(MSG_ASSIGN));
}

static void
secrets_are_taken_out(void **state)
{
	struct msg m = {.id = MSG_REWORK,
	    .request = 3,
	    .rework = {.task = "25", .reason = "sk-test-dummy", .evidence = "a sk-test-\ndummy b"}};
	struct redact *r = redact_new();
	char big[TEXT_MAX + 1];
	struct msg *clean;

	(void)state;
	assert_null(msg_redact(&m, NULL));
	assert_null(msg_redact(&m, r));
	redact_add(r, "work", "sk-test-dummy");
	clean = msg_redact(&m, r);
	assert_non_null(clean);
	assert_int_equal(clean->request, 3);
	assert_string_equal(clean->rework.task, "25");
	assert_string_equal(clean->rework.reason, "[redacted:work]");
	assert_string_equal(clean->rework.evidence, "a [redacted:work] b");
	assert_null(clean->rework.merge_from);
	free(clean);
	/* The label is longer than the secret: what no longer fits its field is cut. */
	memset(big, 'x', sizeof(big));
	big[TEXT_MAX] = '\0';
	memcpy(big, "sk-test-dummy", 13);
	m.rework.reason = big;
	clean = msg_redact(&m, r);
	assert_true(strlen(clean->rework.reason) <= TEXT_MAX);
	free(clean);
	m = (struct msg){.id = MSG_SECRETS, .secrets = {.name = "work", .env_json = "[\"sk-test-dummy\"]"}};
	assert_null(msg_redact(&m, r));
	redact_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(cut_anywhere),
	    cmocka_unit_test(malformed_maps),
	    cmocka_unit_test(wrong_values),
	    cmocka_unit_test(claimed_counts),
	    cmocka_unit_test(unknown_fields),
	    cmocka_unit_test(over_the_maximum),
	    cmocka_unit_test(bad_for_encoding),
	    cmocka_unit_test(empty_is_not_absent),
	    cmocka_unit_test(printed),
	    cmocka_unit_test(secrets_are_not_printed),
	    cmocka_unit_test(secrets_are_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
