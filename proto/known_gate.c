/* known_gate: see known_gate.h. An entry is a blob with two numbers: the gate on the base, and now. */
#include "proto/known_gate.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
ref_of(const struct role *r, const char *task)
{
	char flat[TASKID_MAX];

	taskid_flat(flat, task);
	return xasprintf("refs/orch/gate/%s/%s", r->assign->run, flat);
}

bool
known_gate_parent(char parent[TASKID_MAX], const char *task)
{
	const char *slash = strrchr(task, '/');

	if (slash == NULL)
		return false;
	memmove(parent, task, (size_t)(slash - task)); /* they may be the same */
	parent[slash - task] = '\0';
	return true;
}

/* What is not two numbers is no entry. */
static int
read_entry(struct role *r, const char *task, struct known_gate *k, struct err *e)
{
	char *ref = ref_of(r, task);
	struct git_out out = {0};
	int rc = git_run(&r->git, GIT_ANY_EXIT, &out, e, "cat-file", "blob", ref, NULL);

	memset(k, 0, sizeof(*k));
	if (rc == 0 && out.code == 0)
		k->found = sscanf(out.out, "%d %d", &k->base, &k->now) == 2;
	if (!k->found)
		k->base = k->now = 0;
	git_out_clear(&out);
	free(ref);
	return rc;
}

int
known_gate_read(struct role *r, const char *task, struct known_gate *k, struct err *e)
{
	char at[TASKID_MAX];
	int rc;

	snprintf(at, sizeof(at), "%s", task);
	do
		rc = read_entry(r, at, k, e);
	while (rc == 0 && !k->found && known_gate_parent(at, at));
	return rc;
}

int
known_gate_write(struct role *r, const char *task, const struct known_gate *k, struct err *e)
{
	const char *const argv[] = {"hash-object", "-w", "--stdin", NULL};
	char *ref = ref_of(r, task), *text = xasprintf("%d %d\n", k->base, k->now);
	struct git_out out = {0};
	int rc = git_runv(&r->git, 0, &out, e, argv, NULL, text, strlen(text));

	if (rc == 0) {
		out.out[strcspn(out.out, "\n")] = '\0';
		rc = git_update_ref(&r->git, ref, out.out, NULL, "what the gate says", e);
	}
	git_out_clear(&out);
	free(text);
	free(ref);
	return rc;
}

int
known_gate_forget(struct role *r, struct err *e)
{
	char *below = xasprintf("refs/orch/gate/%s/", r->assign->run), *save;
	struct git_out out = {0};
	int rc = git_run(&r->git, 0, &out, e, "for-each-ref", "--format=%(refname)", below, NULL);

	free(below);
	if (rc < 0)
		return rc;
	for (char *ref = strtok_r(out.out, "\n", &save); rc == 0 && ref != NULL;
	     ref = strtok_r(NULL, "\n", &save))
		rc = git_update_ref(&r->git, ref, NULL, NULL, "the run has ended", e);
	git_out_clear(&out);
	return rc;
}
