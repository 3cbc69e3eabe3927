/* lead_check: whether a submission stays within what its task owns, before any of it is merged (see lead.h).
 */
#include "proto/lead.h"

#include "common/json.h"
#include "common/trespass.h"

#include <errno.h>
#include <stdio.h>

int
lead_check(struct lead *ld, const struct team_child *c, char **reason, char **evidence, struct err *e)
{
	struct role *r = ld->role;
	struct git_changes changes = {0};
	struct trespass_facts f = {.guarded = (const char *const *)r->guarded};
	char **owns = NULL, base[GIT_OID_HEX];
	int rc;

	if (c->base == NULL || c->head == NULL || c->owns_json == NULL)
		return err_set(e, -EPROTO, "%s was handed in without base, head or owners", c->task);
	/* c may move while we wait. */
	rc = json_to_strv(c->owns_json, &owns, e);
	snprintf(base, sizeof(base), "%s", c->base);
	if (rc == 0)
		rc = git_changes(&r->git, base, c->head, &changes, e);
	if (rc == 0) {
		f.base = base;
		f.changed = changes.paths;
		f.outside = changes.outside;
		f.owns = (const char *const *)owns;
		rc = trespass_check(&f, reason, evidence);
	}
	git_changes_clear(&changes);
	strv_free(owns);
	return rc;
}
