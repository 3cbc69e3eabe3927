/*
 * tokens: a list that is always searched to its end (see tokens.h). A team has at most a few dozen attempts
 * at a time; comparing 38 bytes with each costs less than the request's own headers.
 */
#include "supervisor/gateway/tokens.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct token {
	char text[TOKEN_SIZE];
	struct attempt_seat *seat; /* of its own: requests point at it while the list grows */
};

struct tokens {
	struct token *v;
	size_t count, room;
};

struct tokens *
tokens_new(void)
{
	return xcalloc(1, sizeof(struct tokens));
}

static void
clear_token(struct token *t)
{
	free(t->seat->task);
	free(t->seat);
	explicit_bzero(t, sizeof(*t));
}

void
tokens_free(struct tokens *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++)
		clear_token(&t->v[i]);
	free(t->v);
	free(t);
}

/* No branch depends on what differs, or where. Both hold TOKEN_SIZE - 1 bytes. */
static bool
is_equal(const char *a, const char *b)
{
	volatile unsigned char differs = 0;

	for (size_t i = 0; i < TOKEN_SIZE - 1; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

static size_t
find(const struct tokens *t, const char *text)
{
	size_t found = t->count;

	for (size_t i = 0; i < t->count; i++)
		if (is_equal(t->v[i].text, text))
			found = i;
	return found;
}

int
tokens_add(struct tokens *t, const char *token, const char *task, uint32_t attempt)
{
	struct token *new;

	if (!token_valid(token))
		return -EINVAL;
	if (find(t, token) < t->count)
		return -EEXIST;
	if (t->count == TOKENS_MAX)
		return -ENOSPC;
	if (t->count == t->room) {
		size_t room = t->room == 0 ? 16 : t->room * 2;
		struct token *v = xcalloc(room, sizeof(*v));

		if (t->count > 0)
			memcpy(v, t->v, t->count * sizeof(*v));
		if (t->v != NULL)
			explicit_bzero(t->v, t->room * sizeof(*v));
		free(t->v);
		t->v = v;
		t->room = room;
	}
	new = &t->v[t->count++];
	memcpy(new->text, token, TOKEN_SIZE);
	new->seat = xcalloc(1, sizeof(*new->seat));
	new->seat->task = xstrdup(task);
	new->seat->attempt = attempt;
	return 0;
}

int
tokens_remove(struct tokens *t, const char *token, struct keys *k)
{
	size_t i = token_valid(token) ? find(t, token) : t->count;

	if (i == t->count)
		return -ENOENT;
	keys_leave(k, &t->v[i].seat->seat);
	clear_token(&t->v[i]);
	t->v[i] = t->v[--t->count];
	explicit_bzero(&t->v[t->count], sizeof(t->v[0]));
	return 0;
}

struct attempt_seat *
tokens_find(const struct tokens *t, const char *text, size_t size)
{
	size_t i;

	if (size != TOKEN_SIZE - 1)
		return NULL;
	i = find(t, text);
	return i < t->count ? t->v[i].seat : NULL;
}

size_t
tokens_count(const struct tokens *t)
{
	return t->count;
}
