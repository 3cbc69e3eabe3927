/*
 * msg: one encoder and one decoder for all messages, driven by the field descriptors that
 * the schema's macros produce (proto/desc).
 */
#include "proto/msg.h"

#include "common/alloc.h"
#include "common/text.h"
#include "proto/desc.h"
#include "proto/frame.h"
#include "proto/wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#define NEST_MAX 8 /* containers inside a field that we do not know */

const char *
msg_name(unsigned id)
{
	const struct desc *d = desc_find(id);

	return d == NULL ? NULL : d->name;
}

/* Encoding. */

static int
check_size(const struct desc *d, const struct field *f, size_t size, int code, struct err *e)
{
	if (size <= f->max)
		return 0;
	return err_set(
	    e, code, "%s: %s has %zu bytes, over its limit of %zu", d->name, f->name, size, f->max);
}

static int
check_field(const struct desc *d, const struct field *f, const void *value, struct err *e)
{
	bool bytes = f->kind == KIND_str || f->kind == KIND_blob;

	if (!bytes)
		return 0;
	if (desc_absent(f, value))
		return f->need == OPT ? 0 : err_set(e, -EINVAL, "%s: %s is missing", d->name, f->name);
	if (f->kind == KIND_blob)
		return check_size(d, f, ((const struct msg_blob *)value)->size, -EMSGSIZE, e);

	const char *s = *(const char *const *)value;
	size_t size = strlen(s);

	if (check_size(d, f, size, -EMSGSIZE, e) < 0)
		return -EMSGSIZE;
	if (!text_is_utf8(s, size))
		return err_set(e, -EINVAL, "%s: %s is not UTF-8 text", d->name, f->name);
	return 0;
}

static void
pack_value(msgpack_packer *pk, const struct field *f, const void *value)
{
	switch (f->kind) {
	case KIND_u64:
		msgpack_pack_uint64(pk, *(const uint64_t *)value);
		return;
	case KIND_i64:
		msgpack_pack_int64(pk, *(const int64_t *)value);
		return;
	case KIND_bool:
		if (*(const bool *)value)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		return;
	case KIND_str: {
		const char *s = *(const char *const *)value;
		size_t size = strlen(s);

		msgpack_pack_str(pk, size);
		msgpack_pack_str_body(pk, s, size);
		return;
	}
	case KIND_blob: {
		const struct msg_blob *b = value;

		msgpack_pack_bin(pk, b->size);
		msgpack_pack_bin_body(pk, b->data, b->size);
		return;
	}
	}
}

static void
pack_map(msgpack_packer *pk, const struct desc *d, const struct msg *m)
{
	size_t present = 0;

	for (size_t i = 0; i < d->count; i++)
		present +=
		    d->fields[i].need == REQ || !desc_absent(&d->fields[i], desc_slot(m, &d->fields[i]));
	msgpack_pack_map(pk, present);
	for (size_t i = 0; i < d->count; i++) {
		const struct field *f = &d->fields[i];

		if (f->need == OPT && desc_absent(f, desc_slot(m, f)))
			continue;
		msgpack_pack_str(pk, f->name_size);
		msgpack_pack_str_body(pk, f->name, f->name_size);
		pack_value(pk, f, desc_slot(m, f));
	}
}

/* No value takes more than this in the map, its name included (msgpack's longest heads have 5 bytes, 9 for a
 * number). */
static size_t
most_bytes(const struct field *f, const void *value)
{
	size_t size = 5 + f->name_size + 9;

	if (f->kind == KIND_str && !desc_absent(f, value))
		size += strlen(*(const char *const *)value);
	else if (f->kind == KIND_blob)
		size += ((const struct msg_blob *)value)->size;
	return size;
}

static int
write_memory(void *arg, const char *data, size_t size)
{
	char **at = arg;

	memcpy(*at, data, size);
	*at += size;
	return 0;
}

int
msg_encode(const struct msg *m, struct evbuffer *out, struct err *e)
{
	const struct desc *d = desc_find(m->id);
	struct frame f = {.id = (uint16_t)m->id, .request = m->request};
	size_t most = PROTO_FRAME_HEADER + 5, size;
	struct evbuffer_iovec room;
	msgpack_packer pk;
	char *start, *at;
	int rc;

	if (d == NULL)
		return err_set(e, -EINVAL, "there is no message %u", (unsigned)m->id);
	for (size_t i = 0; i < d->count; i++) {
		rc = check_field(d, &d->fields[i], desc_slot(m, &d->fields[i]), e);
		if (rc < 0)
			return rc;
		most += most_bytes(&d->fields[i], desc_slot(m, &d->fields[i]));
	}
	if (evbuffer_reserve_space(out, (ev_ssize_t)most, &room, 1) < 1)
		return err_set(e, -ENOMEM, "%s: out of memory", d->name);
	start = at = (char *)room.iov_base + PROTO_FRAME_HEADER;
	msgpack_packer_init(&pk, &at, write_memory);
	pack_map(&pk, d, m);
	size = (size_t)(at - start);
	if (size > PROTO_FRAME_MAX)
		return err_set(
		    e, -EMSGSIZE, "%s: %zu bytes are over the limit of %u", d->name, size, PROTO_FRAME_MAX);
	f.length = (uint32_t)size;
	frame_put(&f, room.iov_base);
	room.iov_len = PROTO_FRAME_HEADER + size;
	evbuffer_commit_space(out, &room, 1);
	return 0;
}

/* Decoding. */

struct decoder {
	const struct desc *desc;
	struct msg *m;
	uint64_t seen; /* bit i: field i was there */
	size_t next;   /* where the search for a name begins: senders keep the schema's order */
	char *arena;   /* rest of it */
};

