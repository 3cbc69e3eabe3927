/* known_gate: see known_gate.h. An entry is a text with two numbers: the gate on the base, and now. */
#include "proto/known_gate.h"

#include "proto/role.h"

#include <stdio.h>
#include <string.h>

void
known_gate_parse(struct known_gate *k, const char *text, bool own)
{
	struct known_gate found = {.found = true, .own = own};

	memset(k, 0, sizeof(*k));
	if (text != NULL && sscanf(text, "%d %d", &found.base, &found.now) == 2)
		*k = found;
}

int
known_gate_note(struct role *r, const struct known_gate *k, struct err *e)
{
	char text[KNOWN_GATE_TEXT] = "";
	const struct msg_note note = {.gate = text};

	memset(&r->known, 0, sizeof(r->known));
	if (k != NULL) {
		snprintf(text, sizeof(text), "%d %d", k->base, k->now);
		r->known = (struct known_gate){.found = true, .own = true, .base = k->base, .now = k->now};
	}
	return role_note(r, &note, e);
}
