/* desc: the descriptor tables. Adding a message touches nothing in this file. */
#include "proto/desc.h"

/* A function each, because offsetof needs the struct's name where the field rows do not have it. */
#define F(kind, name, need, max) {#name, sizeof(#name) - 1, KIND_##kind, need, offsetof(self, name), max},
#define M(id, NAME, name, from, to)                                                                          \
	static const struct desc *desc_##name(void)                                                          \
	{                                                                                                    \
		typedef struct msg_##name self;                                                              \
		static const struct field fields[] = {MSG_##NAME##_FIELDS(F)};                               \
		static const struct desc d = {#NAME, fields, sizeof(fields) / sizeof(fields[0])};            \
		_Static_assert(sizeof(fields) / sizeof(fields[0]) <= DESC_FIELDS_MAX,                        \
		    "the decoder counts fields in 64 bits");                                                 \
		return &d;                                                                                   \
	}
MESSAGE_LIST(M)
#undef M
#undef F

const struct desc *
desc_find(unsigned id)
{
	switch (id) {
#define M(id_, NAME, name_, from, to)                                                                        \
	case id_:                                                                                            \
		return desc_##name_();
		MESSAGE_LIST(M)
#undef M
	}
	return NULL;
}

/* Every struct msg_<name> begins where the union does. */
#define UNION_OFFSET offsetof(struct msg, hello)

const void *
desc_slot(const struct msg *m, const struct field *f)
{
	return (const char *)m + UNION_OFFSET + f->offset;
}

void *
desc_slot_mut(struct msg *m, const struct field *f)
{
	return (char *)m + UNION_OFFSET + f->offset;
}

bool
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
