/*
 * usage: lines out of bytes, events out of lines, numbers out of the few events that hold any (see usage.h).
 * Nearly all of a stream is content: an event that says so by its name is dropped while it comes.
 * Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
#include "supervisor/gateway/usage.h"

#include "common/alloc.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROOM_FIRST 1024u
#define FIELD_MAX 6 /* bytes of a line that tell which field it is: "data:" and one more */

static const char *const body_names[] = {"usage", "model", NULL};
enum { BODY_USAGE, BODY_MODEL };

enum usage_form
usage_form_of(const char *content_type)
{
	if (content_type == NULL)
		return USAGE_NONE;
	if (strncasecmp(content_type, "text/event-stream", 17) == 0)
		return USAGE_SSE;
	return strncasecmp(content_type, "application/json", 16) == 0 ? USAGE_JSON : USAGE_NONE;
}

/* Numbers that are there replace what was said before; those that are not leave it. */
static void
assign(uint64_t *field, const json_t *object, const char *key)
{
	const json_t *j = json_object_get(object, key);

	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return;
	*field = (uint64_t)json_integer_value(j);
	if (*field > USAGE_TOKENS_MAX)
		*field = USAGE_TOKENS_MAX;
}

static void
take_usage(struct usage *u, const json_t *said)
{
	if (!json_is_object(said))
		return;
	u->known = true;
	assign(&u->input, said, "input_tokens");
	assign(&u->output, said, "output_tokens");
	assign(&u->cache_read, said, "cache_read_input_tokens");
	assign(&u->cache_write, said, "cache_creation_input_tokens");
	assign(&u->cache_write_1h, json_object_get(said, "cache_creation"), "ephemeral_1h_input_tokens");
	assign(&u->searches, json_object_get(said, "server_tool_use"), "web_search_requests");
}

static void
take_text(char *field, size_t size, const char *text)
{
	if (text != NULL && strlen(text) < size)
		strlcpy(field, text, size);
}

static void
take_event(struct usage_reader *r, const json_t *event)
{
	const char *type = json_str(event, "type");
	const json_t *message = json_object_get(event, "message");

	if (type == NULL)
		return;
	if (strcmp(type, "message_start") == 0) {
		take_text(r->usage.model, sizeof(r->usage.model), json_str(message, "model"));
		take_usage(&r->usage, json_object_get(message, "usage"));
	} else if (strcmp(type, "message_delta") == 0) {
		take_usage(&r->usage, json_object_get(event, "usage"));
		if (json_str(json_object_get(event, "delta"), "stop_reason") != NULL)
			r->settled = true;
	} else if (strcmp(type, "message_stop") == 0) {
		r->settled = true;
	} else if (strcmp(type, "error") == 0) {
		take_text(r->usage.error, sizeof(r->usage.error),
		    json_str(json_object_get(event, "error"), "type"));
	}
}

/* May this event hold numbers? One without a name may. */
static bool
is_wanted(const struct usage_reader *r)
{
	static const char *const names[] = {"", "message_start", "message_delta", "message_stop", "error"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(r->name, names[i]) == 0)
			return true;
	return false;
}

static void
end_event(struct usage_reader *r)
{
	json_t *event;

	if (r->too_long && is_wanted(r))
		r->lost = true;
	else if (r->data_size > 0 && is_wanted(r)) {
		event = json_parse("event", r->data, r->data_size, NULL);
		if (event != NULL)
			take_event(r, event);
		else
			r->lost = true;
		json_decref(event);
	}
	r->name[0] = '\0';
	r->data_size = 0;
	r->too_long = false;
}

static bool
append(char **buf, size_t *size, size_t *room, const char *data, size_t more)
{
	if (more > USAGE_EVENT_MAX - *size)
		return false;
	if (*size + more > *room) {
		*room = *room == 0 ? ROOM_FIRST : *room;
		while (*room < *size + more)
			*room *= 2;
		*buf = xrealloc(*buf, *room);
	}
	if (more > 0)
		memcpy(*buf + *size, data, more);
	*size += more;
	return true;
}

