/* script: reads the scripts, finds the one that a request belongs to, and says what comes next in it. */
#include "tests/helper/fakeapi/fakeapi.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_MAX (16u << 20)

struct session {
	char *id;
	struct script *script;
};

struct scripts {
	const char *folder;
	struct script **list;
	size_t count;
	struct session *sessions;
	size_t session_count;
};

/* One line of a script while it is read. */
struct line {
	struct script *script;
	struct reply *reply; /* the step that it says something about; NULL before the first */
	char *next;          /* what follows the line */
	char *rest;          /* what follows the command */
	char *block;         /* NULL: none */
	unsigned number;
	unsigned tools; /* of the script, for ids */
	struct err *e;
};

static int
fault(struct line *l, const char *what)
{
	return err_set(l->e, -EINVAL, "%s:%u: %s", l->script->name, l->number, what);
}

/* The next word of the line's rest, cut off in place; "" at its end. */
static char *
word(struct line *l)
{
	char *w = l->rest, *end = w + strcspn(w, " ");

	l->rest = end + strspn(end, " ");
	*end = '\0';
	return w;
}

static unsigned
number(struct line *l)
{
	return (unsigned)strtoul(word(l), NULL, 10);
}

/* Steps. */

/* "x3", "forever" or nothing at the end of a step's first line. */
static int
new_step(struct line *l, const char *times)
{
	struct script *s = l->script;
	struct reply *r;

	s->replies = xrealloc(s->replies, (s->count + 1) * sizeof(*s->replies));
	l->reply = r = &s->replies[s->count++];
	*r = (struct reply){.line = l->number, .times = 1, .tokens_in = 100, .tokens_out = 20};
	r->content = json_array();
	r->headers = xstrdup("");
	if (strcmp(times, "forever") == 0)
		r->times = 0;
	else if (times[0] == 'x' && isdigit((unsigned char)times[1]))
		r->times = (unsigned)strtoul(times + 1, NULL, 10);
	else if (times[0] != '\0')
		return fault(l, "wanted xN or forever");
	return 0;
}

/* Takes over text. */
static int
add_match(struct script *s, char *text)
{
	size_t n = strv_len((const char *const *)s->match);

	s->match = xrealloc(s->match, (n + 2) * sizeof(*s->match));
	s->match[n] = text;
	s->match[n + 1] = NULL;
	return 0;
}

static int
do_match(struct line *l)
{
	return add_match(l->script, xstrdup(l->rest));
}

static int
do_line(struct line *l)
{
	return add_match(l->script, xasprintf("\n%s\n", l->rest));
}

static int
do_reply(struct line *l)
{
	return new_step(l, word(l));
}

static int
do_http(struct line *l)
{
	int status = (int)number(l);
	int rc = new_step(l, word(l));

	if (rc == 0 && (status < 100 || status > 999))
		return fault(l, "wanted a status");
	l->reply->status = status;
	return rc;
}

static int
do_fault(struct line *l)
{
	static const char *const names[] = {
#define FAULT(name, word) word,
	    FAULTS(FAULT)
#undef FAULT
	};
	const char *name = word(l);
	int rc = new_step(l, word(l));

	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			l->reply->fault = (enum fault)i;
	if (l->reply->fault == FAULT_NONE)
		return fault(l, "unknown fault");
	json_array_append_new(
	    l->reply->content, json_pack("{s:s,s:s}", "type", "text", "text",
				   "This answer is long enough that one can be interrupted in its midst."));
	return rc;
}

/* What a step consists of. */

