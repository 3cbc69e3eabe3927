/* msg_show: copying and printing messages by their descriptors. */
#include "proto/msg.h"

#include "common/alloc.h"
#include "proto/desc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_CUT 60 /* bytes of a string that msg_text shows */

struct msg *
msg_dup(const struct msg *m)
{
	const struct desc *d = desc_find(m->id);
	size_t size = sizeof(*m);
	struct msg *copy;
	char *at;

	assert(d != NULL);
	for (size_t i = 0; i < d->count; i++) {
		const void *value = desc_slot(m, &d->fields[i]);

		if (desc_absent(&d->fields[i], value))
			continue;
		if (d->fields[i].kind == KIND_str)
			size += strlen(*(const char *const *)value) + 1;
		else if (d->fields[i].kind == KIND_blob)
			size += ((const struct msg_blob *)value)->size;
	}
	copy = xmalloc(size);
	memcpy(copy, m, sizeof(*m));
	at = (char *)(copy + 1);
	for (size_t i = 0; i < d->count; i++) {
		void *value = desc_slot_mut(copy, &d->fields[i]);

		if (desc_absent(&d->fields[i], value))
			continue;
		if (d->fields[i].kind == KIND_str) {
			const char **s = value;
			size_t n = strlen(*s) + 1;

			*s = memcpy(at, *s, n);
			at += n;
		} else if (d->fields[i].kind == KIND_blob) {
			struct msg_blob *b = value;

			b->data = memcpy(at, b->data, b->size);
			at += b->size;
		}
	}
	return copy;
}

/* Printing. */

/* At most TEXT_CUT bytes in one line. Returns how many bytes of buf it took. */
static size_t
print_text(char *buf, size_t size, const char *s)
{
	size_t n = strlen(s), used = 0;
	bool cut = n > TEXT_CUT;

	if (cut) {
		n = TEXT_CUT;
		while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
			n--; /* not in the middle of a character */
	}
	for (size_t i = 0; i < n && used + 1 < size; i++)
		buf[used++] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? ' ' : s[i];
	for (size_t i = 0; cut && i < 3 && used + 1 < size; i++)
		buf[used++] = '.';
	buf[used] = '\0';
	return used;
}

static size_t
print_value(char *buf, size_t size, const struct field *f, const void *value)
{
	int n = 0;

	switch (f->kind) {
	case KIND_u64:
		n = snprintf(buf, size, "%" PRIu64, *(const uint64_t *)value);
		break;
	case KIND_i64:
		n = snprintf(buf, size, "%" PRId64, *(const int64_t *)value);
		break;
	case KIND_bool:
		n = snprintf(buf, size, "%s", *(const bool *)value ? "true" : "false");
		break;
	case KIND_str:
		return print_text(buf, size, *(const char *const *)value);
	case KIND_blob:
		n = snprintf(buf, size, "(%zu bytes)", ((const struct msg_blob *)value)->size);
		break;
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

const char *
msg_text(const struct msg *m, char *buf, size_t size)
{
	const struct desc *d = desc_find(m->id);
	size_t used;

	if (size == 0)
		return buf;
	snprintf(buf, size, "%s", d == NULL ? "(no message)" : d->name);
	used = strlen(buf);
	if (m->request != 0) {
		snprintf(buf + used, size - used, " request=%" PRIu32, m->request);
		used += strlen(buf + used);
	}
	for (size_t i = 0; d != NULL && i < d->count && used + 1 < size; i++) {
		const struct field *f = &d->fields[i];

		if (desc_absent(f, desc_slot(m, f)))
			continue;
		snprintf(buf + used, size - used, " %s=", f->name);
		used += strlen(buf + used);
		if (f->secret)
			used += print_text(buf + used, size - used, "(secret)");
		else
			used += print_value(buf + used, size - used, f, desc_slot(m, f));
	}
	return buf;
}
