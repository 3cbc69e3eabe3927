/* wire: see wire.h. The format is https://github.com/msgpack/msgpack/blob/master/spec.md. */
#include "proto/wire.h"

#include <errno.h>
#include <string.h>

static size_t
left(const struct wire *w)
{
	return (size_t)(w->end - w->p);
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static int
take_number(struct wire *w, unsigned bytes, uint64_t *n)
{
	uint64_t v = 0;

	if (left(w) < bytes)
		return -EPROTO;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | *w->p++;
	*n = v;
	return 0;
}

static int
take_bytes(struct wire *w, struct wire_value *v, enum wire_type type, uint64_t size)
{
	if (size > left(w))
		return -EPROTO;
	v->type = type;
	v->data = (const char *)w->p;
	v->size = (size_t)size;
	w->p += size;
	return 0;
}

/* Every element takes at least one byte, every pair two. */
static int
take_count(struct wire *w, struct wire_value *v, enum wire_type type, uint64_t count)
{
	if (count > left(w) / (type == WIRE_MAP ? 2 : 1))
		return -EPROTO;
	v->type = type;
	v->size = (size_t)count;
	return 0;
}

static int
take_uint(struct wire *w, struct wire_value *v, unsigned bytes)
{
	v->type = WIRE_UINT;
	return take_number(w, bytes, &v->u);
}

static int
take_int(struct wire *w, struct wire_value *v, unsigned bytes)
{
	uint64_t n, sign = (uint64_t)1 << (bytes * 8 - 1);

	if (take_number(w, bytes, &n) < 0)
		return -EPROTO;
	if ((n & sign) == 0) {
		v->type = WIRE_UINT;
		v->u = n;
		return 0;
	}
	v->type = WIRE_INT;
	n |= ~(sign | (sign - 1));
	memcpy(&v->i, &n, sizeof(n));
	return 0;
}

static int
take_sized(struct wire *w, struct wire_value *v, enum wire_type type, unsigned bytes)
{
	uint64_t n;

	if (take_number(w, bytes, &n) < 0)
		return -EPROTO;
	if (type == WIRE_ARRAY || type == WIRE_MAP)
		return take_count(w, v, type, n);
	/* An extension has one byte of type before its content. */
	return take_bytes(w, v, type, type == WIRE_OTHER ? n + 1 : n);
}

/* The bytes c0 to df. */
static int
take_coded(struct wire *w, struct wire_value *v, unsigned char code)
{
	switch (code) {
	case 0xc0:
		v->type = WIRE_NIL;
		return 0;
	case 0xc2:
	case 0xc3:
		v->type = WIRE_BOOL;
		v->truth = code == 0xc3;
		return 0;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return take_sized(w, v, WIRE_BIN, 1u << (code - 0xc4));
	case 0xc7:
	case 0xc8:
	case 0xc9:
		return take_sized(w, v, WIRE_OTHER, 1u << (code - 0xc7));
	case 0xca:
	case 0xcb:
		return take_bytes(w, v, WIRE_OTHER, code == 0xca ? 4 : 8);
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		return take_uint(w, v, 1u << (code - 0xcc));
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return take_int(w, v, 1u << (code - 0xd0));
	case 0xd4:
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8:
		return take_bytes(w, v, WIRE_OTHER, 1 + (1u << (code - 0xd4)));
	case 0xd9:
	case 0xda:
	case 0xdb:
		return take_sized(w, v, WIRE_STR, 1u << (code - 0xd9));
	case 0xdc:
	case 0xdd:
		return take_sized(w, v, WIRE_ARRAY, code == 0xdc ? 2 : 4);
	case 0xde:
	case 0xdf:
		return take_sized(w, v, WIRE_MAP, code == 0xde ? 2 : 4);
	}
	return -EPROTO; /* c1 is never used */
}

int
wire_next(struct wire *w, struct wire_value *v)
{
	unsigned char code;

	memset(v, 0, sizeof(*v));
	if (left(w) == 0)
		return -EPROTO;
	code = *w->p++;
	if (code <= 0x7f) {
		v->type = WIRE_UINT;
		v->u = code;
		return 0;
	}
	if (code <= 0x8f)
		return take_count(w, v, WIRE_MAP, code & 0x0f);
	if (code <= 0x9f)
		return take_count(w, v, WIRE_ARRAY, code & 0x0f);
	if (code <= 0xbf)
		return take_bytes(w, v, WIRE_STR, code & 0x1f);
	if (code >= 0xe0) {
		v->type = WIRE_INT;
		v->i = (int)code - 256;
		return 0;
	}
	return take_coded(w, v, code);
}

int
wire_skip(struct wire *w, unsigned depth)
{
	struct wire_value v;
	size_t values;

	if (wire_next(w, &v) < 0)
		return -EPROTO;
	if (v.type != WIRE_ARRAY && v.type != WIRE_MAP)
		return 0;
	if (depth == 0)
		return -EPROTO;
	values = v.type == WIRE_MAP ? v.size * 2 : v.size;
	while (values-- > 0)
		if (wire_skip(w, depth - 1) < 0)
			return -EPROTO;
	return 0;
}
