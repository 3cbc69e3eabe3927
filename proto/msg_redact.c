/* msg_redact: secrets taken out of messages by their descriptors, so that no field is forgotten. */
#include "proto/msg.h"

#include "common/alloc.h"
#include "common/redact.h"
#include "common/text.h"
#include "proto/desc.h"

#include <stdlib.h>
#include <string.h>

bool
msg_is_secret(unsigned id)
{
	const struct desc *d = desc_find(id);

	for (size_t i = 0; d != NULL && i < d->count; i++)
		if (d->fields[i].secret)
			return true;
	return false;
}

/* The field's text without secrets, fit for the wire; NULL when it holds none. */
static char *
clean_field(const struct msg *m, const struct field *f, const struct redact *r)
{
	const char *text;
	char *clean, *cut;
	size_t size;

	if (f->kind != KIND_str || f->secret)
		return NULL;
	text = *(const char *const *)desc_slot(m, f);
	clean = text == NULL ? NULL : redact_text(r, text, strlen(text), &size);
	if (clean == NULL || size <= f->max)
		return clean;
	cut = text_utf8(clean, size, f->max > 4 ? f->max - 4 : f->max);
	free(clean);
	return cut;
}

struct msg *
msg_redact(const struct msg *m, const struct redact *r)
{
	const struct desc *d = desc_find(m->id);
	char *clean[DESC_FIELDS_MAX] = {NULL};
	struct msg changed = *m, *copy = NULL;
	bool any = false;

	if (r == NULL || d == NULL)
		return NULL;
	for (size_t i = 0; i < d->count; i++) {
		clean[i] = clean_field(m, &d->fields[i], r);
		if (clean[i] == NULL)
			continue;
		*(const char **)desc_slot_mut(&changed, &d->fields[i]) = clean[i];
		any = true;
	}
	if (any)
		copy = msg_dup(&changed);
	for (size_t i = 0; i < d->count; i++)
		free(clean[i]);
	return copy;
}
