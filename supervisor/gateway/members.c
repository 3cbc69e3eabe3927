/*
 * members: one state per place at the top level (see members.h). Names are compared as they stand: a client
 * that writes "mod\u0065l" hides its model from us, and harms nobody but itself.
 */
#include "supervisor/gateway/members.h"

#include "common/alloc.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 256 /* bytes */
#define ROOM_FIRST 256u

void
members_init(struct members *m, const char *const *names, members_fn *fn, void *arg)
{
	memset(m, 0, sizeof(*m));
	m->names = names;
	m->fn = fn;
	m->arg = arg;
	m->which = -1;
}

bool
members_done(const struct members *m)
{
	return m->state == MEMBERS_OUTSIDE;
}

void
members_clear(struct members *m)
{
	free(m->value);
	memset(m, 0, sizeof(*m));
	m->state = MEMBERS_OUTSIDE;
}

static void
keep(struct members *m, const char *data, size_t size)
{
	if (m->which < 0)
		return;
	if (size > MEMBERS_VALUE_MAX - m->size) {
		m->too_long++;
		m->which = -1;
		return;
	}
	if (m->size + size > m->room) {
		m->room = m->room == 0 ? ROOM_FIRST : m->room;
		while (m->room < m->size + size)
			m->room *= 2;
		m->value = xrealloc(m->value, m->room);
	}
	memcpy(m->value + m->size, data, size);
	m->size += size;
}

static void
keep_name(struct members *m, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (m->name_size < sizeof(m->name))
			m->name[m->name_size++] = data[i];
}

static int
find_name(const struct members *m)
{
	for (int i = 0; m->names[i] != NULL; i++)
		if (strlen(m->names[i]) == m->name_size && memcmp(m->names[i], m->name, m->name_size) == 0)
			return i;
	return -1;
}

static void
end_value(struct members *m)
{
	while (m->size > 0 && strchr(" \t\r\n", m->value[m->size - 1]) != NULL)
		m->size--;
	if (m->which >= 0 && m->size > 0)
		m->fn(m->arg, (size_t)m->which, m->value_at, m->value, m->size);
	m->which = -1;
	m->size = 0;
	m->state = MEMBERS_NAME;
}

/*
 * The inside of a string, up to its closing quote. Returns the bytes used. It looks a little ahead only: a
 * long text without a quote, but with an escape in each line, would be searched to its end for every line.
 */
static size_t
feed_string(struct members *m, const char *data, size_t size)
{
	const char *quote, *escape;
	size_t n;

	size = size < AHEAD ? size : AHEAD;
	if (m->escaped) {
		m->escaped = false;
		n = 1;
	} else {
		quote = memchr(data, '"', size);
		n = quote == NULL ? size : (size_t)(quote - data) + 1;
		escape = memchr(data, '\\', n);
		if (escape != NULL) {
			n = (size_t)(escape - data) + 1;
			m->escaped = true;
		} else if (quote != NULL) {
			m->in_string = false;
		}
	}
	if (m->state == MEMBERS_VALUE)
		keep(m, data, n);
	else
		keep_name(m, data, m->in_string ? n : n - 1);
	if (!m->in_string && m->state == MEMBERS_NAME)
		m->state = MEMBERS_COLON;
	return n;
}

static void
feed_value(struct members *m, char c)
{
	if (!m->begun && strchr(" \t\r\n", c) != NULL && c != '\0')
		return;
	if (!m->begun) {
		m->begun = true;
		m->value_at = m->offset;
	}
	if (m->depth == 1 && (c == ',' || c == '}')) {
		end_value(m);
		if (c == '}')
			m->state = MEMBERS_OUTSIDE;
		return;
	}
	keep(m, &c, 1);
	if (c == '"')
		m->in_string = true;
	else if (c == '{' || c == '[')
		m->depth++;
	else if ((c == '}' || c == ']') && m->depth > 1)
		m->depth--;
}

/* A byte outside strings. */
static void
feed_byte(struct members *m, char c)
{
	switch (m->state) {
	case MEMBERS_START:
		if (c == '{') {
			m->depth = 1;
			m->state = MEMBERS_NAME;
		} else if (c == '\0' || strchr(" \t\r\n", c) == NULL) {
			m->state = MEMBERS_OUTSIDE;
		}
		break;
	case MEMBERS_NAME:
		if (c == '"') {
			m->in_string = true;
			m->name_size = 0;
		} else if (c == '}') {
			m->state = MEMBERS_OUTSIDE;
		}
		break;
	case MEMBERS_COLON:
		if (c == ':') {
			m->state = MEMBERS_VALUE;
			m->which = find_name(m);
			m->begun = false;
		}
		break;
	case MEMBERS_VALUE:
		feed_value(m, c);
		break;
	case MEMBERS_OUTSIDE:
		break;
	}
}

void
members_feed(struct members *m, const char *data, size_t size)
{
	while (size > 0 && m->state != MEMBERS_OUTSIDE) {
		size_t n = 1;

		if (m->in_string)
			n = feed_string(m, data, size);
		else
			feed_byte(m, *data);
		m->offset += n;
		data += n;
		size -= n;
	}
}
