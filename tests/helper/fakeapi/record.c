/* record: what was asked, one JSON line for each request. Keys that are no dummies appear as a short hash. */
#include "tests/helper/fakeapi/fakeapi.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

static const char *
show_key(const char *key, char *buf, size_t size)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	if (strncmp(key, "sk-test-", 8) == 0)
		return key;
	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	snprintf(buf, size, "#%08x", hash);
	return buf;
}

static json_t *
tool_names(const json_t *body)
{
	json_t *names = json_array(), *tool;
	size_t i;

	json_array_foreach(json_object_get(body, "tools"), i, tool)
	{
		const char *name = json_str(tool, "name");

		if (name != NULL)
			json_array_append_new(names, json_string(name));
	}
	return names;
}

static void
keep_body(const struct record *rec, const struct request *r, const char *body)
{
	char *path = xasprintf("%s/%04u.json", rec->bodies, r->number);

	fd_write_file(path, body, r->body_size, 0600);
	free(path);
}

void
record_request(struct record *rec, const struct request *r, const char *body, const struct script *script,
    const struct reply *reply, const char *why)
{
	char hash[16], *text;
	json_t *line;

	if (rec->bodies != NULL)
		keep_body(rec, r, body);
	if (rec->file == NULL)
		return;
	line = json_pack("{s:i,s:I,s:s,s:s,s:s?,s:b,s:s?,s:s?,s:b,s:I,s:I,s:o,s:s?,s:I,s:s?}", "n",
	    (int)r->number, "ms", (json_int_t)(clock_now_ms() - rec->start_ms), "method", r->method, "path",
	    r->path, "key", r->key != NULL ? show_key(r->key, hash, sizeof(hash)) : NULL, "bearer", r->bearer,
	    "session", r->session, "model", json_str(r->body, "model"), "stream",
	    json_is_true(json_object_get(r->body, "stream")), "bytes", (json_int_t)r->body_size, "messages",
	    (json_int_t)json_array_size(json_object_get(r->body, "messages")), "tools", tool_names(r->body),
	    "script", script != NULL ? script->name : NULL, "line",
	    (json_int_t)(reply != NULL ? reply->line : 0), "fault", why);
	text = line != NULL ? json_text(line) : xasprintf("{\"n\":%u}", r->number);
	fprintf(rec->file, "%s\n", text);
	fflush(rec->file);
	free(text);
	json_decref(line);
}
