/*
 * wire: a reader of msgpack values in place. It allocates nothing and never reads past
 * the end; a claimed count that cannot fit in the bytes that are left is refused where it
 * is read. msgpack-c's own unpacker reserves memory for what a count claims (13 GB for
 * the five bytes dd 1f ff ff ff), so it never sees a payload. Pure.
 */
#ifndef ORCH_PROTO_WIRE_H
#define ORCH_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type {
	WIRE_NIL,
	WIRE_BOOL,
	WIRE_UINT,
	WIRE_INT, /* negative */
	WIRE_STR,
	WIRE_BIN,
	WIRE_ARRAY,
	WIRE_MAP,
	WIRE_OTHER, /* float and extension: passed over, their content is of no use to the schema */
};

struct wire {
	const unsigned char *p, *end;
};

struct wire_value {
	enum wire_type type;
	bool truth;       /* BOOL */
	uint64_t u;       /* UINT */
	int64_t i;        /* INT */
	const char *data; /* STR, BIN: borrowed from the payload, not NUL-terminated */
	size_t size;      /* STR, BIN: bytes; ARRAY: elements; MAP: pairs, which follow as values */
};

/* The next value, without what a container holds. 0, or -EPROTO when it is malformed or cut off. */
int wire_next(struct wire *w, struct wire_value *v);
/* Passes over the next value with all it holds, containers nested at most depth deep. 0 or -EPROTO. */
int wire_skip(struct wire *w, unsigned depth);

#endif