static int
add_tool(struct line *l, const char *name, json_t *input)
{
	char id[64];

	if (input == NULL)
		return fault(l, "the tool's input is no JSON");
	snprintf(id, sizeof(id), "toolu_%.32s_%u", l->script->name, ++l->tools);
	for (char *p = id; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	json_array_append_new(l->reply->content,
	    json_pack("{s:s,s:s,s:s,s:o}", "type", "tool_use", "id", id, "name", name, "input", input));
	return 0;
}

static int
do_text(struct line *l)
{
	json_array_append_new(l->reply->content, json_pack("{s:s,s:s}", "type", "text", "text", l->rest));
	return 0;
}

static int
do_tool(struct line *l)
{
	return add_tool(l, word(l), json_loads(l->block, 0, NULL));
}

static int
do_structured(struct line *l)
{
	return add_tool(l, "StructuredOutput", json_loads(l->block, 0, NULL));
}

static int
do_write(struct line *l)
{
	return add_tool(l, "Write", json_pack("{s:s,s:s}", "file_path", l->rest, "content", l->block));
}

static int
do_bash(struct line *l)
{
	return add_tool(l, "Bash", json_pack("{s:s,s:s}", "command", l->rest, "description", "Run it"));
}

static int
do_usage(struct line *l)
{
	l->reply->tokens_in = number(l);
	l->reply->tokens_out = number(l);
	return 0;
}

static int
do_delay(struct line *l)
{
	l->reply->delay_ms = number(l);
	return 0;
}

static int
do_slow(struct line *l)
{
	l->reply->slow_ms = number(l);
	return 0;
}

static int
do_stop(struct line *l)
{
	l->reply->stop = l->rest;
	return 0;
}

static int
do_message(struct line *l)
{
	l->reply->message = xstrdup(l->rest);
	return 0;
}

static int
do_header(struct line *l)
{
	char *all = xasprintf("%s%s\r\n", l->reply->headers, l->rest);

	free(l->reply->headers);
	l->reply->headers = all;
	return 0;
}

static int
do_body(struct line *l)
{
	l->reply->type = l->rest;
	xreplace(&l->reply->body, l->block);
	return 0;
}

static const struct command {
	const char *name;
	bool text, block, step; /* wanted on its line; wanted after it; only within a step */
	int (*fn)(struct line *l);
} commands[] = {
    {"match", true, false, false, do_match},
    {"line", true, false, false, do_line},
    {"reply", false, false, false, do_reply},
    {"http", true, false, false, do_http},
    {"fault", true, false, false, do_fault},
    {"text", true, false, true, do_text},
    {"tool", true, true, true, do_tool},
    {"structured", false, true, true, do_structured},
    {"write", true, true, true, do_write},
    {"bash", true, false, true, do_bash},
    {"usage", true, false, true, do_usage},
    {"delay", true, false, true, do_delay},
    {"slow", true, false, true, do_slow},
    {"stop", true, false, true, do_stop},
    {"message", true, false, true, do_message},
    {"header", true, false, true, do_header},
    {"body", true, true, true, do_body},
};

static char *
next_line(struct line *l)
{
	char *line = l->next, *end = strchr(line, '\n');

	if (*line == '\0')
		return NULL;
	l->next = end != NULL ? end + 1 : line + strlen(line);
	if (end != NULL)
		*end = '\0';
	l->number++;
	return line;
}

/* The lines up to one that is end, moved together in place; NULL when there is none. */
static char *
read_block(struct line *l, const char *end)
{
	char *start = l->next, *to = start, *line;

	while ((line = next_line(l)) != NULL && strcmp(line, end) != 0) {
		size_t n = strlen(line);

		memmove(to, line, n);
		to[n] = '\n';
		to += n + 1;
	}
	if (line == NULL)
		return NULL;
	*to = '\0';
	return start;
}

static int
run_line(struct line *l, char *line)
{
	const struct command *c = NULL;
	const char *name;
	char *mark;

	l->rest = line;
	name = word(l);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			c = &commands[i];
	if (c == NULL)
		return fault(l, "unknown command");
	if (c->step && l->reply == NULL)
		return fault(l, "only after reply, http or fault");
	mark = c->block ? strstr(l->rest, "<<") : NULL;
	if (c->block && (mark == NULL || (l->block = read_block(l, mark + 2)) == NULL))
		return fault(l, "wanted a block: <<WORD, lines, WORD");
	if (mark != NULL) {
		*mark = '\0';
		while (mark > l->rest && *--mark == ' ')
			*mark = '\0';
	}
	if (c->text && *l->rest == '\0')
		return fault(l, "wanted something after it");
	return c->fn(l);
}

/* Reads a script's text, which it keeps and cuts up. */
static int
read_script(struct script *s, struct err *e)
{
	struct line l = {.script = s, .next = s->text, .e = e};
	char *line;

	while ((line = next_line(&l)) != NULL) {
		int rc = *line == '\0' || *line == '#' ? 0 : run_line(&l, line);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static void
script_free(struct script *s)
{
	for (size_t i = 0; i < s->count; i++) {
		json_decref(s->replies[i].content);
		free(s->replies[i].headers);
		free(s->replies[i].message);
		free(s->replies[i].body);
	}
	free(s->replies);
	strv_free(s->match);
	free(s->text);
	free(s->name);
	free(s);
}

/* The folder. */

/* Scripts are read when they are first asked for, so that a test can write one while we run. */
static struct script *
load(struct scripts *all, const char *name, struct err *e)
{
	struct script *s;
	char *path;
	int rc;

	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i]->name, name) == 0)
			return all->list[i];
	s = xcalloc(1, sizeof(*s));
	s->name = xstrdup(name);
	path = xasprintf("%s/%s", all->folder, name);
	rc = fd_read_file(path, SCRIPT_MAX, &s->text, NULL);
	free(path);
	rc = rc < 0 ? err_sys(e, rc, "the script %s cannot be read", name) : read_script(s, e);
	if (rc < 0) {
		script_free(s);
		return NULL;
	}
	all->list = xrealloc(all->list, (all->count + 1) * sizeof(struct script *));
	return all->list[all->count++] = s;
}

