/* check_guard: what judges the work is kept from those who are judged: the gate's own files (see check.h). */
#include "director/check.h"

#include "common/alloc.h"
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

/* "100755 blob <oid>\t<path>", each with its NUL: folders are not listed, for a gate's folder of tests is
 * work. */
static void
add_files(json_t *list, const struct git_out *out)
{
	for (const char *p = out->out; p < out->out + out->size; p += strlen(p) + 1) {
		const char *path = strchr(p, '\t');

		if (path != NULL && strstr(p, " blob ") != NULL && strstr(p, " blob ") < path)
			json_array_append_new(list, json_string(path + 1));
	}
}

static int
add_gates_own(struct check *c, struct err *e)
{
	const char *argv[GUARD_MAX + 8] = {
	    "--literal-pathspecs", "ls-tree", "-z", "--full-tree", c->base, "--"};
	char **words = guard_candidates(c->conf.verify);
	struct git_out out = {0};
	size_t n = 6;
	int rc = 0;

	for (char **w = words; *w != NULL; w++)
		argv[n++] = *w;
	argv[n] = NULL;
	if (words[0] != NULL)
		rc = git_runv(&c->git, 0, &out, e, argv, NULL, NULL, 0);
	if (rc == 0 && words[0] != NULL)
		add_files(c->conf.protected_paths, &out);
	git_out_clear(&out);
	strv_free(words);
	return rc;
}

int
check_guard(struct check *c, struct err *e)
{
	return is_default(c->conf.protected_paths) ? add_gates_own(c, e) : 0;
}
