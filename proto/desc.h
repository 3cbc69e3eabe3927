/*
 * desc: the schema as data, for the codec's own files: a descriptor per message, a row per
 * field, made by the macros of proto/messages.h.
 */
#ifndef ORCH_PROTO_DESC_H
#define ORCH_PROTO_DESC_H

#include "proto/messages.h"

#define DESC_FIELDS_MAX 64

enum kind { KIND_u64, KIND_i64, KIND_bool, KIND_str, KIND_blob };
enum need { OPT, REQ };

struct field {
	const char *name;
	size_t name_size;
	enum kind kind;
	enum need need;
	size_t offset; /* in the message's own struct */
	size_t max;    /* bytes; str and blob */
};

struct desc {
	const char *name;
	const struct field *fields;
	size_t count; /* at most DESC_FIELDS_MAX */
};

/* NULL for an unknown id. */
const struct desc *desc_find(unsigned id);

/* Where m, whose id has this field, keeps its value: a msg_kind_<kind>. */
const void *desc_slot(const struct msg *m, const struct field *f);
void *desc_slot_mut(struct msg *m, const struct field *f);
/* True for what an optional field is when it was not there: 0, false, NULL. */
bool desc_absent(const struct field *f, const void *value);

#endif
