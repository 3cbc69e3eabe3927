/* github_user: who the token is, the repository, and who may do what in it (see github_api.h). */
#include "director/github_api.h"

#include "common/alloc.h"
#include "director/github_impl.h"
#include "director/github_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int
github_strange(struct github *gh, const char *what, struct err *e)
{
	github_set_kind(gh, GITHUB_STRANGE);
	return err_set(
	    e, -EPROTO, "cannot %s: the answer lacks what GitHub's have: is GITHUB_API_URL right?", what);
}

/* Installations may ask GraphQL for their own login, and nothing else does tell it. */
static int
ask_viewer(struct github *gh, json_t **user, struct err *e)
{
	char *url = github_graphql_url(github_base(gh));
	json_t *answer = NULL, *viewer;
	int rc = github_send(gh, "ask who the token is", "POST", url,
	    json_pack("{s:s}", "query", "query{viewer{login}}"), &answer, e);

	viewer = json_object_get(json_object_get(answer, "data"), "viewer");
	if (rc == 0 && json_is_object(viewer)) {
		*user = json_incref(viewer);
		json_object_set_new(*user, "type", json_string("Bot"));
	}
	json_decref(answer);
	free(url);
	return rc;
}

int
github_whoami(struct github *gh, struct github_user *me, struct err *e)
{
	json_t **known = github_me(gh);
	struct err why = {""};
	int rc = 0;

	if (*known == NULL) {
		rc = github_get(gh, "ask who the token is", "/user", known, &why);
		if (rc == -EPERM || rc == -ENOENT) {
			rc = ask_viewer(gh, known, &why);
			if (rc < 0 && rc != -ECANCELED && rc != -EACCES && rc != -EAGAIN)
				rc = 0;
			if (rc == 0 && *known == NULL)
				*known = json_pack("{s:s}", "type", "Bot");
		}
		if (rc < 0)
			return err_set(e, rc, "%s", why.msg);
	}
	github_read_user(*known, me);
	return 0;
}

bool
github_is_me(const struct github_user *me, const struct github_user *who)
{
	if (me->id != 0 && who->id != 0)
		return me->id == who->id;
	if (me->login[0] != '\0')
		return strcasecmp(me->login, who->login) == 0;
	return me->bot && who->bot;
}

int
github_repository_get(struct github *gh, struct github_repository *r, struct err *e)
{
	static const char what[] = "read the repository";
	char *path = github_path(gh, "%s", "");
	json_t *j = NULL;
	int rc = github_get(gh, what, path, &j, e);

	free(path);
	if (rc == 0 && !github_read_repository(j, r))
		rc = github_strange(gh, what, e);
	if (rc < 0)
		json_decref(j);
	else
		r->json = j;
	return rc;
}

void
github_repository_clear(struct github_repository *r)
{
	json_decref(r->json);
	memset(r, 0, sizeof(*r));
}

int
github_permission(struct github *gh, const char *login, char level[16], struct err *e)
{
	char *who = github_escape(login), *path = github_path(gh, "/collaborators/%s/permission", who);
	char *what = xasprintf("ask what %.60s may do in the repository", login);
	json_t *j = NULL;
	int rc = github_get(gh, what, path, &j, e);

	if (rc == 0)
		snprintf(level, 16, "%s", github_read_permission(j));
	json_decref(j);
	free(what);
	free(path);
	free(who);
	return rc;
}