static const struct field *
find_field(struct decoder *dec, const char *name, size_t size)
{
	const struct desc *d = dec->desc;

	for (size_t n = 0; n < d->count; n++) {
		size_t i = (dec->next + n) % d->count;

		if (d->fields[i].name_size == size && memcmp(d->fields[i].name, name, size) == 0) {
			dec->next = (i + 1) % d->count;
			return &d->fields[i];
		}
	}
	return NULL;
}

/*
 * Copies a str or bin with a NUL behind it. The arena is as big as the payload, where each
 * of these took at least one byte more than its content: it cannot overflow.
 */
static const char *
keep(struct decoder *dec, const struct wire_value *v)
{
	char *s = dec->arena;

	memcpy(s, v->data, v->size);
	s[v->size] = '\0';
	dec->arena += v->size + 1;
	return s;
}

static int
wrong_type(const struct decoder *dec, const struct field *f, struct err *e)
{
	static const char *const wanted[] = {
	    [KIND_u64] = "a number from 0 on",
	    [KIND_i64] = "a number",
	    [KIND_bool] = "true or false",
	    [KIND_str] = "text",
	    [KIND_blob] = "bytes",
	};

	return err_set(e, -EPROTO, "%s: %s is not %s", dec->desc->name, f->name, wanted[f->kind]);
}

static int
store(struct decoder *dec, const struct field *f, const struct wire_value *v, struct err *e)
{
	void *to = desc_slot_mut(dec->m, f);

	switch (f->kind) {
	case KIND_u64:
		if (v->type != WIRE_UINT)
			return wrong_type(dec, f, e);
		*(uint64_t *)to = v->u;
		return 0;
	case KIND_i64:
		if (v->type != WIRE_INT && (v->type != WIRE_UINT || v->u > INT64_MAX))
			return wrong_type(dec, f, e);
		*(int64_t *)to = v->type == WIRE_INT ? v->i : (int64_t)v->u;
		return 0;
	case KIND_bool:
		if (v->type != WIRE_BOOL)
			return wrong_type(dec, f, e);
		*(bool *)to = v->truth;
		return 0;
	case KIND_str:
		if (v->type != WIRE_STR)
			return wrong_type(dec, f, e);
		if (check_size(dec->desc, f, v->size, -EPROTO, e) < 0)
			return -EPROTO;
		if (!text_is_utf8(v->data, v->size))
			return err_set(e, -EPROTO, "%s: %s is not UTF-8 text", dec->desc->name, f->name);
		*(const char **)to = keep(dec, v);
		return 0;
	case KIND_blob:
		if (v->type != WIRE_BIN)
			return wrong_type(dec, f, e);
		if (check_size(dec->desc, f, v->size, -EPROTO, e) < 0)
			return -EPROTO;
		*(struct msg_blob *)to = (struct msg_blob){keep(dec, v), v->size};
		return 0;
	}
	return -EPROTO;
}

static int
malformed(const struct decoder *dec, struct err *e)
{
	return err_set(e, -EPROTO, "%s: the payload is malformed or cut off", dec->desc->name);
}

static int
decode_pair(struct decoder *dec, struct wire *w, struct err *e)
{
	struct wire_value v;
	const struct field *f;
	uint64_t bit;

	if (wire_next(w, &v) < 0)
		return malformed(dec, e);
	if (v.type != WIRE_STR)
		return err_set(e, -EPROTO, "%s: a field's name is not text", dec->desc->name);
	f = find_field(dec, v.data, v.size);
	if (f == NULL)
		return wire_skip(w, NEST_MAX) < 0 ? malformed(dec, e) : 0;
	bit = (uint64_t)1 << (f - dec->desc->fields);
	if (dec->seen & bit)
		return err_set(e, -EPROTO, "%s: %s is there twice", dec->desc->name, f->name);
	if (wire_next(w, &v) < 0)
		return malformed(dec, e);
	dec->seen |= bit;
	if (v.type == WIRE_NIL && f->need == OPT)
		return 0;
	return store(dec, f, &v, e);
}

static int
decode_map(struct decoder *dec, struct wire *w, struct err *e)
{
	const struct desc *d = dec->desc;
	struct wire_value v;

	if (wire_next(w, &v) < 0)
		return malformed(dec, e);
	if (v.type != WIRE_MAP)
		return err_set(e, -EPROTO, "%s: the payload is not a map", d->name);
	for (size_t n = v.size; n > 0; n--)
		if (decode_pair(dec, w, e) < 0)
			return -EPROTO;
	if (w->p != w->end)
		return err_set(e, -EPROTO, "%s: bytes follow the payload's map", d->name);
	for (size_t i = 0; i < d->count; i++)
		if (d->fields[i].need == REQ && (dec->seen & (uint64_t)1 << i) == 0)
			return err_set(e, -EPROTO, "%s: %s is missing", d->name, d->fields[i].name);
	return 0;
}

int
msg_decode(unsigned id, uint32_t request, const void *payload, size_t size, struct msg *m, void **arena,
    struct err *e)
{
	struct msg got = {.request = request};
	struct decoder dec = {.desc = desc_find(id), .m = &got};
	struct wire w = {payload, (const unsigned char *)payload + size};
	char *memory;

	if (dec.desc == NULL)
		return err_set(e, -EPROTO, "there is no message %u", id);
	if (size > PROTO_FRAME_MAX)
		return err_set(e, -EPROTO, "%s: the payload is too long", dec.desc->name);
	got.id = (enum msg_id)id;
	memory = xmalloc(size + 1);
	dec.arena = memory;
	if (decode_map(&dec, &w, e) < 0) {
		free(memory);
		return -EPROTO;
	}
	*m = got;
	*arena = memory;
	return 0;
}
