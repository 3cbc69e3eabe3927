/*
 * desc: the schema as data, for the codec's own files: a descriptor per message, a row per
 * field, made by the macros of proto/messages.h. Inline here is what runs for every field of
 * every message.
 */
#ifndef ORCH_PROTO_DESC_H
#define ORCH_PROTO_DESC_H

#include "proto/messages.h"

#define DESC_FIELDS_MAX 64

/* A secret is a str that is never printed. */
enum kind { KIND_u64, KIND_i64, KIND_bool, KIND_str, KIND_blob, KIND_secret = KIND_str };
enum need { OPT, REQ };

struct field {
	const char *name;
	size_t name_size;
	enum kind kind;
	enum need need;
	size_t offset; /* in the message's own struct */
	size_t max;    /* bytes; str and blob */
	bool secret;
};

struct desc {
	const char *name;
	const struct field *fields;
	size_t count; /* at most DESC_FIELDS_MAX */
};

/* NULL for an unknown id. */
const struct desc *desc_find(unsigned id);

/* Every struct msg_<name> begins where the union does. */
#define DESC_UNION_OFFSET offsetof(struct msg, hello)

/* Where m, whose id has this field, keeps its value: a msg_kind_<kind>. */
static inline const void *
desc_slot(const struct msg *m, const struct field *f)
{
	return (const char *)m + DESC_UNION_OFFSET + f->offset;
}

static inline void *
desc_slot_mut(struct msg *m, const struct field *f)
{
	return (char *)m + DESC_UNION_OFFSET + f->offset;
}

/* True for what an optional field is when it was not there: 0, false, NULL. */
static inline bool
desc_absent(const struct field *f, const void *value)
{
	switch (f->kind) {
	case KIND_u64:
		return *(const uint64_t *)value == 0;
	case KIND_i64:
		return *(const int64_t *)value == 0;
	case KIND_bool:
		return !*(const bool *)value;
	case KIND_str:
		return *(const char *const *)value == NULL;
	case KIND_blob:
		return ((const struct msg_blob *)value)->data == NULL;
	}
	return true;
}

#endif
