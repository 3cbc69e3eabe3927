/*
 * members: finds members of a JSON object's top level in a text that comes in pieces, without holding the
 * text: what the gateway reads of bodies that it otherwise passes through. It is no validator: of a text that
 * is no JSON it finds something or nothing, in bounded memory. Pure.
 */
#ifndef ORCH_GATEWAY_MEMBERS_H
#define ORCH_GATEWAY_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBERS_NAME_MAX 32            /* bytes of a wanted name */
#define MEMBERS_VALUE_MAX (64u * 1024) /* a longer value is passed over, and counted */

/* which: the index in names. value: the value's text as it stands, offset bytes into the text; borrowed. */
typedef void members_fn(void *arg, size_t which, uint64_t offset, const char *value, size_t size);

struct members {
	const char *const *names; /* NULL-terminated, borrowed */
	members_fn *fn;
	void *arg;
	uint64_t offset; /* of the next byte */
	uint64_t value_at;
	unsigned depth, too_long;
	enum members_state {
		MEMBERS_START,  /* before the object */
		MEMBERS_NAME,   /* at its top level: a name, or its end */
		MEMBERS_COLON,  /* behind a name */
		MEMBERS_VALUE,  /* in a value */
		MEMBERS_OUTSIDE /* behind the object, or it was none */
	} state;
	bool in_string, escaped, begun;
	int which; /* wanted value being read, or -1 */
	char name[MEMBERS_NAME_MAX + 1];
	size_t name_size;
	char *value;
	size_t size, room;
};

/* fn runs within members_feed, once a value is whole; a name that comes twice is given twice. */
void members_init(struct members *m, const char *const *names, members_fn *fn, void *arg);
void members_feed(struct members *m, const char *data, size_t size);
/* Has the object ended (or is the text none)? Nothing more will be found. */
bool members_done(const struct members *m);
void members_clear(struct members *m);

#endif
