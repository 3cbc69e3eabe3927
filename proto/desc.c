/* desc: the descriptor tables. Adding a message touches nothing in this file. */
#include "proto/desc.h"

/* A function each, because offsetof needs the struct's name where the field rows do not have it. */
#define SECRET_u64 false
#define SECRET_i64 false
#define SECRET_bool false
#define SECRET_str false
#define SECRET_blob false
#define SECRET_secret true
#define F(kind, name, need, max)                                                                             \
	{#name, sizeof(#name) - 1, KIND_##kind, need, offsetof(self, name), max, SECRET_##kind},
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