struct scripts *
scripts_open(const char *folder)
{
	struct scripts *s = xcalloc(1, sizeof(*s));

	s->folder = folder;
	return s;
}

void
scripts_free(struct scripts *s)
{
	for (size_t i = 0; i < s->count; i++)
		script_free(s->list[i]);
	for (size_t i = 0; i < s->session_count; i++)
		free(s->sessions[i].id);
	free(s->sessions);
	free(s->list);
	free(s);
}

static bool
matches(const struct script *s, const char *words)
{
	for (size_t i = 0; s->match != NULL && s->match[i] != NULL; i++)
		if (strstr(words, s->match[i]) == NULL)
			return false;
	return s->match != NULL;
}

static struct script *
find_by_words(struct scripts *all, const char *words, struct err *e)
{
	struct script *found = NULL;
	DIR *dir = opendir(all->folder);
	struct dirent *entry;

	err_set(e, 0, "no script's match is in what the user said");
	while (dir != NULL && found == NULL && (entry = readdir(dir)) != NULL) {
		struct script *s = entry->d_name[0] == '.' ? NULL : load(all, entry->d_name, e);

		if (s != NULL && matches(s, words))
			found = s;
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static void
remember(struct scripts *all, const char *session, struct script *s)
{
	all->sessions = xrealloc(all->sessions, (all->session_count + 1) * sizeof(*all->sessions));
	all->sessions[all->session_count++] = (struct session){xstrdup(session), s};
}

struct script *
scripts_find(struct scripts *all, const struct request *r, struct err *e)
{
	struct script *s;

	if (strncmp(r->path, "/w/", 3) == 0) {
		char *name = xstrndup(r->path + 3, strcspn(r->path + 3, "/"));

		s = load(all, name, e);
		free(name);
		return s;
	}
	for (size_t i = 0; r->session != NULL && i < all->session_count; i++)
		if (strcmp(all->sessions[i].id, r->session) == 0)
			return all->sessions[i].script;
	s = find_by_words(all, r->words, e);
	if (s != NULL && r->session != NULL)
		remember(all, r->session, s);
	return s;
}

struct reply *
script_next(struct script *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct reply *r = &s->replies[i];

		if (r->times == 0 || r->used < r->times) {
			r->used++;
			return r;
		}
	}
	return NULL;
}
