/* lead_check: whether a submission stays within what its task owns, before any of it is merged (see lead.h).
 */
#include "proto/lead.h"

#include "common/json.h"
#include "common/trespass.h"

#include <errno.h>

int
lead_check(struct lead *ld, const char *task, const char *base, const char *head, const char *owns_json,
    char **reason, char **evidence, struct err *e)
{
	struct role *r = ld->role;
	struct git_changes changes = {0};
	struct trespass_facts f = {.guarded = (const char *const *)r->guarded, .base = base};
	char **owns = NULL;
	int rc;

	if (base == NULL || head == NULL || owns_json == NULL)
		return err_set(e, -EPROTO, "%s was handed in without base, head or owners", task);
	rc = json_to_strv(owns_json, &owns, e);
	if (rc == 0)
		rc = git_changes(&r->git, base, head, &changes, e);
	if (rc == 0) {
		f.changed = changes.paths;
		f.outside = changes.outside;
		f.owns = (const char *const *)owns;
		rc = trespass_check(&f, reason, evidence);
	}
	git_changes_clear(&changes);
	strv_free(owns);
	return rc;
}