/* The value of a line that is this field; NULL for another field's. */
static const char *
field_value(const struct usage_reader *r, const char *field, size_t *size)
{
	size_t n = strlen(field), at = n + 1;

	if (r->line_size < at || memcmp(r->line, field, n) != 0 || r->line[n] != ':')
		return NULL;
	if (r->line_size > at && r->line[at] == ' ')
		at++;
	*size = r->line_size - at;
	return r->line + at;
}

static void
end_line(struct usage_reader *r)
{
	const char *value;
	size_t size;

	if (r->line_size == 0) {
		end_event(r);
		return;
	}
	value = field_value(r, "event", &size);
	if (value != NULL) {
		size = size < sizeof(r->name) ? size : sizeof(r->name) - 1;
		memcpy(r->name, value, size);
		r->name[size] = '\0';
	}
	value = field_value(r, "data", &size);
	if (value != NULL && is_wanted(r) &&
	    ((r->data_size > 0 && !append(&r->data, &r->data_size, &r->data_room, "\n", 1)) ||
		!append(&r->data, &r->data_size, &r->data_room, value, size)))
		r->too_long = true;
	r->line_size = 0;
}

/* A part of a line. What need not be read is dropped at once, but for the bytes that tell which field it is.
 */
static void
feed_line(struct usage_reader *r, const char *data, size_t size)
{
	if (!is_wanted(r) && r->line_size + size > FIELD_MAX) {
		size_t head = r->line_size < FIELD_MAX ? FIELD_MAX - r->line_size : 0;

		append(&r->line, &r->line_size, &r->line_room, data, head);
		if (memcmp(r->line, "data:", 5) == 0)
			return;
		data += head;
		size -= head;
	}
	if (size > USAGE_EVENT_MAX - r->line_size) { /* its beginning stays: it is no empty line */
		r->too_long = true;
		size = USAGE_EVENT_MAX - r->line_size;
	}
	append(&r->line, &r->line_size, &r->line_room, data, size);
}

/* Lines end in CR, LF or both; the second of both may come in the next piece. */
static void
feed_sse(struct usage_reader *r, const char *data, size_t size)
{
	while (size > 0) {
		const char *lf, *cr;
		size_t n;

		if (r->after_cr && *data == '\n') {
			r->after_cr = false;
			data++;
			size--;
			continue;
		}
		r->after_cr = false;
		lf = memchr(data, '\n', size);
		n = lf == NULL ? size : (size_t)(lf - data);
		cr = memchr(data, '\r', n);
		n = cr == NULL ? n : (size_t)(cr - data);
		feed_line(r, data, n);
		if (n < size) {
			r->after_cr = data[n] == '\r';
			end_line(r);
			n++;
		}
		data += n;
		size -= n;
	}
}

static void
on_member(void *arg, size_t which, uint64_t offset, const char *value, size_t size)
{
	struct usage_reader *r = arg;
	json_t *j;

	(void)offset;
	if (which == BODY_MODEL) {
		j = json_loadb(value, size, JSON_DECODE_ANY, NULL);
		take_text(r->usage.model, sizeof(r->usage.model), json_string_value(j));
	} else {
		j = json_parse("usage", value, size, NULL);
		take_usage(&r->usage, j);
	}
	json_decref(j);
}

void
usage_reader_init(struct usage_reader *r, enum usage_form form)
{
	memset(r, 0, sizeof(*r));
	r->form = form;
	members_init(&r->members, body_names, on_member, r);
}

void
usage_reader_feed(struct usage_reader *r, const char *data, size_t size)
{
	switch (r->form) {
	case USAGE_NONE:
		break;
	case USAGE_SSE:
		feed_sse(r, data, size);
		break;
	case USAGE_JSON:
		members_feed(&r->members, data, size);
		break;
	}
}

void
usage_reader_end(struct usage_reader *r, struct usage *usage)
{
	bool whole = r->form == USAGE_JSON ? members_done(&r->members) && r->members.too_long == 0
					   : r->settled && !r->lost;

	*usage = r->usage;
	usage->floor = r->form != USAGE_NONE && !whole;
}

void
usage_reader_clear(struct usage_reader *r)
{
	free(r->line);
	free(r->data);
	members_clear(&r->members);
	memset(r, 0, sizeof(*r));
}
