/*
 * redact: takes known secrets out of text before it is stored, logged or sent on. A secret is found as it is
 * and JSON-escaped, URL-encoded, in hex and in base64 (at any offset, both alphabets), also with blanks, line
 * breaks or their escapes between any two characters. What is found becomes "[redacted:NAME]". Pure, and
 * linear in the text for a few dozen secrets.
 */
#ifndef ORCH_COMMON_REDACT_H
#define ORCH_COMMON_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#define REDACT_HOLD_MAX 65536 /* bytes that a stream keeps back while they may be part of a secret */

struct redact;

struct redact *redact_new(void);
/* For who goes on with it whatever becomes of its first owner: redact_free it too. NULL is fine. */
struct redact *redact_ref(const struct redact *r);
/* Wipes and frees when nobody else has it; NULL is fine. */
void redact_free(struct redact *r);
/* Values under 8 bytes are passed over: they would be found everywhere. Both strings are copied. */
void redact_add(struct redact *r, const char *name, const char *value);

/* Does the text hold a secret? *name (may be NULL) gets whose: borrowed from r. NULL r: never. */
bool redact_finds(const struct redact *r, const char *text, size_t size, const char **name);
/* The text without its secrets in fresh memory with a NUL behind it, *out (may be NULL) bytes; NULL when it
 * holds none, which is nearly always. */
char *redact_text(const struct redact *r, const char *text, size_t size, size_t *out);

/*
 * The same for what comes in pieces: everything that may still turn out to be part of a secret is held back.
 * sink runs within the calls, with pieces that are free of secrets.
 */
struct redact_stream {
	const struct redact *r; /* NULL: all goes through as it is */
	void (*sink)(void *arg, const char *data, size_t size);
	void *arg;
	char *held;
	size_t size, room;
};

void redact_stream_feed(struct redact_stream *s, const char *data, size_t size);
/* Nothing follows: what was held back goes on. Frees the stream's memory. */
void redact_stream_end(struct redact_stream *s);

#endif
