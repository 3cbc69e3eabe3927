/* e2e_script: scripts for the agents of a run, and the files by which they and the test wait for one another
 * (see e2e.h). */
#include "tests/helper/lib/e2e.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
in_scripts(struct e2e *e, const char *name)
{
	return xasprintf("%s/%s", e->scripts, name);
}

void
e2e_script(struct e2e *e, const char *name, const char *fmt, ...)
{
	char *path = in_scripts(e, name), *text;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	testrepo_write(e->repo, path, text);
	free(text);
	free(path);
}

void
e2e_touch(struct e2e *e, const char *name)
{
	e2e_script(e, name, "%s", "");
}

void
e2e_unlink(struct e2e *e, const char *name)
{
	char *path = in_scripts(e, name);

	unlink(path);
	free(path);
}

bool
e2e_has_file(struct e2e *e, const char *name)
{
	char *path = in_scripts(e, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

pid_t
e2e_file_pid(struct e2e *e, const char *name)
{
	char *path = in_scripts(e, name), *text = testrepo_read(e->repo, path);
	pid_t pid;

	assert_non_null(text);
	pid = (pid_t)atoi(text);
	assert_true(pid > 1);
	free(text);
	free(path);
	return pid;
}

/* "b:a,c" -> id "b" and the JSON list of its needs. */
static char *
split_item(const char *word, char **needs)
{
	size_t n = strcspn(word, ":");
	char *list = xstrdup("");

	for (const char *at = word + n; *at != '\0';) {
		size_t len = strcspn(at + 1, ",");
		char *longer = xasprintf("%s%s\"%.*s\"", list, *list == '\0' ? "" : ",", (int)len, at + 1);

		free(list);
		list = longer;
		at += 1 + len;
	}
	*needs = list;
	return xstrndup(word, n);
}

void
e2e_plan(struct e2e *e, const char *script, const char *lines, const char *list)
{
	bool areas = strncmp(script, "em", 2) != 0;
	const char *area = areas ? "" : script + strlen("em-");
	char *words = xstrdup(list), *items = xstrdup(""), *save;

	for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		char *needs, *id = split_item(w, &needs);
		char *owns =
		    areas ? xasprintf("%s/", id) : xasprintf("%.*s/%s*", (int)strcspn(area, "."), area, id);
		char *longer = xasprintf("%s%s{\"id\":\"%s\",\"title\":\"The %s\",\"goal\":\"Do %s.\","
					 "\"owns\":[\"%s\"],\"depends_on\":[%s]%s}",
		    items, *items == '\0' ? "" : ",\n", id, id, id, owns, needs,
		    areas ? "" : ",\"acceptance\":\"It is there.\"");

		free(items);
		items = longer;
		free(owns);
		free(needs);
		free(id);
	}
	e2e_script(e, script, "%splan <<EOF\n{\"summary\":\"A plan.\",\"%s\":[%s]}\nEOF\n", lines,
	    areas ? "areas" : "tasks", items);
	free(items);
	free(words);
}

void
e2e_work(struct e2e *e, const char *key, const char *lines)
{
	char *script = xasprintf("worker-%s", key), *path = xstrdup(key), *dot = strchr(path, '.');

	assert_non_null(dot);
	*dot = '/';
	path[strcspn(path, ".")] = '\0'; /* of a turn: "a.one.1" */
	e2e_script(e, script, "%swrite %s.txt <<EOF\n%s\nEOF\nsay done\n", lines, path, dot + 1);
	free(path);
	free(script);
}
