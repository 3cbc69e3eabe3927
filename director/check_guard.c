/* check_guard: what judges the work is kept from those who are judged: the gate's own files (see check.h). */
#include "director/check.h"

#include "common/guard.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

static bool
is_default(json_t *list)
{
	struct conf c;
	bool same;

	conf_init(&c);
	same = json_equal(list, c.protected_paths);
	conf_clear(&c);
	return same;
}

/* Folders are not listed: a gate's folder of tests is work. */
static int
add_gates_own(struct check *c, struct err *e)
{
	char **words = guard_candidates(c->conf.verify), **files = NULL;
	int rc = git_files(&c->git, c->base, words, &files, e);

	for (char **f = files; rc == 0 && *f != NULL; f++)
		json_array_append_new(c->conf.protected_paths, json_string(*f));
	strv_free(files);
	strv_free(words);
	return rc;
}

int
check_guard(struct check *c, struct err *e)
{
	return is_default(c->conf.protected_paths) ? add_gates_own(c, e) : 0;
}
